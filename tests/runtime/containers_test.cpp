#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "runtime/function_ref.h"
#include "runtime/ref.h"
#include "runtime/small_vector.h"

namespace tenon {
namespace {

TEST(SmallVector, GrowsPastItsInlinePart) {
    Dims dims;
    std::vector<int64_t> expected;
    for (int64_t i = 0; i < 100; ++i) {
        dims.push_back(i);
        expected.push_back(i);
        ASSERT_EQ(dims, Dims(expected));
    }
    Dims copied = dims, moved = std::move(dims);
    EXPECT_EQ(copied, moved);
    EXPECT_TRUE(dims.empty());
    dims = {1, 2, 3};
    EXPECT_EQ(dims.size(), 3u);
    copied = dims;
    EXPECT_EQ(copied, (Dims{1, 2, 3}));
    dims = std::move(moved);
    EXPECT_EQ(dims.size(), 100u);
    dims = dims;
    EXPECT_EQ(dims, Dims(expected));
}

TEST(SmallVector, InsertsAndErases) {
    Dims dims{1, 2, 3, 4, 5, 6};
    dims.insert(dims.begin() + 2, 9);
    EXPECT_EQ(dims, (Dims{1, 2, 9, 3, 4, 5, 6}));
    dims.erase(dims.begin());
    EXPECT_EQ(dims, (Dims{2, 9, 3, 4, 5, 6}));
    dims.resize(8, 7);
    EXPECT_EQ(dims, (Dims{2, 9, 3, 4, 5, 6, 7, 7}));
    EXPECT_EQ(Dims(3, int64_t{5}), (Dims{5, 5, 5}));
    EXPECT_LT((Dims{1, 2}), (Dims{1, 3}));
}

struct Counted : RefCounted {
    explicit Counted(int& alive) : alive(alive) { ++alive; }
    ~Counted() override { --alive; }
    int& alive;
};

TEST(Ref, TheLastOwnerDeletes) {
    int alive = 0;
    {
        Ref<Counted> a = make_ref<Counted>(alive);
        EXPECT_TRUE(a.unique());
        Ref<RefCounted> b = a;
        EXPECT_FALSE(a.unique());
        Ref<Counted> c = std::move(a);
        EXPECT_FALSE(a);
        c = c;
        c.reset();
        EXPECT_EQ(alive, 1);
    }
    EXPECT_EQ(alive, 0);
}

int twice(int x) { return 2 * x; }

TEST(FunctionRef, CallsWhatItRefersTo) {
    int offset = 1;
    auto add = [&](int x) { return x + offset++; };
    FunctionRef<int(int)> reference = add;
    EXPECT_EQ(reference(1), 2);
    EXPECT_EQ(reference(1), 3);
    EXPECT_EQ(FunctionRef<int(int)>(twice)(4), 8);
    FunctionRef<void(int)> ignored = add;
    ignored(0);
    EXPECT_EQ(offset, 4);
}

}  // namespace
}  // namespace tenon
