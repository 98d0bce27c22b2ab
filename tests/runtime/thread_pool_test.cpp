#include "runtime/thread_pool.h"

#include <gtest/gtest.h>
#include <xmmintrin.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace tenon {
namespace {

TEST(ThreadPool, EveryTileRunsOnce) {
    for (int threads : {1, 2, 4, 7}) {
        ThreadPool pool(threads);
        for (int64_t count : {0, 1, 2, 3, 100, 1000}) {
            std::vector<std::atomic<int>> runs(static_cast<size_t>(count));
            for (int round = 0; round < 20; ++round) {
                pool.parallel_for(count, [&](int64_t i) { runs[static_cast<size_t>(i)]++; });
            }
            for (auto& n : runs) ASSERT_EQ(n, 20);
        }
    }
}

TEST(ThreadPool, ManySmallJobsInARow) {
    ThreadPool pool(3);
    std::atomic<int64_t> sum{0};
    for (int round = 0; round < 20000; ++round) pool.parallel_for(3, [&](int64_t i) { sum += i; });
    EXPECT_EQ(sum, 60000);
}

TEST(ThreadPool, WakesFromSleep) {
    ThreadPool pool(2);
    for (int round = 0; round < 5; ++round) {
        std::atomic<int> inside{0};
        // Both tiles wait for each other: it takes two threads.
        pool.parallel_for(2, [&](int64_t) {
            ++inside;
            while (inside < 2) std::this_thread::yield();
        });
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
}

TEST(ThreadPool, TheLowestExceptionIsCarried) {
    ThreadPool pool(4);
    for (int round = 0; round < 200; ++round) {
        std::string message;
        try {
            pool.parallel_for(100, [&](int64_t i) {
                if (i >= 7) throw std::runtime_error("tile " + std::to_string(i));
            });
        } catch (const std::runtime_error& error) { message = error.what(); }
        ASSERT_EQ(message, "tile 7");
    }
    std::atomic<int> runs{0};
    pool.parallel_for(10, [&](int64_t) { ++runs; });
    EXPECT_EQ(runs, 10);
}

TEST(ThreadPool, NestedCallsRunInline) {
    ThreadPool pool(4);
    std::atomic<int> runs{0};
    pool.parallel_for(8, [&](int64_t) {
        std::thread::id outer = std::this_thread::get_id();
        pool.parallel_for(8, [&](int64_t) {
            EXPECT_EQ(std::this_thread::get_id(), outer);
            ++runs;
        });
    });
    EXPECT_EQ(runs, 64);
}

TEST(ThreadPool, SeveralCallersAtOnce) {
    ThreadPool pool(3);
    std::atomic<int64_t> runs{0};
    std::vector<std::thread> callers;
    for (int t = 0; t < 3; ++t) {
        callers.emplace_back([&] {
            for (int round = 0; round < 500; ++round) pool.parallel_for(5, [&](int64_t) { ++runs; });
        });
    }
    for (std::thread& caller : callers) caller.join();
    EXPECT_EQ(runs, 7500);
}

TEST(ThreadPool, WorkersKeepDenormals) {
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);  // threads inherit what their creator has
    ThreadPool pool(2);
    std::mutex mutex;
    std::set<unsigned> modes;
    std::thread::id caller = std::this_thread::get_id();
    std::atomic<int> inside{0};
    pool.parallel_for(2, [&](int64_t) {
        ++inside;
        while (inside < 2) std::this_thread::yield();
        std::lock_guard lock(mutex);
        if (std::this_thread::get_id() != caller) modes.insert(_mm_getcsr() & 0xe040);
    });
    _mm_setcsr(before);
    EXPECT_EQ(modes, std::set<unsigned>{0});
}

}  // namespace
}  // namespace tenon
