// The loops that schedule makes of fused graphs: they keep their meaning, which is compared with the naive evaluation of the graph before.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "tests/ir/lowering.h"

namespace tenon {
namespace {

using naive::Array;

TEST(Schedule, AnElementwiseChainIsOneLoopOverAllElements) {
    Context c;
    const Lowered l = lower(c, R"(graph f(x: f32[4, 8, 3]) -> f32[4, 8, 3] {
    exp = exp(x)       : f32[4, 8, 3]
    sub = sub(exp, 2)  : f32[4, 8, 3]
    mul = mul(sub, x)  : f32[4, 8, 3]
    return mul
}
)",
                            {{4, 8, 3}});
    EXPECT_EQ(print(*l.loops), R"(graph f(x: f32[4, 8, 3]) -> f32[4, 8, 3] {
    kernel = kernel(x, name: "f.0")  : f32[4, 8, 3] (in: buffer f32, out: buffer f32) {
        extent = extent(value: 0)     : index
        extent_1 = extent(value: 96)  : index
        for(extent, extent_1, kind: "vector", step: 1) (i: index) {
            load = load(in, i)    : f32
            exp = exp(load)       : f32
            sub = sub(exp, 2)     : f32
            mul = mul(sub, load)  : f32
            store(out, i, mul)
            yield
        }
        yield
    }
    return kernel
}
)");
}

TEST(Schedule, SoftmaxIsOneKernelAndTakesEachExponentialOnce) {
    Context c;
    const Lowered l = lower(c, R"(graph softmax(x: f32[n, 40]) -> f32[n, 40] {
    max = max(x, axes: [1], keepdim: true)    : f32[n, 1]
    sub = sub(x, max)                         : f32[n, 40]
    exp = exp(sub)                            : f32[n, 40]
    sum = sum(exp, axes: [1], keepdim: true)  : f32[n, 1]
    div = div(exp, sum)                       : f32[n, 40]
    return div
}
)",
                            {{6, 40}});
    EXPECT_EQ(l.kernels(), 1u);
    EXPECT_TRUE(l.decided(DecisionKind::kept));
    // A row is gone through three times: for its maximum, for what is kept and summed at once, for the quotients.
    size_t exponentials = 0, kept = 0, loops = 0, folds = 0;
    for (const Node& n : l.loops->nodes) {
        exponentials += n.op == op<"exp">();
        kept += n.op == op<"scratch">();
        folds += n.op == op<"fold">();
        loops += n.op == op<"for">() && Attributes{*l.loops->context, n.attr}.text("kind") == "vector";
    }
    EXPECT_EQ(exponentials, 1u);
    EXPECT_EQ(kept, 1u);
    EXPECT_EQ(folds, 2u);
    EXPECT_EQ(loops, 1u);
}

// How many elements go to a result is said where caches may not hold them, and none of them is loaded again.
TEST(Schedule, StoresOfLargeResultsSayHowMuchTheyAre) {
    Context c;
    const auto sizes = [&](const char* text) {
        Decisions decisions;
        const GraphRef loops = schedule(*fuse(*parse_graph(c, text), decisions), Target{}, decisions);
        std::vector<std::string> all;
        for (uint32_t k = 0; k < loops->nodes.size(); ++k) {
            if (loops->nodes[k].op != op<"store">()) continue;
            const auto operands = loops->operands_of(NodeId(k));
            all.push_back(operands.size() < 4 ? "" : c.to_string(loops->attributes(operands[3]).size("value"), {"n"}));
            if (loops->attributes(NodeId(k)).flag("after_folds")) all.back() += " after folds";
        }
        return all;
    };
    EXPECT_EQ(sizes(R"(graph f(x: f32[3000, 1000]) -> f32[3000, 1000] {
    exp = exp(x)  : f32[3000, 1000]
    return exp
}
)"),
              std::vector<std::string>{"3000000"});
    EXPECT_EQ(sizes(R"(graph f(x: f32[300, 1000]) -> f32[300, 1000] {
    exp = exp(x)  : f32[300, 1000]
    return exp
}
)"),
              std::vector<std::string>{""});
    // What the kernel loads again stays in the caches.
    EXPECT_EQ(sizes(R"(graph f(x: f32[3000, 1000]) -> f32[3000, 1000], f32[3000, 1000] {
    exp = exp(x)                              : f32[3000, 1000]
    sum = sum(exp, axes: [1], keepdim: true)  : f32[3000, 1]
    div = div(exp, sum)                       : f32[3000, 1000]
    return exp, div
}
)"),
              (std::vector<std::string>{"", "3000000 after folds"}));
}

TEST(Schedule, LayerNormAndItsGainAreOneKernel) {
    Context c;
    const Lowered l = lower(c, R"(graph norm(x: f32[9, 50], g: f32[50]) -> f32[9, 50] {
    sum = sum(x, axes: [1], keepdim: true)         : f32[9, 1]
    mean = mul(sum, 0.02)                          : f32[9, 1]
    sub = sub(x, mean)                             : f32[9, 50]
    square = square(sub)                           : f32[9, 50]
    sum_1 = sum(square, axes: [1], keepdim: true)  : f32[9, 1]
    var = mul(sum_1, 0.02)                         : f32[9, 1]
    rsqrt = rsqrt(var)                             : f32[9, 1]
    mul = mul(sub, rsqrt)                          : f32[9, 50]
    mul_1 = mul(mul, g)                            : f32[9, 50]
    return mul_1
}
)",
                            {{9, 50}, {50}});
    EXPECT_EQ(l.kernels(), 1u);
}

// A dimension backwards is a position that falls: what its quotients reach is counted from where it begins.
TEST(Schedule, DimensionsBackwardsAreReadWhereTheyLie) {
    Context c;
    lower(c, R"(graph f(x: f32[7, 3, 3, 3], y: f32[10, 4]) -> f32[3], f32[6, 4] {
    permute = permute(x, axes: [1, 0, 2, 3])          : f32[3, 7, 3, 3]
    reshape = reshape(permute, sizes: [3, 7, 9])      : f32[3, 7, 9]
    flip = flip(reshape, axes: [1, 2])                : f32[3, 7, 9]
    mul = mul(flip, 0.5)                              : f32[3, 7, 9]
    sum = sum(mul, axes: [1, 2], keepdim: false)      : f32[3]
    reshape_1 = reshape(y, sizes: [2, 5, 4])          : f32[2, 5, 4]
    permute_1 = permute(reshape_1, axes: [1, 0, 2])   : f32[5, 2, 4]
    reshape_2 = reshape(permute_1, sizes: [10, 4])    : f32[10, 4]
    flip_1 = flip(reshape_2, axes: [0])               : f32[10, 4]
    slice = slice(flip_1, starts: [4, 0], stops: [10, 4], steps: [1, 1])  : f32[6, 4]
    neg = neg(slice)                                  : f32[6, 4]
    return sum, neg
}
)",
          {{7, 3, 3, 3}, {10, 4}});
}

// A fold that no row changes runs before the loops over rows, where there is no row to keep an expensive value of.
TEST(Schedule, AFoldThatIsTheSameForEveryRowKeepsNothing) {
    Context c;
    const Lowered one = lower(c, R"(graph f(x: f32[3]) -> f32[2, 3], f32[2] {
    expand = expand(x, sizes: [2, 3])          : f32[2, 3]
    exp = exp(expand)                          : f32[2, 3]
    sum = sum(exp, axes: [1], keepdim: false)  : f32[2]
    return exp, sum
}
)",
                              {{3}});
    EXPECT_EQ(one.kernels(), 1u);
    const Lowered two = lower(c, R"(graph f(x: f32[3], y: f32[2, 3]) -> f32[2, 3] {
    expand = expand(x, sizes: [2, 3])           : f32[2, 3]
    exp = exp(expand)                           : f32[2, 3]
    sum = sum(exp, axes: [1], keepdim: true)    : f32[2, 1]
    mul = mul(exp, y)                           : f32[2, 3]
    sum_1 = sum(mul, axes: [1], keepdim: true)  : f32[2, 1]
    add = add(sum, sum_1)                       : f32[2, 1]
    div = div(exp, add)                         : f32[2, 3]
    return div
}
)",
                              {{3}, {2, 3}});
    EXPECT_EQ(two.kernels(), 1u);
}

TEST(Schedule, LongReductionsAreSplitIntoTheContractsChunks) {
    Context c;
    const Lowered l = lower(c, R"(graph f(x: f32[70000], y: f32[20000, 8]) -> f32[], f32[8] {
    square = square(x)                              : f32[70000]
    sum = sum(square, axes: [0], keepdim: false)    : f32[]
    sqrt = sqrt(sum)                                : f32[]
    sum_1 = sum(y, axes: [0], keepdim: false)       : f32[8]
    mul = mul(sum_1, 0.5)                           : f32[8]
    return sqrt, mul
}
)",
                            {{70000}, {20000, 8}});
    EXPECT_EQ(l.kernels(), 2u);
    EXPECT_TRUE(l.decided(DecisionKind::split, "chunks of 1024"));
    EXPECT_TRUE(l.decided(DecisionKind::split, "chunks of 64"));
}

TEST(Schedule, BlocksOfParallelLoopsCoverEverything) {
    Context c;
    const Lowered l = lower(
        c,
        R"(graph f(x: f32[50001], y: f32[700, 99], b: f32[99], z: f32[3, 20000]) -> f32[50001], f32[700, 99], f32[3, 20000], f32[99, 700] {
    neg = neg(x)                            : f32[50001]
    add = add(y, b)                         : f32[700, 99]
    slice = slice(z, starts: [0, 1], stops: [3, 2], steps: [1, 1])  : f32[3, 1]
    add_1 = add(z, slice)                   : f32[3, 20000]
    permute = permute(y, axes: [1, 0])      : f32[99, 700]
    return neg, add, add_1, permute
}
)",
        {{50001}, {700, 99}, {99}, {3, 20000}});
    EXPECT_TRUE(l.decided(DecisionKind::parallel));
}

TEST(Schedule, UpdatesBeginWithTheirBase) {
    Context c;
    lower(c, R"(graph f(x: f32[4, 6], v: f32[2, 2]) -> f32[4, 6], f32[4, 6], f32[4, 6] {
    slice = slice(x, starts: [0, 1], stops: [4, 5], steps: [2, 2])    : f32[2, 2]
    neg = neg(v)                                                      : f32[2, 2]
    update = update(x, slice, neg)                                    : f32[4, 6]
    slice_1 = slice(x, starts: [0, 0], stops: [3, 6], steps: [1, 1])  : f32[3, 6]
    slice_2 = slice(x, starts: [1, 0], stops: [4, 6], steps: [1, 1])  : f32[3, 6]
    update_1 = update(x, slice_2, slice_1)                            : f32[4, 6]
    exp = exp(update_1)                                               : f32[4, 6]
    permute = permute(exp, axes: [1, 0])                              : f32[6, 4]
    slice_3 = slice(permute, starts: [2, 0], stops: [3, 4], steps: [1, 1])  : f32[1, 4]
    reshape = reshape(slice_3, sizes: [4])                            : f32[4]
    iota = iota(sizes: [4], dtype: f32)                               : f32[4]
    update_2 = update(exp, reshape, iota)                             : f32[4, 6]
    return update, update_1, update_2
}
)",
          {{4, 6}, {2, 2}});
}

// A load that its loops have in common stands before them: it must not, where they have no turn and the memory no element.
TEST(Schedule, NothingIsReadOfTensorsWithoutElements) {
    Context c;
    lower(c, R"(graph f(x: f32[0, 5, 3], y: f32[0, 1, 3]) -> f32[3], f32[3] {
    add = add(x, y)                       : f32[0, 5, 3]
    sum = sum(add, axes: [0, 1], keepdim: false)  : f32[3]
    mul = mul(sum, 2)                     : f32[3]
    return sum, mul
}
)",
          {{0, 5, 3}, {0, 1, 3}});
    lower(c, R"(graph f(x: f32[3, 0, 5], y: f32[3, 0, 1]) -> f32[3] {
    mul = mul(x, y)                       : f32[3, 0, 5]
    sum = sum(mul, axes: [1, 2], keepdim: false)  : f32[3]
    return sum
}
)",
          {{3, 0, 5}, {3, 0, 1}});
    lower(c, R"(graph f(x: f32[0, 5], y: f32[0, 1], a: f32[2, 5], b: f32[2, 1]) -> f32[0, 5], f32[2, 5] {
    add = add(x, y)    : f32[0, 5]
    add_1 = add(a, b)  : f32[2, 5]
    return add, add_1
}
)",
          {{0, 5}, {0, 1}, {2, 5}, {2, 1}});
    lower(c, R"(graph f(x: f32[3, 0], a: f32[2, 0]) -> f32[0, 3], f32[5, 0], f32[6, 0] {
    permute = permute(x, axes: [1, 0])         : f32[0, 3]
    exp = exp(permute)                         : f32[0, 3]
    cat = cat(x, a, axis: 0)                   : f32[5, 0]
    reshape = reshape(permute, sizes: [6, 0])  : f32[6, 0]
    neg = neg(reshape)                         : f32[6, 0]
    return exp, cat, neg
}
)",
          {{3, 0}, {2, 0}});
}

TEST(Schedule, SymbolicSizesGiveTheSameValues) {
    Context c;
    const char* text = R"(graph f(x: f32[n, m], y: f32[m, n]) -> f32[n, m], f32[n], f32[m], f32[], f32[n*m], f32[] {
    permute = permute(y, axes: [1, 0])            : f32[n, m]
    add = add(x, permute)                         : f32[n, m]
    tanh = tanh(add)                              : f32[n, m]
    sum = sum(tanh, axes: [1], keepdim: false)    : f32[n]
    sum_1 = sum(tanh, axes: [0], keepdim: false)  : f32[m]
    sum_2 = sum(tanh, axes: [0, 1], keepdim: false)  : f32[]
    reshape = reshape(permute, sizes: [n*m])      : f32[n*m]
    neg = neg(reshape)                            : f32[n*m]
    size = size(value: n*m, dtype: f32)           : f32[]
    div = div(sum_2, size)                        : f32[]
    return tanh, sum, sum_1, sum_2, neg, div
}
)";
    lower(c, text, {{5, 7}, {7, 5}});
    lower(c, text, {{64, 33}, {33, 64}});
}

TEST(Schedule, HalfPrecisionSumsAccumulateInSingle) {
    Context c;
    const Lowered l = lower(c, R"(graph f(x: f16[4, 6, 3]) -> f16[6] {
    sum = sum(x, axes: [0, 2], keepdim: false)  : f16[6]
    return sum
}
)",
                            {{4, 6, 3}});
    for (uint32_t i = 0; i < l.loops->nodes.size(); ++i)
        if ((*l.loops)[NodeId(i)].op == op<"fold">()) { EXPECT_EQ(l.loops->type(NodeId(i)).dtype, DType::f32); }
}

}  // namespace
}  // namespace tenon
