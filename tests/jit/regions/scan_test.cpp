// scan against the same turns written one after the other: values, first and second derivatives, batches, to the bit.
#include <gtest/gtest.h>

#include <cmath>

#include "ir/build/copier.h"
#include "ir/build/regions.h"
#include "ir/build/unroll.h"
#include "ir/differentiate/regions.h"
#include "ir/passes/batch.h"
#include "ir/passes/passes.h"
#include "ir/regions.h"
#include "ir/row.h"
#include "ir/text/text.h"
#include "tests/jit/computer.h"
#include "tests/jit/regions/inputs.h"

namespace tenon {
namespace {

struct Sample {
    std::string_view name;
    size_t carried, sliced;
    std::string_view region;  // turns: 5
    bool reverse = false;
};
const Sample samples[] = {
    {"recurrent", 1, 1, R"(graph turn(h: f32[3, 4], x: f32[3, 4], w: f32[4, 4], b: f32[4]) -> f32[3, 4], f32[3, 4] {
    m = matmul(h, w)  : f32[3, 4]
    a = add(m, x)     : f32[3, 4]
    c = add(a, b)     : f32[3, 4]
    t = tanh(c)       : f32[3, 4]
    return t, t
})"},
    {"two_cells", 2, 1,
     R"(graph turn(h: f32[2, 4], c: f32[2, 4], x: f32[2, 4], w: f32[4, 4]) -> f32[2, 4], f32[2, 4], f32[2, 4] {
    m = matmul(h, w)  : f32[2, 4]
    a = add(m, x)     : f32[2, 4]
    i = sigmoid(a)    : f32[2, 4]
    g = tanh(a)       : f32[2, 4]
    f = mul(c, i)     : f32[2, 4]
    n = mul(i, g)     : f32[2, 4]
    c1 = add(f, n)    : f32[2, 4]
    t = tanh(c1)      : f32[2, 4]
    h1 = mul(i, t)    : f32[2, 4]
    return h1, c1, h1
})"},
    // Matrices that are worth packing once for all turns, one of them in two ways.
    {"large_matrices", 1, 1,
     R"(graph turn(h: f32[3, 72], x: f32[3, 96], w: f32[72, 96], v: f32[96, 96]) -> f32[3, 72], f32[3, 96] {
    a = matmul(h, w)       : f32[3, 96]
    b = matmul(a, v)       : f32[3, 96]
    c = add(b, x)          : f32[3, 96]
    t = tanh(c)            : f32[3, 96]
    u = permute(w, axes: [1, 0])  : f32[96, 72]
    y = matmul(t, u)       : f32[3, 72]
    z = tanh(y)            : f32[3, 72]
    return z, t
})"},
    {"several_uses", 1, 1, R"(graph turn(h: f32[4], x: f32[4], w: f32[4]) -> f32[4], f32[4] {
    a = mul(h, w)   : f32[4]
    b = mul(h, x)   : f32[4]
    c = mul(a, w)   : f32[4]
    s = add(a, b)   : f32[4]
    t = add(s, c)   : f32[4]
    u = sub(t, h)   : f32[4]
    r = sin(u)      : f32[4]
    y = mul(r, b)   : f32[4]
    return r, y
})"},
    {"backwards", 1, 1, R"(graph turn(h: f32[4], x: f32[4], w: f32[4]) -> f32[4], f32[4] {
    a = mul(h, w)   : f32[4]
    s = add(a, x)   : f32[4]
    r = tanh(s)     : f32[4]
    return r, r
})",
     true},
    {"delayed", 2, 1, R"(graph turn(p: f32[4], q: f32[4], x: f32[4]) -> f32[4], f32[4], f32[4] {
    a = mul(p, x)   : f32[4]
    s = sin(a)      : f32[4]
    return q, s, a
})"},
    {"slices_of_captured", 1, 1, R"(graph turn(h: f32[2], x: f32[2], w: f32[4]) -> f32[2], f32[2] {
    lo = slice(w, starts: [0], stops: [2], steps: [1], sizes: [2])   : f32[2]
    hi = slice(w, starts: [1], stops: [3], steps: [1], sizes: [2])   : f32[2]
    a = mul(h, lo)   : f32[2]
    b = mul(x, hi)   : f32[2]
    s = add(a, b)    : f32[2]
    t = tanh(s)      : f32[2]
    return t, s
})"},
    {"no_carry", 0, 2, R"(graph turn(x: f32[4], y: f32[], w: f32[4]) -> f32[4] {
    a = mul(x, w)   : f32[4]
    b = mul(a, y)   : f32[4]
    r = exp(b)      : f32[4]
    return r
})"},
    {"counts", 2, 0, R"(graph turn(k: i64[], h: f32[4], w: f32[4]) -> i64[], f32[4], f32[4] {
    n = add(k, 1)            : i64[]
    f = cast(n, dtype: f32)  : f32[]
    a = mul(h, w)            : f32[4]
    r = div(a, f)            : f32[4]
    s = sin(r)               : f32[4]
    return n, s, r
})"},
};

constexpr int64_t turns = 5;

class Scan : public testing::TestWithParam<Sample> {
protected:
    // Operands as parameters, each used before and after; of the values those with a bit in `used`.
    GraphRef graph(bool as_scan, unsigned used, bool uses_operands) {
        const GraphRef region = parse_graph(context_, GetParam().region);
        const ScanForm form(SizeId(turns), GetParam().carried, GetParam().sliced, GetParam().reverse);
        Builder builder(context_);
        std::vector<NodeId> operands;
        for (size_t k = 0; k < region->params().size(); ++k) {
            Type type = region->type(region->params()[k]);
            if (k >= form.carried && k < form.carried + form.sliced)
                type.sizes.insert(type.sizes.begin(), SizeId(turns));
            operands.push_back(builder.parameter(context_.type(type)));
        }
        const auto unary = [&](Op o, NodeId x) { return builder.emit(o, std::array<NodeId, 1>{x}); };
        std::vector<NodeId> results, values;
        const auto is_float_value = [&](NodeId id) { return is_float(builder.type(id).dtype); };
        if (uses_operands)
            for (NodeId o : operands)
                if (is_float_value(o)) results.push_back(unary(op<"sin">(), o));
        if (as_scan)
            values =
                builder.results_of(emit_with_regions(builder, op<"scan">(), operands, {{region}}, form.attr(context_)));
        else {
            std::vector<TypeId> types;
            for (NodeId o : operands) types.push_back(builder.node(o).type);
            const GraphRef plain = unroll(*region, form, types);
            Copier copy(*plain, builder);
            for (size_t k = 0; k < operands.size(); ++k) copy.map(plain->params()[k], operands[k]);
            copy.copy_body();
            for (NodeId r : plain->results()) values.push_back(copy(r));
        }
        for (size_t k = 0; k < values.size(); ++k)
            if (used >> k & 1) results.push_back(is_float_value(values[k]) ? unary(op<"exp">(), values[k]) : values[k]);
        if (uses_operands)
            for (NodeId o : operands)
                if (is_float_value(o)) results.push_back(unary(op<"cos">(), o));
        return builder.finish(results);
    }
    static std::vector<size_t> floats(const Graph& g, std::span<const NodeId> nodes) {
        std::vector<size_t> found;
        for (size_t k = 0; k < nodes.size(); ++k)
            if (is_float(g.type(nodes[k]).dtype)) found.push_back(k);
        return found;
    }
    static Joint derivative(const GraphRef& g) {
        return make_joint(*g, floats(*g, g->results()), floats(*g, g->params()), false);
    }
    void expect_alike(const GraphRef& scan, const GraphRef& plain, const std::string& what) {
        verify(*scan);
        ASSERT_TRUE(equal(*scan, *parse_graph(context_, print(*scan)))) << print(*scan);
        const std::vector<Tensor> given = random_inputs(computer_.allocator(), *plain);
        const std::vector<Tensor> want = computer_.run(plain, given, EngineKind::interp);
        expect_same(want, computer_.run(scan, given, EngineKind::interp), what + ", interp\n" + print(*scan));
#if TENON_LLVM
        expect_same(want, computer_.run(scan, given, EngineKind::jit), what + ", jit");
#endif
    }

    Context context_;
    Computer computer_{2};
};

TEST_P(Scan, HasTheBitsOfItsTurns) {
    const size_t values = parse_graph(context_, GetParam().region)->results().size();
    expect_alike(graph(true, (1u << values) - 1, true), graph(false, (1u << values) - 1, true), "values");
}

TEST_P(Scan, HasTheDerivativesOfItsTurns) {
    const size_t values = parse_graph(context_, GetParam().region)->results().size();
    for (unsigned used = 1; used < 1u << values; ++used)
        for (bool uses_operands : {false, true}) {
            const std::string what = "values " + std::to_string(used) + (uses_operands ? ", operands used" : "");
            const GraphRef scan = graph(true, used, uses_operands), plain = graph(false, used, uses_operands);
            const Joint a = derivative(scan), b = derivative(plain);
            ASSERT_EQ(a.reached, b.reached) << what;
            expect_alike(a.graph, b.graph, what);
            if (testing::Test::HasFailure()) return;
            const Split halves = split_joint(a);
            verify(*halves.forward);
            verify(*halves.backward);
        }
}

TEST_P(Scan, HasTheSecondDerivativesOfItsTurns) {
    const size_t values = parse_graph(context_, GetParam().region)->results().size();
    for (bool uses_operands : {false, true}) {
        const unsigned used = (1u << values) - 1;
        const Joint a = derivative(derivative(graph(true, used, uses_operands)).graph),
                    b = derivative(derivative(graph(false, used, uses_operands)).graph);
        ASSERT_EQ(a.reached, b.reached);
        if (GetParam().name != "delayed") {
            expect_alike(a.graph, b.graph, "second derivatives");
            continue;
        }
        // What one carry hands on to another one has several names, and terms of its cotangent by each of them.
        const std::vector<Tensor> given = random_inputs(computer_.allocator(), *b.graph);
        const std::vector<Tensor> want = computer_.run(b.graph, given, EngineKind::interp),
                                  got = computer_.run(a.graph, given, EngineKind::interp);
        for (size_t k = 0; k < want.size(); ++k)
            for (int64_t i = 0; i < want[k].numel() && want[k].dtype == DType::f32; ++i) {
                const float x = want[k].data<float>()[i], y = got[k].data<float>()[i];
                ASSERT_NEAR(x, y, 2e-5 * std::max(1.0f, std::abs(x))) << "result " << k << ", element " << i;
            }
    }
}

TEST_P(Scan, HasTheBatchesOfItsTurns) {
    const size_t values = parse_graph(context_, GetParam().region)->results().size();
    const GraphRef scan = graph(true, (1u << values) - 1, true), plain = graph(false, (1u << values) - 1, true);
    for (unsigned batched = 1; batched < 1u << scan->params().size(); ++batched) {
        std::vector<int> in, out(scan->results().size(), 0);
        for (size_t k = 0; k < scan->params().size(); ++k) in.push_back(batched >> k & 1 ? 0 : -1);
        expect_alike(batch(*scan, {SizeId(2), in, out}), batch(*plain, {SizeId(2), in, out}), std::to_string(batched));
    }
}

INSTANTIATE_TEST_SUITE_P(Samples, Scan, testing::ValuesIn(samples),
                         [](const auto& sample) { return std::string(sample.param.name); });

}  // namespace
}  // namespace tenon
