// cond and while_loop against what they stand for, written out: the side taken, the turns there are.
#include <gtest/gtest.h>

#include <cmath>

#include "ir/build/copier.h"
#include "ir/build/regions.h"
#include "ir/differentiate/regions.h"
#include "ir/passes/batch.h"
#include "ir/passes/passes.h"
#include "ir/regions.h"
#include "ir/row.h"
#include "ir/text/text.h"
#include "jit/op_by_op.h"
#include "tests/jit/computer.h"
#include "tests/jit/regions/inputs.h"

namespace tenon {
namespace {

std::vector<size_t> floats(const Graph& g, std::span<const NodeId> nodes) {
    std::vector<size_t> found;
    for (size_t k = 0; k < nodes.size(); ++k)
        if (is_float(g.type(nodes[k]).dtype)) found.push_back(k);
    return found;
}
Joint derivative(const GraphRef& g) { return make_joint(*g, floats(*g, g->results()), floats(*g, g->params()), false); }
NodeId unary(Builder& builder, Op o, NodeId x) { return builder.emit(o, std::array<NodeId, 1>{x}); }
size_t count_nodes(const Graph& g, Op o) {
    return size_t(std::count_if(g.body().begin(), g.body().end(), [&](NodeId id) { return g[id].op == o; }));
}

class Regions : public testing::Test {
protected:
    std::vector<Tensor> inputs(const Graph& g) { return random_inputs(computer_.allocator(), g); }
    void expect_alike(const GraphRef& regions, const std::vector<Tensor>& given, const std::vector<Tensor>& want,
                      const std::string& what) {
        verify(*regions);
        ASSERT_TRUE(equal(*regions, *parse_graph(context_, print(*regions)))) << print(*regions);
        expect_same(want, computer_.run(regions, given, EngineKind::interp), what + ", interp\n" + print(*regions));
#if TENON_LLVM
        expect_same(want, computer_.run(regions, given, EngineKind::jit), what + ", jit");
#endif
    }

    Context context_;
    Computer computer_{2};
};

// ---- cond
struct Sample {
    std::string_view name, yes, no;
    bool same_reach = true;
};
const Sample samples[] = {
    {"one_op", R"(graph yes(x: f32[4], w: f32[4]) -> f32[4] {
    a = mul(x, w)   : f32[4]
    return a
})",
     R"(graph no(x: f32[4], w: f32[4]) -> f32[4] {
    a = add(x, w)   : f32[4]
    return a
})"},
    {"several_uses", R"(graph yes(x: f32[3, 4], w: f32[4, 4], b: f32[4]) -> f32[3, 4], f32[3, 4] {
    m = matmul(x, w)  : f32[3, 4]
    t = tanh(m)       : f32[3, 4]
    s = mul(t, x)     : f32[3, 4]
    u = add(s, b)     : f32[3, 4]
    v = mul(u, t)     : f32[3, 4]
    r = add(t, b)     : f32[3, 4]
    return v, r
})",
     R"(graph no(x: f32[3, 4], w: f32[4, 4], b: f32[4]) -> f32[3, 4], f32[3, 4] {
    e = exp(x)        : f32[3, 4]
    m = matmul(e, w)  : f32[3, 4]
    n = matmul(m, w)  : f32[3, 4]
    u = add(n, b)     : f32[3, 4]
    v = sin(m)        : f32[3, 4]
    k = mul(v, b)     : f32[3, 4]
    return u, k
})"},
    {"passed_on", R"(graph yes(x: f32[4], y: f32[4]) -> f32[4], f32[4] {
    a = sin(y)      : f32[4]
    return x, a
})",
     R"(graph no(x: f32[4], y: f32[4]) -> f32[4], f32[4] {
    a = exp(x)      : f32[4]
    return a, y
})"},
    {"one_side_only", R"(graph yes(x: f32[4], w: f32[4], v: f32[2]) -> f32[4] {
    a = mul(x, w)   : f32[4]
    b = tanh(a)     : f32[4]
    return b
})",
     R"(graph no(x: f32[4], w: f32[4], v: f32[2]) -> f32[4] {
    s = sum(v, axes: [0], keepdim: false) : f32[]
    a = mul(x, s)   : f32[4]
    return a
})",
     false},
    {"counts", R"(graph yes(x: f32[4], w: f32[4]) -> f32[4], i64[] {
    a = mul(x, w)   : f32[4]
    return a, 1:i64
})",
     R"(graph no(x: f32[4], w: f32[4]) -> f32[4], i64[] {
    a = div(w, x)   : f32[4]
    return a, 2:i64
})"},
};

class Cond : public Regions, public testing::WithParamInterface<Sample> {
protected:
    GraphRef side(bool yes) { return parse_graph(context_, yes ? GetParam().yes : GetParam().no); }
    // Parameters are the condition and the operands; `taken`: the one side in the place of the cond.
    GraphRef graph(std::optional<bool> taken, unsigned used, bool uses_operands) {
        const GraphRef yes = side(true), no = side(false);
        Builder builder(context_);
        std::vector<NodeId> operands{builder.parameter(context_.tensor(DType::boolean, {}))}, results, values;
        for (NodeId p : yes->params()) operands.push_back(builder.parameter((*yes)[p].type));
        if (uses_operands)
            for (NodeId o : std::span(operands).subspan(1)) results.push_back(unary(builder, op<"sin">(), o));
        if (taken) {
            const Graph& plain = *taken ? *yes : *no;
            Copier copy(plain, builder);
            for (size_t k = 0; k < plain.params().size(); ++k) copy.map(plain.params()[k], operands[k + 1]);
            copy.copy_body();
            // A value that goes through is one of its own.
            for (NodeId r : plain.results()) {
                const bool is_param =
                    std::find(plain.params().begin(), plain.params().end(), r) != plain.params().end();
                values.push_back(is_param ? unary(builder, op<"neg">(), unary(builder, op<"neg">(), copy(r)))
                                          : copy(r));
            }
        } else values = builder.results_of(emit_with_regions(builder, op<"cond">(), operands, {{yes, no}}, {}));
        for (size_t k = 0; k < values.size(); ++k) {
            if (!(used >> k & 1)) continue;
            const bool is_value = is_float(builder.type(values[k]).dtype);
            results.push_back(is_value ? unary(builder, op<"exp">(), values[k]) : values[k]);
            if (is_value) results.push_back(unary(builder, op<"square">(), values[k]));
        }
        if (uses_operands)
            for (NodeId o : std::span(operands).subspan(1)) results.push_back(unary(builder, op<"cos">(), o));
        return builder.finish(results);
    }
    std::vector<Tensor> given(const Graph& g, bool taken) {
        std::vector<Tensor> made = inputs(g);
        *made[0].data<bool>() = taken;
        return made;
    }
};

TEST_P(Cond, HasTheBitsOfTheSideTaken) {
    const unsigned all = (1u << side(true)->results().size()) - 1;
    for (bool taken : {true, false}) {
        const GraphRef plain = graph(taken, all, true);
        const std::vector<Tensor> in = given(*plain, taken);
        expect_alike(graph({}, all, true), in, computer_.run(plain, in, EngineKind::interp), "values");
    }
}

TEST_P(Cond, HasTheDerivativesOfTheSideTaken) {
    const unsigned all = (1u << side(true)->results().size()) - 1;
    for (unsigned used = 1; used <= all; ++used)
        for (bool uses_operands : {false, true})
            for (bool taken : {true, false}) {
                const Joint a = derivative(graph({}, used, uses_operands)),
                            b = derivative(graph(taken, used, uses_operands));
                EXPECT_LE(count_nodes(*a.graph, op<"cond">()), 2u) << print(*a.graph);
                const std::vector<Tensor> in = given(*b.graph, taken);
                const std::vector<Tensor> want = computer_.run(b.graph, in, EngineKind::interp);
                // What the side taken does not lead to is 0.
                std::vector<Tensor> all_of_it(want.begin(), want.begin() + ptrdiff_t(b.outputs));
                for (size_t k = 0, next = b.outputs; k < a.reached.size(); ++k) {
                    if (!a.reached[k]) continue;
                    if (b.reached[k]) all_of_it.push_back(want[next++]);
                    else {
                        ASSERT_FALSE(GetParam().same_reach);
                        all_of_it.push_back(Tensor::empty(computer_.allocator(), DType::f32, in[a.wrt[k]].shape));
                        std::fill_n(all_of_it.back().data<float>(), all_of_it.back().numel(), 0.0f);
                    }
                }
                expect_alike(a.graph, in, all_of_it, std::to_string(used) + (uses_operands ? ", operands used" : ""));
                if (HasFailure()) return;
                const Split halves = split_joint(a);
                verify(*halves.forward);
                verify(*halves.backward);
            }
}

TEST_P(Cond, HasTheSecondDerivativesOfTheSideTaken) {
    const unsigned all = (1u << side(true)->results().size()) - 1;
    for (bool taken : {true, false}) {
        const Joint a = derivative(derivative(graph({}, all, true)).graph),
                    b = derivative(derivative(graph(taken, all, true)).graph);
        const std::vector<Tensor> in = given(*b.graph, taken);
        if (!GetParam().same_reach) continue;
        ASSERT_EQ(a.graph->params().size(), b.graph->params().size());
        const std::vector<Tensor> want = computer_.run(b.graph, in, EngineKind::interp),
                                  got = computer_.run(a.graph, in, EngineKind::interp);
        std::vector<Tensor> both_want(want.begin(), want.begin() + ptrdiff_t(b.outputs)),
            both_got(got.begin(), got.begin() + ptrdiff_t(a.outputs));
        for (size_t k = 0, x = b.outputs, y = a.outputs; k < a.reached.size(); ++k) {
            if (a.reached[k] && b.reached[k]) both_want.push_back(want[x]), both_got.push_back(got[y]);
            ASSERT_TRUE(a.reached[k] || !b.reached[k]);
            x += b.reached[k], y += a.reached[k];
        }
        expect_same(both_want, both_got, "second derivatives");
    }
}

TEST_P(Cond, HasTheBatchesOfItsSides) {
    const unsigned all = (1u << side(true)->results().size()) - 1;
    const GraphRef one = graph({}, all, true);
    const Joint joint = derivative(one);
    for (const GraphRef& example : {one, joint.graph})
        for (unsigned batched = 1; batched < 1u << one->params().size(); ++batched) {
            std::vector<int> in, out(example->results().size(), 0);
            for (size_t k = 0; k < example->params().size(); ++k) in.push_back(batched >> k & 1 ? 0 : -1);
            const GraphRef whole = batch(*example, {SizeId(3), in, out});
            const std::vector<Tensor> given = inputs(*whole);
            std::vector<std::vector<Tensor>> each;
            for (int64_t i = 0; i < 3; ++i) {
                std::vector<Tensor> mine;
                for (size_t k = 0; k < given.size(); ++k)
                    mine.push_back(in[k] < 0 ? given[k] : given[k].select(0, i).contiguous());
                each.push_back(computer_.run(example, mine, EngineKind::interp));
            }
            const std::vector<Tensor> got = computer_.run(whole, given, EngineKind::interp);
            for (size_t k = 0; k < got.size(); ++k)
                for (int64_t i = 0; i < 3; ++i) {
                    const std::string different = difference(got[k].select(0, i).contiguous(), each[size_t(i)][k]);
                    ASSERT_TRUE(different.empty()) << "result " << k << " of example " << i << ": " << different << "\n"
                                                   << print(*whole);
                }
#if TENON_LLVM
            expect_same(got, computer_.run(whole, given, EngineKind::jit), "jit");
#endif
        }
}

// log and its derivative have no value where the other side is taken.
TEST_F(Regions, NothingLeaksFromTheSideNotTaken) {
    const GraphRef yes = parse_graph(context_,
                                     "graph yes(x: f32[2], w: f32[]) -> f32[2] {\n    a = log(x) : f32[2]\n"
                                     "    b = mul(a, w) : f32[2]\n    return b\n}"),
                   no = parse_graph(
                       context_,
                       "graph no(x: f32[2], w: f32[]) -> f32[2] {\n    b = mul(x, w) : f32[2]\n    return b\n}");
    Builder builder(context_);
    const std::vector<NodeId> operands{builder.parameter(context_.tensor(DType::boolean, {})),
                                       builder.parameter((*yes)[yes->params()[0]].type),
                                       builder.parameter((*yes)[yes->params()[1]].type)};
    const std::vector<NodeId> values =
        builder.results_of(emit_with_regions(builder, op<"cond">(), operands, {{yes, no}}, {}));
    const GraphRef example = builder.finish(values);
    const std::vector<int> in{0, 0, -1}, out{0};
    const Joint joint = derivative(batch(*example, {SizeId(2), in, out}));
    std::vector<Tensor> given = inputs(*joint.graph);
    const bool conditions[] = {true, false};
    std::copy_n(conditions, 2, given[0].data<bool>());
    const float x[] = {1, 2, 0, -1}, ones[] = {1, 1, 1, 1};
    std::copy_n(x, 4, given[1].data<float>());
    *given[2].data<float>() = 3;
    std::copy_n(ones, 4, given[3].data<float>());
    const std::vector<Tensor> got = computer_.run(joint.graph, given, EngineKind::interp);
    ASSERT_EQ(got.size(), 3u);
    const float dx[] = {3, 1.5, 3, 3};
    for (size_t k = 0; k < 4; ++k) EXPECT_EQ(got[1].data<float>()[k], dx[k]);
    EXPECT_FLOAT_EQ(*got[2].data<float>(), std::log(2.0f) - 1);
}

// ---- while_loop
struct LoopSample {
    std::string_view name;
    size_t carried;
    std::string_view condition, body;
};
const LoopSample loops[] = {
    {"doubles", 1, R"(graph condition(x: f32[3], w: f32[3]) -> bool[] {
    s = sum(x, axes: [0], keepdim: false) : f32[]
    a = abs(s)        : f32[]
    c = less(a, 20.0) : bool[]
    return c
})",
     R"(graph body(x: f32[3], w: f32[3]) -> f32[3] {
    a = mul(x, w)   : f32[3]
    b = add(a, x)   : f32[3]
    c = add(b, x)   : f32[3]
    return c
})"},
    {"two", 2, R"(graph condition(x: f32[2], y: f32[2], w: f32[]) -> bool[] {
    s = max(y, axes: [0], keepdim: false) : f32[]
    c = less(s, 4.0) : bool[]
    return c
})",
     R"(graph body(x: f32[2], y: f32[2], w: f32[]) -> f32[2], f32[2] {
    a = sin(x)       : f32[2]
    b = mul(a, w)    : f32[2]
    c = add(y, 1.0)  : f32[2]
    d = mul(b, b)    : f32[2]
    e = add(c, d)    : f32[2]
    return b, e
})"},
};

class Loop : public Regions, public testing::WithParamInterface<LoopSample> {
protected:
    GraphRef graph(std::optional<int64_t> turns, int64_t max_turns) {
        const LoopSample& sample = GetParam();
        const GraphRef condition = parse_graph(context_, sample.condition), body = parse_graph(context_, sample.body);
        Builder builder(context_);
        std::vector<NodeId> operands, results;
        for (NodeId p : body->params()) operands.push_back(builder.parameter((*body)[p].type));
        std::vector<NodeId> values;
        if (turns) {
            values = operands;
            // What the first turn gets is a value of its own, as the node's operand is.
            for (size_t k = 0; k < sample.carried; ++k)
                values[k] = unary(builder, op<"neg">(), unary(builder, op<"neg">(), values[k]));
            for (int64_t t = 0; t < *turns; ++t) {
                Copier copy(*body, builder);
                for (size_t k = 0; k < values.size(); ++k) copy.map(body->params()[k], values[k]);
                copy.copy_body();
                for (size_t k = 0; k < sample.carried; ++k) values[k] = copy(body->results()[k]);
            }
        } else
            values = builder.results_of(emit_with_regions(builder, op<"while_loop">(), operands, {{condition, body}},
                                                          LoopForm(sample.carried, max_turns).attr(context_)));
        for (size_t k = 0; k < sample.carried; ++k) results.push_back(unary(builder, op<"sin">(), values[k]));
        for (NodeId o : operands) results.push_back(unary(builder, op<"cos">(), o));
        return builder.finish(results);
    }
    int64_t turns(const std::vector<Tensor>& given) {
        const LoopSample& sample = GetParam();
        const GraphRef condition = parse_graph(context_, sample.condition), body = parse_graph(context_, sample.body);
        std::vector<Tensor> values(given.begin(), given.begin() + ptrdiff_t(body->params().size()));
        int64_t count = 0;
        for (; *computer_.run(condition, values, EngineKind::interp)[0].data<bool>(); ++count) {
            std::vector<Tensor> left = computer_.run(body, values, EngineKind::interp);
            std::move(left.begin(), left.end(), values.begin());
        }
        return count;
    }
    std::vector<Tensor> given(const Graph& g, float scale) {
        std::vector<Tensor> made = inputs(g);
        for (size_t k = 0; k < GetParam().carried; ++k)
            for (int64_t i = 0; i < made[k].numel(); ++i) made[k].data<float>()[i] = scale * float(i + 1);
        return made;
    }
};

TEST_P(Loop, HasTheBitsOfItsTurns) {
    for (float scale : {0.1f, 1.0f, 100.0f}) {
        const GraphRef loop = graph({}, -1);
        const std::vector<Tensor> in = given(*loop, scale);
        expect_alike(loop, in, computer_.run(graph(turns(in), -1), in, EngineKind::interp), std::to_string(scale));
        expect_alike(graph({}, 50), in, computer_.run(graph(turns(in), -1), in, EngineKind::interp), "bounded");
    }
}

TEST_P(Loop, HasTheDerivativesOfItsTurns) {
    for (float scale : {0.1f, 1.0f, 100.0f}) {
        const Joint a = derivative(graph({}, 50));
        const std::vector<Tensor> in = given(*a.graph, scale);
        const Joint b = derivative(graph(turns(in), -1));
        ASSERT_EQ(a.reached, b.reached);
        const std::vector<Tensor> want = computer_.run(b.graph, in, EngineKind::interp);
        expect_alike(a.graph, in, want, std::to_string(scale));
        verify(*split_joint(a).backward);
        const Joint second_a = derivative(a.graph), second_b = derivative(b.graph);
        const std::vector<Tensor> more = given(*second_b.graph, scale);
        if (second_a.reached == second_b.reached)
            expect_same(computer_.run(second_b.graph, more, EngineKind::interp),
                        computer_.run(second_a.graph, more, EngineKind::interp), "second derivatives");
        EXPECT_EQ(second_a.reached, second_b.reached);
    }
}

TEST_P(Loop, SaysWhatItNeedsForAGradient) {
    try {
        derivative(graph({}, -1));
        FAIL() << "without `max_turns:`";
    } catch (const Error& error) {
        EXPECT_NE(error.diagnostic.message.find("max_turns"), std::string::npos);
        EXPECT_NE(error.diagnostic.help.find("scan"), std::string::npos);
    }
    const GraphRef loop = graph({}, 1);
    const std::vector<Tensor> in = given(*loop, 0.1f);
    EXPECT_THROW(computer_.run(loop, in, EngineKind::interp), Error);
}

TEST_P(Loop, HasTheBatchesOfItsTurns) {
    for (const GraphRef& example : {graph({}, -1), derivative(graph({}, 60)).graph})
        for (unsigned batched = 1; batched < 1u << 3; ++batched) {
            std::vector<int> in, out(example->results().size(), 0);
            for (size_t k = 0; k < example->params().size(); ++k) in.push_back(batched >> k & 1 ? 0 : -1);
            const GraphRef whole = batch(*example, {SizeId(3), in, out});
            verify(*whole);
            std::vector<Tensor> given = inputs(*whole);
            for (size_t k = 0; k < GetParam().carried; ++k)
                for (int64_t i = 0; i < given[k].numel(); ++i) given[k].data<float>()[i] = 0.3f * float(i + 1);
            const std::vector<Tensor> got = computer_.run(whole, given, EngineKind::interp);
            for (int64_t i = 0; i < 3; ++i) {
                std::vector<Tensor> mine;
                for (size_t k = 0; k < given.size(); ++k)
                    mine.push_back(in[k] < 0 ? given[k] : given[k].select(0, i).contiguous());
                const std::vector<Tensor> want = computer_.run(example, mine, EngineKind::interp);
                for (size_t k = 0; k < got.size(); ++k) {
                    const std::string different = difference(got[k].select(0, i).contiguous(), want[k]);
                    ASSERT_TRUE(different.empty())
                        << "batched " << batched << ", result " << k << " of example " << i << ": " << different << "\n"
                        << print(*whole);
                }
            }
        }
}

INSTANTIATE_TEST_SUITE_P(Samples, Cond, testing::ValuesIn(samples),
                         [](const auto& sample) { return std::string(sample.param.name); });
INSTANTIATE_TEST_SUITE_P(Samples, Loop, testing::ValuesIn(loops),
                         [](const auto& sample) { return std::string(sample.param.name); });

}  // namespace
}  // namespace tenon
