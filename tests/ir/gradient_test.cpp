// Reverse mode and the split, against the listings of ANN-01 to ANN-05.
#include <gtest/gtest.h>

#include "ir/build/copier.h"
#include "ir/differentiate/gradient.h"
#include "ir/fusion/minimum_cut.h"
#include "ir/fusion/rematerialise.h"
#include "ir/passes/passes.h"
#include "ir/text/text.h"

namespace tenon {
namespace {

Split split_of(const GraphRef& g) {
    std::vector<size_t> results{0}, wrt;
    for (size_t k = 0; k < g->params().size(); ++k) wrt.push_back(k);
    return split_joint(make_joint(*g, results, wrt, false));
}

TEST(Split, Ann01) {
    Context c;
    const Split s = split_of(parse_graph(c, R"(graph f(x: f32[n] {pp_stage: 0, fdsp_bucket: 0}) -> f32[n] {
    sin = sin(x)       : f32[n]  {pp_stage: 0, fdsp_bucket: 0}
    sub = sub(sin, 2)  : f32[n]  {pp_stage: 0}
    mul = mul(sub, 2)  : f32[n]  {pp_stage: 0, cuda_stream: 2, fdsp_bucket: 1}
    div = div(mul, 3)  : f32[n]
    return div
})"));
    EXPECT_EQ(print(*s.backward), R"(graph f.backward(x: f32[n], grad: f32[n]) -> f32[n] {
    div_1 = div(grad, 3)     : f32[n]  d div
    mul_1 = mul(div_1, 2)    : f32[n]  {pp_stage: 0, cuda_stream: 2, fdsp_bucket: 1}  d mul
    cos = cos(x)             : f32[n]  {pp_stage: 0, fdsp_bucket: 0}  d sin
    mul_2 = mul(mul_1, cos)  : f32[n]  {pp_stage: 0, fdsp_bucket: 0}  d sin
    return mul_2
}
)");
    EXPECT_EQ(s.forward->body().size(), 4u);
    ASSERT_EQ(s.saved.size(), 1u);
    EXPECT_TRUE(s.saved[0].is_input);
    EXPECT_TRUE(equal(*s.backward, *parse_graph(c, print(*s.backward))));
}

// A checkpoint's inside is recomputed in backward, and keeps its metadata.
TEST(Split, Ann03) {
    Context c;
    const Split s = split_of(parse_graph(c, R"(graph f(x: f32[10]) -> f32[10] {
    call = call(x, name: "gn", kind: "checkpoint")  : f32[10] (arg: f32[10]) {
        add = add(arg, 1)      : f32[10]
        sin = sin(add)         : f32[10]  {stage: 0}
        add_1 = add(sin, 1)    : f32[10]
        yield add_1
    }
    sigmoid = sigmoid(call)  : f32[10]
    return sigmoid
})"));
    EXPECT_EQ(print(*s.backward), R"(graph f.backward(x: f32[10], sigmoid: f32[10], grad: f32[10]) -> f32[10] {
    sub = sub(1, sigmoid)    : f32[10]  d sigmoid
    mul = mul(sigmoid, sub)  : f32[10]  d sigmoid
    mul_1 = mul(grad, mul)   : f32[10]  d sigmoid
    add_2 = add(x, 1)        : f32[10]  recomputed
    cos = cos(add_2)         : f32[10]  {stage: 0}  d sin
    mul_2 = mul(mul_1, cos)  : f32[10]  {stage: 0}  d sin
    return mul_2
}
)");
    EXPECT_EQ(s.saved.size(), 2u);
}

TEST(Reverse, UnbroadcastsAndSumsFanOutsInOneLeftFold) {
    Context c;
    const Split s = split_of(parse_graph(c, R"(graph f(x: f32[4, 3], b: f32[3]) -> f32[4, 3] {
    add = add(x, b)    : f32[4, 3]
    mul = mul(add, x)  : f32[4, 3]
    return mul
})"));
    EXPECT_EQ(print(*s.backward),
              R"(graph f.backward(x: f32[4, 3], add: f32[4, 3], grad: f32[4, 3]) -> f32[4, 3], f32[3] {
    mul_1 = mul(grad, x)                         : f32[4, 3]  d mul
    mul_2 = mul(grad, add)                       : f32[4, 3]  d mul
    add_1 = add(mul_2, mul_1)                    : f32[4, 3]  d add
    sum = sum(mul_1, axes: [0], keepdim: false)  : f32[3]     d add
    return add_1, sum
}
)");
}

TEST(Reverse, HigherOrder) {  // d²(x³)/dx² = 6x, by reverse over the joint graph
    Context c;
    const GraphRef f = parse_graph(c, "graph f(x: f64[]) -> f64[] {\n pow = pow(x, 3) : f64[]\n return pow\n}");
    Builder b(c);
    Copier copy(*f, b);
    copy.copy_params();
    copy.copy_body();
    const NodeId x = b.params()[0];
    const NodeId y[] = {copy(f->results()[0])}, wrt[] = {x};
    const NodeId first[] = {reverse(b, {y, {}, wrt, {}})[0]};
    const NodeId second[] = {reverse(b, {first, {}, wrt, {}})[0]};
    const GraphRef g = b.finish(second);
    verify(*g);
    EXPECT_NE(print(*g).find("pow(x, 1)"), std::string::npos) << print(*g);
}

// What is marked is computed again for each run of derivatives, down to what is kept; values that others use are kept.
TEST(Recompute, ComputesAgainWhatOnlyDerivativesRead) {
    Context c;
    const GraphRef g = recompute(parse_graph(c, R"(graph f(x: f32[2]) -> f32[2], f32[2] {
    exp = exp(x)           : f32[2]  recompute
    sin = sin(exp)         : f32[2]  recompute
    tanh = tanh(exp)       : f32[2]  recompute
    cos = cos(sin)         : f32[2]
    mul = mul(tanh, cos)   : f32[2]  d sin
    mul_1 = mul(mul, sin)  : f32[2]  d sin
    add = add(mul_1, cos)  : f32[2]
    mul_2 = mul(add, tanh) : f32[2]  d cos
    return mul_1, mul_2
})"));
    EXPECT_EQ(print(*g), R"(graph f(x: f32[2]) -> f32[2], f32[2] {
    exp = exp(x)              : f32[2]  recompute
    sin = sin(exp)            : f32[2]  recompute
    cos = cos(sin)            : f32[2]
    exp_1 = exp(x)            : f32[2]  recomputed
    tanh = tanh(exp_1)        : f32[2]  recomputed
    mul = mul(tanh, cos)      : f32[2]  d sin
    mul_1 = mul(mul, sin)     : f32[2]  d sin
    add = add(mul_1, cos)     : f32[2]
    exp_2 = exp(x)            : f32[2]  recomputed
    tanh_1 = tanh(exp_2)      : f32[2]  recomputed
    mul_2 = mul(add, tanh_1)  : f32[2]  d cos
    return mul_1, mul_2
}
)");
    EXPECT_EQ(recompute(g), g);  // nothing is left to do
}

// The halves of a graph of f32[8], the gradient of its first parameter asked for, before and after.
struct Halves {
    Split plain, lean;
    Decisions decisions;
};
Halves rematerialised(Context& c, std::string_view text) {
    const std::vector<size_t> first{0};
    const Joint joint = make_joint(*parse_graph(c, text), first, first, false);
    Halves halves{split_joint(joint), {}, {}};
    halves.lean = rematerialise(halves.plain, halves.decisions);
    verify(*halves.lean.forward);
    verify(*halves.lean.backward);
    return halves;
}
std::string saved_names(const Split& split) {
    std::string names;
    for (NodeId p : split.backward->params().first(split.saved.size()))
        names += (names.empty() ? "" : " ") + std::string(split.backward->name_of(p));
    return names;
}

TEST(Rematerialise, DropsCheapValuesOfWhatIsKept) {
    Context c;
    const Halves h = rematerialised(c, R"(graph f(x: f32[8]) -> f32[8] {
    add = add(x, 1)      : f32[8]
    mul = mul(x, add)    : f32[8]
    return mul
})");
    EXPECT_EQ(saved_names(h.plain), "x add");
    EXPECT_EQ(saved_names(h.lean), "x");
    EXPECT_TRUE(h.lean.saved[0].is_input);
    EXPECT_EQ(h.lean.forward->results().size(), 1u);
    ASSERT_EQ(h.decisions.size(), 1u);
    EXPECT_EQ(h.decisions[0].what, DecisionKind::recomputed);
}

// Two values of one that is as large as each: it is kept, and they are not.
TEST(Rematerialise, KeepsTheOneThatOthersAreComputedFrom) {
    Context c;
    const Halves h = rematerialised(c, R"(graph f(x: f32[8, 8], w: f32[8, 8]) -> f32[8, 8] {
    matmul = matmul(x, w)  : f32[8, 8]
    half = mul(matmul, 0.5) : f32[8, 8]
    more = add(matmul, 1)  : f32[8, 8]
    mul = mul(half, more)  : f32[8, 8]
    return mul
})");
    EXPECT_EQ(saved_names(h.plain), "w half more");
    EXPECT_EQ(saved_names(h.lean), "w matmul");
}

// A mask of bools is a quarter of what it was compared from.
TEST(Rematerialise, KeepsWhatIsSmall) {
    Context c;
    const Halves h = rematerialised(c, R"(graph f(x: f32[8, 8], w: f32[8, 8]) -> f32[8, 8] {
    matmul = matmul(w, w)          : f32[8, 8]
    mask = greater(matmul, 0.5)    : bool[8, 8]
    where = where(mask, x, 0:f32)  : f32[8, 8]
    return where
})");
    EXPECT_EQ(saved_names(h.lean), "mask");
}

// What costs much is kept where there is little of it, and computed again where it leaves the caches; where both cost the
// same, as an exponential of f32 does in the caches, memory is spared.
TEST(Rematerialise, WeighsArithmeticAgainstRoom) {
    for (const std::string dtype : {"f16", "f32"})
        for (const bool is_large : {false, true}) {
            Context c;
            std::string text = R"(graph f(x: DTYPE[N, 8], w: DTYPE[8, 8]) -> DTYPE[N, 8] {
    matmul = matmul(x, w)  : DTYPE[N, 8]
    exp = exp(matmul)      : DTYPE[N, 8]
    mul = mul(matmul, exp) : DTYPE[N, 8]
    return mul
})";
            for (size_t at; (at = text.find("DTYPE")) != std::string::npos;) text.replace(at, 5, dtype);
            for (size_t at; (at = text.find('N')) != std::string::npos;)
                text.replace(at, 1, is_large ? "1048576" : "8");
            EXPECT_EQ(saved_names(rematerialised(c, text).lean),
                      is_large || dtype == "f32" ? "w matmul" : "w matmul exp");
        }
}

// Of what is drawn nothing is kept past the caches, not even a mask; in them a mask costs less than drawing again.
TEST(Rematerialise, DrawsAgainPastTheCaches) {
    for (const bool is_large : {false, true}) {
        Context c;
        std::string text = R"(graph f(x: f32[N, 8], k: i64[], o: i64[]) -> f32[N, 8] {
    random = random(k, o, sizes: [N, 8], dtype: f32)  : f32[N, 8]
    mask = greater_equal(random, 0.25)                : bool[N, 8]
    where = where(mask, x, 0:f32)                     : f32[N, 8]
    return where
})";
        for (size_t at; (at = text.find('N')) != std::string::npos;) text.replace(at, 1, is_large ? "1048576" : "8");
        EXPECT_EQ(saved_names(rematerialised(c, text).lean), is_large ? "k o" : "mask");
    }
}

// A composite's gradient is a formula of its result alone, and what it is made of can be computed again from its operand.
TEST(Rematerialise, KeepsOfCompositesWhatTheirFormulasName) {
    Context c;
    const auto saved = [&](std::string_view text) { return saved_names(rematerialised(c, text).lean); };
    EXPECT_EQ(saved(R"(graph f(x: f32[64, 80]) -> f32[64, 80] {
    softmax = softmax(x, axis: 1)  : f32[64, 80]
    return softmax
})"),
              "softmax");
    EXPECT_EQ(saved(R"(graph f(x: f32[64, 80]) -> f32[64] {
    log_softmax = log_softmax(x, axis: 1)         : f32[64, 80]
    sum = sum(log_softmax, axes: [1])             : f32[64]
    return sum
})"),
              "x max log");
}

// In a whole step, too: what is kept has memory of its own, and copies stand where derivatives begin to read them.
TEST(Rematerialise, WholeSteps) {
    Context c;
    const GraphRef g = parse_graph(c, R"(graph f(x: f32[8, 8], w: f32[8, 8]) -> f32[8, 8], f32[8, 8] {
    matmul = matmul(x, w)     : f32[8, 8]
    half = mul(matmul, 0.5)   : f32[8, 8]
    more = add(matmul, 1)     : f32[8, 8]
    y = mul(half, more)       : f32[8, 8]
    matmul_1 = matmul(y, w)   : f32[8, 8]
    a = mul(matmul_1, half)   : f32[8, 8]  d mul
    b = mul(a, more)          : f32[8, 8]  d mul
    return matmul_1, b
}
)");
    Decisions decisions;
    const Rematerialised made = rematerialise_step(g, decisions);
    verify(*made.graph);
    std::string again, kept;
    for (NodeId id : made.graph->body()) {
        const std::string name(made.graph->name_of(id));
        if ((*made.graph)[id].flags & recomputed_flag) again += name + " ";
        if (made.kept[id.index]) kept += name + " ";
    }
    EXPECT_EQ(again, "half_1 more_1 ") << print(*made.graph);
    EXPECT_EQ(kept, "") << "a product has memory anyway";
    EXPECT_EQ(decisions.size(), 3u);
}

TEST(MinimumCut, IsTheCheapestAndNearestToTheSink) {
    MinimumCut cut(4);
    cut.edge(0, 1, 3);
    cut.edge(1, 2, 3);
    cut.edge(2, 3, 3);
    cut.edge(0, 2, 1);
    EXPECT_EQ(cut.sink_side(0, 3), (std::vector<bool>{false, false, false, true}));
    MinimumCut both(4);  // 3 of one way, 2 of the other
    both.edge(0, 1, 3);
    both.edge(1, 3, 5);
    both.edge(0, 2, 7);
    both.edge(2, 3, 2);
    EXPECT_EQ(both.sink_side(0, 3), (std::vector<bool>{false, true, false, true}));
}

}  // namespace
}  // namespace tenon
