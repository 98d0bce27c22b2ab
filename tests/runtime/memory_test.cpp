#include <gtest/gtest.h>

#include <cstring>
#include <thread>
#include <vector>

#include "runtime/allocator.h"
#include "runtime/diagnostic.h"
#include "runtime/function_ref.h"
#include "runtime/tensor.h"

namespace tenon {
namespace {

std::string kind_of(FunctionRef<void()> action) {
    try {
        action();
    } catch (const Error& error) {
        EXPECT_FALSE(error.diagnostic.message.empty());
        return error.diagnostic.kind;
    }
    return "no error";
}

TEST(Allocator, ReusesWhatComesBack) {
    Allocator allocator;
    for (size_t bytes : {1, 64, 65, 1000, 4096, 100'000, 1 << 20, 3'000'000, 20'000'000}) {
        std::byte* first = allocator.allocate(bytes)->data;
        Ref<Storage> second = allocator.allocate(bytes);
        EXPECT_EQ(first, second->data);
        EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % Allocator::alignment, 0u);
        std::memset(second->data, 1, bytes);
    }
    MemoryStatistics statistics = allocator.statistics();
    EXPECT_EQ(statistics.allocations, 18u);
    EXPECT_GE(statistics.reused, 9u);
    EXPECT_EQ(statistics.current, 0u);
    EXPECT_EQ(statistics.peak, 20'000'000u);
    EXPECT_GE(statistics.reserved, statistics.peak);
    EXPECT_EQ(allocator.trim(), statistics.reserved);
    EXPECT_EQ(allocator.statistics().reserved, 0u);
}

TEST(Allocator, EverySizeFitsItsBlock) {
    Allocator allocator;
    for (size_t bytes = 0; bytes < 5000; ++bytes) {
        Ref<Storage> storage = allocator.allocate(bytes);
        std::memset(storage->data, 0xff, bytes);  // the address sanitizer watches
    }
    for (int shift = 13; shift < 25; ++shift) {
        for (int change : {-1, 0, 1}) {
            Ref<Storage> storage = allocator.allocate((size_t{1} << shift) + static_cast<size_t>(change));
            storage->data[storage->bytes - 1] = std::byte{1};
        }
    }
    EXPECT_LE(allocator.statistics().reserved, size_t{200} << 20);
}

TEST(Allocator, PeakCanBeReset) {
    Allocator allocator;
    { Ref<Storage> large = allocator.allocate(1000); }
    Ref<Storage> small = allocator.allocate(10);
    EXPECT_EQ(allocator.statistics().peak, 1000u);
    allocator.reset_peak();
    EXPECT_EQ(allocator.statistics().peak, 10u);
}

TEST(Allocator, RefusesWhatThereIsNot) {
    Allocator limited({}, 1 << 20);
    Ref<Storage> half = limited.allocate(600'000);
    EXPECT_EQ(kind_of([&] { limited.allocate(600'000); }), "memory");
    half.reset();
    Ref<Storage> other = limited.allocate(700'000);  // what is kept gives way
    EXPECT_LE(limited.statistics().reserved, size_t{1} << 20);

    Allocator allocator;
    EXPECT_EQ(kind_of([&] { allocator.allocate(SIZE_MAX); }), "memory");
    EXPECT_EQ(kind_of([&] { allocator.allocate(size_t{1} << 50); }), "memory");
    EXPECT_EQ(kind_of([&] { Tensor::empty(allocator, DType::f32, {int64_t{1} << 40, int64_t{1} << 40}); }), "memory");
    EXPECT_EQ(kind_of([&] { Tensor::empty(allocator, DType::f64, {int64_t{1} << 62}); }), "memory");
    EXPECT_EQ(kind_of([&] { Tensor::empty(allocator, DType::f64, {0, int64_t{1} << 62, 8}); }), "memory");
    EXPECT_EQ(kind_of([&] { Tensor::empty(allocator, DType::f32, {2, -1}); }), "shape");
    EXPECT_EQ(kind_of([&] { Allocator({Device::cuda, 0}).allocate(1); }), "value");
}

TEST(Allocator, StoragesOutliveIt) {
    Ref<Storage> storage;
    {
        Allocator allocator;
        storage = allocator.allocate(100);
    }
    storage->data[99] = std::byte{1};
    EXPECT_EQ(storage->allocator()->statistics().current, 100u);
}

TEST(Allocator, ServesSeveralThreads) {
    Allocator allocator;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 2000; ++i) {
                Ref<Storage> a = allocator.allocate(static_cast<size_t>(i % 500)), b = allocator.allocate(64);
                std::memset(a->data, 1, a->bytes);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(allocator.statistics().current, 0u);
    EXPECT_EQ(allocator.statistics().allocations, 16000u);
}

TEST(Storage, ForeignMemoryIsGivenBack) {
    std::vector<float> memory{1, 2, 3};
    int deleted = 0;
    {
        auto storage = make_ref<Storage>(reinterpret_cast<std::byte*>(memory.data()), 12, Device{}, [&] { ++deleted; });
        Tensor tensor{storage, DType::f32, {3}, {1}, 0};
        storage.reset();
        Tensor copy = tensor.slice(0, 0, 3, 2).contiguous();
        EXPECT_EQ(std::get<double>(copy.read_scalar(1)), 3.0);
        EXPECT_EQ(deleted, 0);
    }
    EXPECT_EQ(deleted, 1);
}

}  // namespace
}  // namespace tenon
