#include "runtime/interrupt.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <iterator>

#include "runtime/file.h"
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

TEST(Interrupt, LeavesTheOldFile) {
    const auto folder = std::filesystem::temp_directory_path() / "tenon_interrupt_test";
    std::filesystem::create_directories(folder);
    const std::string path = (folder / "kept").string();
    write_file(path, [](FileWriter& file) { file.write("old"); });
    EXPECT_THROW(write_file(path,
                            [](FileWriter& file) {
                                file.write("new");
                                interrupt::request();
                                file.write("more");
                            }),
                 Interrupted);
    EXPECT_EQ(read_text(path), "old");
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
    std::filesystem::remove_all(folder);
}

}  // namespace tenon
