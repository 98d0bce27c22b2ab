// Simplification and specialisation on textual graphs.
#include <gtest/gtest.h>

#include "ir/build/builder.h"
#include "ir/passes/passes.h"
#include "ir/passes/rules.h"
#include "ir/text/text.h"

namespace tenon {
namespace {

std::string simplified(Context& c, const char* text) {
    const GraphRef before = parse_graph(c, text), after = simplify(*before);
    verify(*after);
    EXPECT_TRUE(equal(*after, *parse_graph(c, print(*after)))) << print(*after);
    for (size_t k = 0; k < before->results().size(); ++k)
        EXPECT_EQ((*before)[before->results()[k]].type, (*after)[after->results()[k]].type);
    return print(*after);
}

TEST(Simplify, AppliesRulesWhereTheTypeStays) {
    Context c;
    EXPECT_EQ(simplified(c, R"(graph f(x: f32[3], s: f32[]) -> f32[3], f32[3] {
    mul = mul(x, 1)      : f32[3]
    neg = neg(mul)       : f32[3]
    neg_1 = neg(neg)     : f32[3]
    sub = sub(neg_1, 0)  : f32[3]
    where = where(true, s, x) : f32[3]
    return sub, where
})"),
              R"(graph f(x: f32[3], s: f32[]) -> f32[3], f32[3] {
    where = where(true, s, x)  : f32[3]
    return x, where
}
)");
}

// What a write through a view has left there is read as it was written; the way to the view itself stays a way from its base.
TEST(Simplify, ReadsWhatAnUpdateHasWritten) {
    Context c;
    EXPECT_EQ(simplified(c, R"(graph f(x: f32[4], v: f32[2]) -> f32[4], f32[2], f32[2] {
    slice = slice(x, starts: [1], stops: [3], steps: [1])           : f32[2]
    update = update(x, slice, v)                                    : f32[4]
    slice_1 = slice(update, starts: [1], stops: [3], steps: [1])    : f32[2]
    mul = mul(slice_1, 2)                                           : f32[2]
    update_1 = update(update, slice_1, mul)                         : f32[4]
    slice_2 = slice(update_1, starts: [1], stops: [3], steps: [1])  : f32[2]
    exp = exp(slice_2)                                              : f32[2]
    slice_3 = slice(update_1, starts: [0], stops: [2], steps: [1])  : f32[2]
    sin = sin(slice_3)                                              : f32[2]
    return update_1, exp, sin
})"),
              R"(graph f(x: f32[4], v: f32[2]) -> f32[4], f32[2], f32[2] {
    slice = slice(x, starts: [1], stops: [3], steps: [1])  : f32[2]
    update = update(x, slice, v)             : f32[4]
    slice_1 = slice(update, starts: [1], stops: [3], steps: [1])  : f32[2]
    mul = mul(v, 2)                          : f32[2]
    update_1 = update(update, slice_1, mul)  : f32[4]
    exp = exp(mul)                           : f32[2]
    slice_3 = slice(update_1, starts: [0], stops: [2], steps: [1])  : f32[2]
    sin = sin(slice_3)                       : f32[2]
    return update_1, exp, sin
}
)");
}

TEST(Simplify, KeepsWhatIsNotExact) {
    Context c;
    const char* text = R"(graph f(x: f32[3]) -> f32[3], f32[3] {
    add = add(x, 0)    : f32[3]
    exp = exp(x)       : f32[3]
    log = log(exp)     : f32[3]
    return add, log
}
)";
    const std::string out = simplified(c, text);
    EXPECT_NE(out.find("add(x, 0)"), std::string::npos);
    EXPECT_NE(out.find("log(exp)"), std::string::npos);
}

TEST(Simplify, NumbersValuesButNotAcrossMetadataOrMarks) {
    Context c;
    EXPECT_EQ(simplified(c, R"(graph f(x: f32[3]) -> f32[3] {
    sin = sin(x)           : f32[3]
    sin_1 = sin(x)         : f32[3]
    sin_2 = sin(x)         : f32[3]  {stage: 1}
    sin_3 = sin(x)         : f32[3]  recomputed
    add = add(sin, sin_1)  : f32[3]
    add_1 = add(sin_2, sin_3)  : f32[3]
    add_2 = add(add, add_1)  : f32[3]
    return add_2
})"),
              R"(graph f(x: f32[3]) -> f32[3] {
    sin = sin(x)               : f32[3]
    sin_2 = sin(x)             : f32[3]  {stage: 1}
    sin_3 = sin(x)             : f32[3]  recomputed
    add = add(sin, sin)        : f32[3]
    add_1 = add(sin_2, sin_3)  : f32[3]
    add_2 = add(add, add_1)    : f32[3]
    return add_2
}
)");
}

TEST(Simplify, ComposesMovement) {
    Context c;
    EXPECT_EQ(simplified(c, R"(graph f(x: f32[2, 3, 4]) -> f32[2, 3, 4], f32[24], f32[4, 3, 2] {
    permute = permute(x, axes: [2, 0, 1])          : f32[4, 2, 3]
    permute_1 = permute(permute, axes: [1, 2, 0])  : f32[2, 3, 4]
    reshape = reshape(x, sizes: [6, 4])            : f32[6, 4]
    reshape_1 = reshape(reshape, sizes: [24])      : f32[24]
    permute_2 = permute(permute, axes: [0, 2, 1])  : f32[4, 3, 2]
    return permute_1, reshape_1, permute_2
})"),
              R"(graph f(x: f32[2, 3, 4]) -> f32[2, 3, 4], f32[24], f32[4, 3, 2] {
    reshape = reshape(x, sizes: [24])      : f32[24]
    permute = permute(x, axes: [2, 1, 0])  : f32[4, 3, 2]
    return x, reshape, permute
}
)");
}

TEST(Simplify, FoldsLiteralsAndPowersOfTwo) {
    Context c;
    EXPECT_EQ(simplified(c, R"(graph f(x: f32[3]) -> f32[3], f32[3] {
    sub = sub(1:f32, 0.75:f32)   : f32[]
    mul = mul(x, sub)        : f32[3]
    div = div(mul, 64)       : f32[3]
    div_1 = div(x, 3)        : f32[3]
    return div, div_1
})"),
              R"(graph f(x: f32[3]) -> f32[3], f32[3] {
    mul = mul(x, 0.25)          : f32[3]
    mul_1 = mul(mul, 0.015625)  : f32[3]
    div_1 = div(x, 3)           : f32[3]
    return mul_1, div_1
}
)");
}

TEST(Specialise, WritesConstantsAndRenumbersSymbols) {
    Context c;
    const GraphRef g = parse_graph(c, R"(graph f(x: f32[n, m]) -> f32[n*m] {
    reshape = reshape(x, sizes: [n*m])  : f32[n*m]
    return reshape
})");
    const int64_t values[] = {4, 7};
    const std::vector<bool> keep_m{false, true}, none{false, false};
    EXPECT_EQ(print(*specialise(*g, values, keep_m)), R"(graph f(x: f32[4, m]) -> f32[4*m] {
    reshape = reshape(x, sizes: [4*m])  : f32[4*m]
    return reshape
}
)");
    EXPECT_EQ(print(*specialise(*g, values, none)), R"(graph f(x: f32[4, 7]) -> f32[28] {
    reshape = reshape(x, sizes: [28])  : f32[28]
    return reshape
}
)");
}

TEST(Rules, AreWellFormed) {
    Context c;
    Builder b(c);
    EXPECT_GT(rules().size(), 20u);
    const SizeId sizes[] = {SizeId(2)};
    const NodeId x = b.parameter(c.tensor(DType::f32, sizes));
    const NodeId operands[] = {x, b.literal(1.0, DType::f32)};
    const Replacement r = apply_rules(b, op<"mul">(), b.node(x).type, operands);
    ASSERT_TRUE(r.rule);
    EXPECT_EQ(r.rule->name, "mul-one");
    EXPECT_EQ(r.value, x);
}

}  // namespace
}  // namespace tenon
