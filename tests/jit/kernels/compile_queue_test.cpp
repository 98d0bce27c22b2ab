// In which order kernels are compiled, on how many threads at once, and what those who wait hear of it.
#include "jit/compile_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "jit/machine.h"

namespace tenon {
namespace {

using Request = CompileQueue::Request;

std::shared_ptr<CachedKernel> kernel() { return std::make_shared<CachedKernel>(); }

TEST(CompileQueue, TheHeaviestComeFirstAndBeforeThemWhatIsAwaited) {
    std::mutex mutex;
    std::vector<const CachedKernel*> order;
    CompileQueue queue(
        [&](CachedKernel& k, bool) {
            const std::lock_guard lock(mutex);
            order.push_back(&k);
        },
        1);
    const auto light = kernel(), heavy = kernel(), first = kernel(), awaited = kernel();
    queue.hold(true);
    queue.later(std::vector<Request>{{light, 1}, {heavy, 5}, {first, 9}});
    queue.now(std::vector<Request>{{awaited}});
    EXPECT_EQ(order, std::vector<const CachedKernel*>{awaited.get()});
    queue.hold(false);
    queue.wait();
    EXPECT_EQ(order, (std::vector<const CachedKernel*>{awaited.get(), first.get(), heavy.get(), light.get()}));
}

TEST(CompileQueue, TwoAreAtWorkAtOnceAndNeverOnOneKernel) {
    std::barrier both(2);  // the test hangs where one waits for the other to end
    std::atomic<int> calls = 0, at_once = 0, most_at_once = 0;
    const auto shared = kernel();
    CompileQueue queue(
        [&](CachedKernel& k, bool) {
            ++calls;
            if (&k != shared.get()) return both.arrive_and_wait();
            const int now = ++at_once;
            most_at_once = std::max(most_at_once.load(), now);
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
            --at_once;
        },
        1);
    queue.now(std::vector<Request>{{kernel()}, {kernel()}});
    EXPECT_EQ(calls, 2);
    queue.now(std::vector<Request>{{shared}, {shared}, {shared}, {shared}});
    EXPECT_EQ(most_at_once, 1);
    EXPECT_EQ(calls, 6);
}

TEST(CompileQueue, InTheBackgroundNoMoreAreAtWorkThanAllowed) {
    std::atomic<int> at_once = 0, most_at_once = 0;
    CompileQueue queue(
        [&](CachedKernel&, bool in_background) {
            EXPECT_TRUE(in_background);
            const int now = ++at_once;
            most_at_once = std::max(most_at_once.load(), now);
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
            --at_once;
        },
        1);
    std::vector<Request> requests;
    for (int k = 0; k < 8; ++k) requests.push_back({kernel()});
    queue.later(requests);
    queue.wait();
    EXPECT_EQ(most_at_once, 1);
}

TEST(CompileQueue, WhoWaitsHearsOfAFailureAndTheOthersAreCompiled) {
    std::atomic<int> done = 0;
    const auto bad = kernel();
    CompileQueue queue(
        [&](CachedKernel& k, bool) {
            if (&k == bad.get()) throw std::runtime_error("no");
            ++done;
        },
        2);
    EXPECT_THROW(queue.now(std::vector<Request>{{kernel()}, {bad}, {kernel()}}), std::runtime_error);
    EXPECT_EQ(done, 2);
    queue.later(std::vector<Request>{{bad}});  // nobody waits: nobody hears
    queue.wait();
    queue.now(std::vector<Request>{{kernel()}});
    EXPECT_EQ(done, 3);
}

}  // namespace
}  // namespace tenon
