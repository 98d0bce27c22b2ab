// What fuse makes of graphs: it keeps their meaning, which is compared with the naive evaluation of the graph before.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "ir/fusion/prepare.h"
#include "tests/ir/lowering.h"

namespace tenon {
namespace {

TEST(Fuse, EffectsKeepTheirOrderAndSeeMemory) {
    Context c;
    const GraphRef g = parse_graph(c, R"(graph step(w: f32[8], g: f32[8], ok: bool[]) -> f32[8] {
    mul = mul(g, 0.5)          : f32[8]
    sub = sub(w, mul)          : f32[8]
    assert(ok)
    commit(w, sub)
    exp = exp(sub)             : f32[8]
    return exp
}
)");
    Decisions decisions;
    const GraphRef loops = schedule(*fuse(*g, decisions), Target{}, decisions);
    expect_well_formed(*loops);
    std::vector<std::string_view> order;
    for (NodeId id : loops->body()) order.push_back(row((*loops)[id].op).name);
    EXPECT_EQ(order, (std::vector<std::string_view>{"kernel", "get", "get", "assert", "commit"}));
}

TEST(Fuse, MatmulTakesTransposedOperands) {
    Context c;
    const Lowered l = lower(c, R"(graph f(a: f32[5, 4], b: f32[6, 5]) -> f32[4, 6] {
    permute = permute(a, axes: [1, 0])    : f32[4, 5]
    permute_1 = permute(b, axes: [1, 0])  : f32[5, 6]
    matmul = matmul(permute, permute_1)   : f32[4, 6]
    return matmul
}
)",
                            {{5, 4}, {6, 5}});
    EXPECT_EQ(l.kernels(), 0u);
}

TEST(Fuse, AProductThatIsOnlyWantedSwappedIsWrittenSo) {
    Context c;
    constexpr const char* text = R"(graph f(a: f32[3, 4], b: f32[4, 5], d: f32[5, 3]) -> f32[5, 3], f32[5, 3], f32[3, 5] {
    matmul = matmul(a, b)                    : f32[3, 5]
    permute = permute(matmul, axes: [1, 0]) : f32[5, 3]
    add = add(permute, d)                    : f32[5, 3]
    matmul_1 = matmul(d, d, transpose_a: true) : f32[3, 3]
    matmul_2 = matmul(matmul_1, d, transpose_b: true) : f32[3, 5]
    permute_1 = permute(matmul_2, axes: [1, 0]) : f32[5, 3]
    return add, permute_1, matmul_2
}
)";
    lower(c, text, {{3, 4}, {4, 5}, {5, 3}});
    const GraphRef prepared = prepare_fusion(*parse_graph(c, text));
    std::vector<std::string> products;
    for (NodeId id : prepared->body())
        if ((*prepared)[id].op == op<"matmul">()) products.push_back(print_node(*prepared, id));
    ASSERT_EQ(products.size(), 3u);
    EXPECT_EQ(products[0], "matmul = matmul(b, a, d, transpose_a: true, transpose_b: true)  : f32[5, 3]");
    EXPECT_EQ(products[1], "matmul_1 = matmul(d, d, transpose_a: true)  : f32[3, 3]");
    EXPECT_EQ(products[2], "matmul_2 = matmul(matmul_1, d, transpose_b: true)  : f32[3, 5]");  // read as it is, too
}

TEST(Fuse, WhatLiesInMemoryIsAddedByTheProductItself) {
    Context c;
    constexpr const char* text =
        R"(graph f(a: f32[3, 4], b: f32[4, 5], d: f32[5], e: f32[3, 5]) -> f32[3, 5], f32[3, 5], f32[3, 5] {
    matmul = matmul(a, b)       : f32[3, 5]
    add = add(d, matmul)        : f32[3, 5]
    exp = exp(add)              : f32[3, 5]
    exp_1 = exp(e)              : f32[3, 5]
    matmul_1 = matmul(exp, b, transpose_b: true)  : f32[3, 4]
    matmul_2 = matmul(matmul_1, b)  : f32[3, 5]
    add_1 = add(matmul_2, exp_1)    : f32[3, 5]
    matmul_3 = matmul(add_1, b, transpose_b: true)  : f32[3, 4]
    matmul_4 = matmul(matmul_3, b)  : f32[3, 5]
    add_2 = add(matmul_4, e)        : f32[3, 5]
    add_3 = add(add_2, matmul_4)    : f32[3, 5]
    return exp, add_1, add_3
}
)";
    lower(c, text, {{3, 4}, {4, 5}, {5}, {3, 5}});
    const GraphRef prepared = prepare_fusion(*parse_graph(c, text));
    std::vector<std::string> products;
    for (NodeId id : prepared->body())
        if ((*prepared)[id].op == op<"matmul">()) products.push_back(print_node(*prepared, id));
    ASSERT_EQ(products.size(), 5u);
    EXPECT_EQ(products[0], "matmul = matmul(a, b, d)  : f32[3, 5]");
    EXPECT_EQ(products[2], "matmul_2 = matmul(matmul_1, b)  : f32[3, 5]");  // the other term is not in memory
    EXPECT_EQ(products[4], "matmul_4 = matmul(matmul_3, b)  : f32[3, 5]");  // it is wanted without the other term too
}

TEST(Fuse, DearValuesAreNotComputedTwice) {
    Context c;
    const Lowered l = lower(c, R"(graph f(x: f32[5, 4]) -> f32[4, 5], f32[20], f32[5] {
    exp = exp(x)                               : f32[5, 4]
    permute = permute(exp, axes: [1, 0])       : f32[4, 5]
    neg = neg(permute)                         : f32[4, 5]
    reshape = reshape(exp, sizes: [20])        : f32[20]
    square = square(reshape)                   : f32[20]
    sum = sum(exp, axes: [1], keepdim: false)  : f32[5]
    return neg, square, sum
}
)",
                            {{5, 4}});
    size_t exponentials = 0;
    for (const Node& n : l.loops->nodes) exponentials += n.op == op<"exp">();
    EXPECT_EQ(exponentials, 1u);
    EXPECT_TRUE(l.decided(DecisionKind::not_fused, "needs other elements"));
}

// What a checkpoint computes again is computed where backward needs it: not beside what forward makes of the same
// memory, nor beside the same for another tensor.
TEST(Fuse, ValuesComputedAgainDoNotComeEarlier) {
    Context c;
    const Lowered l =
        lower(c, R"(graph step(x: f32[8, 8], z: f32[8, 8], w: f32[8, 8]) -> f32[8, 8], f32[8, 8], f32[8, 8] {
    exp = exp(x)               : f32[8, 8]  recompute
    exp_1 = exp(z)             : f32[8, 8]  recompute
    matmul = matmul(exp, w)    : f32[8, 8]
    matmul_1 = matmul(exp_1, matmul)  : f32[8, 8]
    exp_2 = exp(x)             : f32[8, 8]  recomputed
    matmul_2 = matmul(exp_2, matmul_1)  : f32[8, 8]
    exp_3 = exp(z)             : f32[8, 8]  recomputed
    matmul_3 = matmul(exp_3, matmul_2)  : f32[8, 8]
    return matmul_1, matmul_2, matmul_3
}
)",
              {{8, 8}, {8, 8}, {8, 8}});
    EXPECT_EQ(l.kernels(), 3u);  // the two of forward are alike: one kernel
    std::vector<size_t> kernels, products;
    for (size_t k = 0; NodeId id : l.loops->body()) {
        if ((*l.loops)[id].op == op<"kernel">()) kernels.push_back(k);
        if ((*l.loops)[id].op == op<"matmul">()) products.push_back(k);
        ++k;
    }
    ASSERT_EQ(products.size(), 4u);
    EXPECT_LT(products[1], kernels[1]);
    EXPECT_LT(products[2], kernels[2]);
}

// A sum with tensors in the places of slices is one buffer, and each is added inside its place; what may be -0.0 is added to
// +0.0 first, once.
TEST(Fuse, PadsOfASumAreAddedInsideTheirPlaces) {
    Context c;
    constexpr const char* text =
        R"(graph f(c: f32[2, 8], a: f32[2, 3], b: f32[2, 4], d: f32[2]) -> f32[2, 8], f32[2, 8], f32[2, 8] {
    pad = pad(a, starts: [0, 1], stops: [2, 4], steps: [1, 1], sizes: [2, 8])    : f32[2, 8]
    add = add(c, pad)                                                            : f32[2, 8]
    pad_1 = pad(b, starts: [0, 0], stops: [2, 8], steps: [1, 2], sizes: [2, 8])  : f32[2, 8]
    add_1 = add(add, pad_1)                                                      : f32[2, 8]
    pad_2 = pad(a, starts: [0, 5], stops: [2, 8], steps: [1, 1], sizes: [2, 8])  : f32[2, 8]
    pad_3 = pad(b, starts: [0, 1], stops: [2, 5], steps: [1, 1], sizes: [2, 8])  : f32[2, 8]
    add_2 = add(pad_2, pad_3)                                                    : f32[2, 8]
    pad_4 = pad(d, starts: [2], stops: [4], steps: [1], sizes: [8])              : f32[8]
    add_3 = add(c, pad_4)                                                        : f32[2, 8]
    return add_1, add_2, add_3
}
)";
    lower(c, text, {{2, 8}, {2, 3}, {2, 4}, {2}});
    const GraphRef prepared = prepare_fusion(*parse_graph(c, text));
    size_t updates = 0, sums_with_zero = 0;
    for (NodeId id : prepared->body()) {
        EXPECT_NE((*prepared)[id].op, op<"pad">());
        updates += (*prepared)[id].op == op<"update">();
        if ((*prepared)[id].op != op<"add">()) continue;
        const NodeId other = prepared->operand(id, 1);
        if ((*prepared)[other].op == op<"constant">() && prepared->type(id).sizes.back() == SizeId(8)) ++sums_with_zero;
    }
    EXPECT_EQ(updates, 5u);         // what is broadcast is a pad by itself
    EXPECT_EQ(sums_with_zero, 1u);  // c's
}

TEST(Fuse, AlikeUpdatesAreOneKernelWithANestEach) {
    Context c;
    const Lowered l = lower(
        c,
        R"(graph step(w: f32[4, 6], b: f32[6], v: f32[4, 6], g: f32[4, 6], h: f32[6], k: f32[4, 6]) -> f32[4, 6], f32[6], f32[4, 6] {
    mul = mul(g, 0.5)    : f32[4, 6]
    sub = sub(w, mul)    : f32[4, 6]
    mul_1 = mul(h, 0.5)  : f32[6]
    sub_1 = sub(b, mul_1)  : f32[6]
    mul_2 = mul(k, 0.5)  : f32[4, 6]
    sub_2 = sub(v, mul_2)  : f32[4, 6]
    return sub, sub_1, sub_2
}
)",
        {{4, 6}, {6}, {4, 6}, {4, 6}, {6}, {4, 6}});
    EXPECT_EQ(l.kernels(), 1u);
    size_t nests = 0;
    for (const Node& n : l.loops->nodes) nests += n.op == op<"for">();
    EXPECT_EQ(nests, 2u);  // one a size
}

TEST(Fuse, MetadataGoesWithTheNodes) {
    Context c;
    const GraphRef g = parse_graph(c, R"(graph f(x: f32[8] {a: 1}) -> f32[8] {
    exp = exp(x)   : f32[8]  {a: 1}
    neg = neg(exp)  : f32[8]  {b: 2}
    return neg
}
)");
    Decisions decisions;
    const GraphRef fused = fuse(*g, decisions);
    EXPECT_EQ(print(*fused), R"(graph f(x: f32[8] {a: 1}) -> f32[8] {
    fusion = fusion(x, name: "f.0")  : f32[8]  {b: 2} (in: f32[8] {a: 1}) {
        exp = exp(in)   : f32[8]  {a: 1}
        neg = neg(exp)  : f32[8]  {b: 2}
        yield neg  {b: 2}
    }
    return fusion
}
)");
}

}  // namespace
}  // namespace tenon
