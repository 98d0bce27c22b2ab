// Nested values as trees: taken apart and put together again.
#include "frontend/values/structure.h"

#include <random>

#include <gtest/gtest.h>

#include "frontend/values/function.h"
#include "runtime/diagnostic.h"

namespace tenon {
namespace {

/// Random trees whose leaves are ints, numbered from left to right.
class RandomTree {
public:
    explicit RandomTree(uint64_t seed) : random_(seed) {}
    Value make(int depth) {
        const auto kind = depth == 0 ? 3 : random_() % 4;
        if (kind == 3) return Value(leaves_++);
        Values parts;
        for (size_t k = random_() % 4; k > 0; --k) parts.push_back(make(depth - 1));
        if (kind == 0) return make_list(std::move(parts));
        if (kind == 1) return make_tuple(std::move(parts));
        auto dict = make_ref<DictObject>();
        for (Value& part : parts) {
            const auto key = static_cast<int64_t>(dict->size());
            dict->set(random_() % 2 ? Value(key) : make_text(std::to_string(key)), std::move(part));
        }
        return dict;
    }
    int64_t leaves() const { return leaves_; }

private:
    std::mt19937_64 random_;
    int64_t leaves_ = 0;
};

TEST(Structure, LeavesGoBackToTheirPlaces) {
    for (uint64_t seed = 0; seed < 500; ++seed) {
        RandomTree random(seed);
        const Value tree = random.make(5);
        const std::vector<Value> leaves = leaves_of(tree);
        ASSERT_EQ(static_cast<int64_t>(leaves.size()), random.leaves());
        for (size_t k = 0; k < leaves.size(); ++k) ASSERT_EQ(leaves[k].as_int(), static_cast<int64_t>(k));

        const Value again = with_leaves(tree, leaves);
        ASSERT_TRUE(same_structure(tree, again));
        const std::vector<Value> same = leaves_of(again);
        ASSERT_EQ(same.size(), leaves.size());
        for (size_t k = 0; k < leaves.size(); ++k) ASSERT_TRUE(identical(same[k], leaves[k]));
        if (is_branch(tree)) { EXPECT_FALSE(identical(again, tree)) << "branches are made anew"; }

        // The way to a leaf leads to it.
        for_each_leaf_at(tree, [&](const Value& leaf, std::span<const Step> path) {
            Value at = tree;
            for (const Step& step : path) {
                Value part;
                for_each_part(at, [&](const Value& each, size_t position, const Value* key) {
                    if (position != step.position) return;
                    EXPECT_EQ(key == nullptr, step.key.is_unset());
                    part = each;
                });
                at = part;
            }
            EXPECT_TRUE(identical(at, leaf));
        });
        const Value other = RandomTree(seed + 1000).make(5);
        EXPECT_EQ(same_structure(tree, other), same_structure(other, tree));
    }
}

TEST(Structure, KindsLengthsAndKeysTellTreesApart) {
    const Value list = make_list({1, 2}), tuple = make_tuple({1, 2}), longer = make_list({1, 2, 3});
    auto dict = make_ref<DictObject>(), renamed = make_ref<DictObject>();
    dict->set("a", Value(1));
    renamed->set("b", Value(1));
    EXPECT_TRUE(same_structure(list, make_list({3, make_text("x")})));
    EXPECT_FALSE(same_structure(list, tuple));
    EXPECT_FALSE(same_structure(list, longer));
    EXPECT_FALSE(same_structure(list, Value(1)));
    EXPECT_FALSE(same_structure(Value(dict), Value(renamed)));
    EXPECT_TRUE(same_structure(make_list({}), make_list({})));
}

TEST(Structure, WhatHoldsItselfIsAnError) {
    const Value list = make_list({});
    list.as<ListObject>().items.push_back(list);
    EXPECT_THROW(leaves_of(list), Error);
    EXPECT_THROW(map_leaves(list, [](const Value& leaf) { return leaf; }), Error);
    EXPECT_THROW(for_each_leaf_at(list, [](const Value&, std::span<const Step>) {}), Error);
    EXPECT_THROW((void)same_structure(list, list), Error);
    list.as<ListObject>().items.clear();
}

}  // namespace
}  // namespace tenon
