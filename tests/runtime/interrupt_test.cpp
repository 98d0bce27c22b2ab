#include "runtime/interrupt.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <iterator>
#include <stdexcept>
#include <string>
#include <thread>

#include "runtime/file.h"
#include "runtime/npz.h"
#include "runtime/thread_pool.h"

namespace tenon {

TEST(Interrupt, IsToldOnce) {
    interrupt::request();
    EXPECT_TRUE(interrupt::is_wanted());
    EXPECT_THROW(check_interrupt(), Interrupted);
    check_interrupt();
    interrupt::request();
    interrupt::forget();
    check_interrupt();
}

// Another exception out of a destructor, or beside one that unwinds, would end the process.
TEST(Interrupt, IsTakenOnceWhileItUnwinds) {
    struct Looks {
        ~Looks() {
            interrupt::request();
            EXPECT_FALSE(interrupt::is_due());
            check_interrupt();
        }
    };
    const auto interrupted = [] {
        const Looks looks;
        interrupt::request();
        check_interrupt();
    };
    try {
        interrupted();
        FAIL();
    } catch (const Interrupted&) {
        interrupt::request();
        check_interrupt();  // a handler may have to put right what was under way
        ThreadPool(4).parallel_for(100, [](int64_t) { check_interrupt(); });
    }
    EXPECT_TRUE(interrupt::is_due());
    EXPECT_THROW(check_interrupt(), Interrupted);
    const auto failed = [] {
        const Looks looks;
        throw std::runtime_error("failed");
    };
    EXPECT_THROW(failed(), std::runtime_error);
    EXPECT_THROW(check_interrupt(), Interrupted);
    EXPECT_FALSE(interrupt::is_wanted());
}

TEST(Interrupt, WaitsUntilNobodyHoldsIt) {
    interrupt::request();
    {
        const interrupt::Hold hold;
        check_interrupt();
        ThreadPool pool(4);
        std::atomic<int> done{0};
        pool.parallel_for(1000, [&](int64_t) {
            check_interrupt();
            ++done;
        });
        EXPECT_EQ(done, 1000);
    }
    EXPECT_THROW(check_interrupt(), Interrupted);
}

TEST(Interrupt, KnowsWhereTheFirstWhoSawItWas) {
    interrupt::request();
    try {
        check_interrupt({1, 2, 3});
        FAIL();
    } catch (const Interrupted& interrupted) { EXPECT_EQ(interrupted.span, (Span{1, 2, 3})); }
}

TEST(Interrupt, EndsAParallelLoopWithinATile) {
    for (int threads : {1, 4}) {
        ThreadPool pool(threads);
        std::atomic<int> done{0};
        const auto tile = [&](int64_t) {
            if (++done == 10) interrupt::request();
        };
        EXPECT_THROW(pool.parallel_for(1'000'000, tile), Interrupted);
        EXPECT_LT(done, 100'000);
        EXPECT_FALSE(interrupt::is_wanted());
        done = 100;
        pool.parallel_for(1000, tile);  // and the pool is as it was
        EXPECT_EQ(done, 1100);
    }
}

TEST(Interrupt, ReachesTheTilesOfOtherThreads) {
    ThreadPool pool(4);
    std::atomic<bool> asked{false};
    // Each tile works until it is told, so this ends only if all are.
    const auto tile = [&](int64_t) {
        for (;;) {
            if (!asked.exchange(true)) interrupt::request();
            check_interrupt();
        }
    };
    EXPECT_THROW(pool.parallel_for(4, tile), Interrupted);
    EXPECT_FALSE(interrupt::is_wanted());
}

// An error that its script catches must not swallow the interrupt.
TEST(Interrupt, GoesBeforeTheErrorsOfTiles) {
    ThreadPool pool(2);
    std::atomic<int> inside{0};
    const auto tile = [&](int64_t i) {
        ++inside;
        while (inside < 2) std::this_thread::yield();
        if (i == 0) throw std::runtime_error("tile 0");
        interrupt::request();
        check_interrupt();
    };
    EXPECT_THROW(pool.parallel_for(2, tile), Interrupted);
    EXPECT_FALSE(interrupt::is_wanted());
}

class InterruptedWrite : public ::testing::Test {
protected:
    InterruptedWrite() { std::filesystem::create_directories(folder); }
    ~InterruptedWrite() override { std::filesystem::remove_all(folder); }
    auto files() const { return std::distance(std::filesystem::directory_iterator(folder), {}); }

    const std::filesystem::path folder =
        std::filesystem::temp_directory_path() / ("tenon_interrupt_test_" + std::to_string(getpid()));
    const std::string path = (folder / "kept").string();
};

TEST_F(InterruptedWrite, LeavesTheOldFile) {
    write_file(path, [](FileWriter& file) { file.write("old"); });
    EXPECT_THROW(write_file(path,
                            [](FileWriter& file) {
                                file.write("new");
                                interrupt::request();
                                file.write("more");
                            }),
                 Interrupted);
    EXPECT_EQ(read_text(path), "old");
    EXPECT_EQ(files(), 1);
}

// Whenever it comes, also through the library that writes the archive.
TEST_F(InterruptedWrite, LeavesTheOldArchiveOrTheNewOne) {
    const Allocator allocator;
    const auto tensors = [&](int64_t value) -> NamedTensors {
        return {{"x", Tensor::full(allocator, DType::f32, {1'000'000}, Scalar(value))},
                {"y", Tensor::full(allocator, DType::f32, {10}, Scalar(value))}};
    };
    for (const bool compressed : {false, true}) {
        write_npz(path, tensors(0), compressed);
        int64_t value = 0;
        for (int wait = 0; wait < 16; ++wait) {
            std::thread asks([&] {
                std::this_thread::sleep_for(std::chrono::microseconds(wait < 2 ? 0 : 400 * wait));
                interrupt::request();
            });
            if (wait == 0) asks.join();  // before it begins
            try {
                write_npz(path, tensors(wait + 1), compressed);
                value = wait + 1;
            } catch (const Interrupted&) {}
            if (wait != 0) asks.join();
            interrupt::forget();
            EXPECT_EQ(files(), 1);
            for (const auto& [name, tensor] : read_npz(allocator, path))
                ASSERT_EQ(*reinterpret_cast<const float*>(tensor.bytes()), float(value)) << name;
        }
    }
}

}  // namespace tenon
