// Regions over symbolic sizes: what they make of them, derivatives and batches included, is what they make of constants. A
// region has the symbols of the graph around it under the same numbers, also where its own parameters show them in
// another order, or show only some.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>

#include "ir/build/regions.h"
#include "ir/build/stacks.h"
#include "ir/passes/batch.h"
#include "ir/passes/passes.h"
#include "ir/regions.h"
#include "ir/row.h"
#include "ir/text/text.h"
#include "tests/jit/computer.h"
#include "tests/jit/regions/inputs.h"

namespace tenon {
namespace {

struct Sizes3 {
    std::array<int64_t, 3> values;
    bool is_symbolic;
};

class SymbolicRegions : public testing::TestWithParam<std::string_view> {
protected:
    SizeId size(const Sizes3& sizes, uint32_t k) {
        return sizes.is_symbolic ? context_.symbol(k) : SizeId(sizes.values[k]);
    }
    TypeId type(const Sizes3& sizes, std::initializer_list<uint32_t> dims, DType dtype = DType::f32) {
        SizeList list;
        for (uint32_t k : dims) list.push_back(size(sizes, k));
        return context_.tensor(dtype, list);
    }
    AttrId attr(std::initializer_list<std::pair<std::string_view, AttrValue>> entries) {
        Record record;
        for (const auto& [key, value] : entries) record.push_back({context_.name(key), value});
        return context_.attr(record);
    }
    NodeId emit(Builder& b, Op o, std::initializer_list<NodeId> operands, AttrId a = {}) {
        return b.emit(o, std::span(operands.begin(), operands.size()), a);
    }
    void know_symbols(Builder& region, const Sizes3& sizes) {
        for (uint32_t k = 0; sizes.is_symbolic && k < 3; ++k)
            region.symbol(NodeId::none(), defined_around, sizes.values[k], {});
    }
    // x: [2, 1] by numbers of sizes, w: [1]. What is kept for the gradient has types that no parameter shows by itself,
    // and a size among its attributes.
    NodeId body(Builder& b, const Sizes3& sizes, NodeId x, NodeId w, bool other) {
        const NodeId a = emit(b, other ? op<"add">() : op<"mul">(), {x, w}), t = emit(b, op<"tanh">(), {a});
        const NodeId total =
            emit(b, op<"sum">(), {t}, attr({{"axes", AttrList{int64_t{1}}}, {"keepdim", AttrValue(false)}}));
        const NodeId s = emit(b, op<"sin">(), {total});
        const NodeId column = emit(b, op<"reshape">(), {s}, attr({{"sizes", AttrList{size(sizes, 2), SizeId(1)}}}));
        const NodeId wide =
            emit(b, op<"expand">(), {column}, attr({{"sizes", AttrList{size(sizes, 2), size(sizes, 1)}}}));
        return emit(b, op<"mul">(), {wide, t});
    }
    GraphRef side(const Sizes3& sizes, bool other) {
        Builder b(context_);
        // w first: its parameters meet the symbols in another order than the graph around it has them.
        const NodeId w = b.parameter(type(sizes, {1})), x = b.parameter(type(sizes, {2, 1}));
        know_symbols(b, sizes);
        return b.finish({body(b, sizes, x, w, other)});
    }
    GraphRef turn(const Sizes3& sizes, bool counts) {  // what is carried, w; with a condition of its own: counts
        Builder b(context_);
        NodeId k;
        if (counts) k = b.parameter(context_.tensor(DType::i64, {}));
        const NodeId x = b.parameter(type(sizes, {2, 1})), w = b.parameter(type(sizes, {1}));
        know_symbols(b, sizes);
        const NodeId left = body(b, sizes, x, w, false);
        if (!counts) return b.finish({left, left});
        return b.finish({emit(b, op<"add">(), {k, b.literal(int64_t{1}, DType::i64)}), left});
    }
    GraphRef condition(const Sizes3& sizes) {
        Builder b(context_);
        const NodeId k = b.parameter(context_.tensor(DType::i64, {}));
        b.parameter(type(sizes, {2, 1}));
        b.parameter(type(sizes, {1}));
        know_symbols(b, sizes);
        return b.finish({emit(b, op<"less">(), {k, b.literal(int64_t{3}, DType::i64)})});
    }
    // u: [0], which defines the first symbol and which no region sees; c; x: [2, 1]; w: [1].
    GraphRef graph(const Sizes3& sizes) {
        Builder b(context_);
        const NodeId u = b.parameter(type(sizes, {0})), c = b.parameter(context_.tensor(DType::boolean, {})),
                     x = b.parameter(type(sizes, {2, 1})), w = b.parameter(type(sizes, {1}));
        if (sizes.is_symbolic) {
            b.symbol(u, 0, sizes.values[0], {});
            b.symbol(x, 1, sizes.values[1], {});
            b.symbol(x, 0, sizes.values[2], {});
        }
        std::vector<NodeId> results;
        if (GetParam() == "cond")
            results = b.results_of(
                emit_with_regions(b, op<"cond">(), {c, w, x}, {{side(sizes, false), side(sizes, true)}}, {}));
        else if (GetParam() == "while_loop")
            results =
                b.results_of(emit_with_regions(b, op<"while_loop">(), {b.literal(int64_t{0}, DType::i64), x, w},
                                               {{condition(sizes), turn(sizes, true)}}, LoopForm(2, 5).attr(context_)));
        else
            results = b.results_of(emit_with_regions(b, op<"scan">(), {x, w}, {{turn(sizes, false)}},
                                                     ScanForm(SizeId(3), 1, 0, false).attr(context_)));
        results.push_back(emit(b, op<"sin">(), {u}));
        return b.finish(results);
    }
    std::vector<Tensor> inputs(const Graph& g) {
        std::vector<Tensor> made = random_inputs(computer_.allocator(), g);
        for (Tensor& x : made)
            if (x.dtype == DType::boolean) std::fill_n(x.data<bool>(), x.numel(), true);
        return made;
    }
    static Joint derivative(const GraphRef& g) {
        std::vector<size_t> results, wrt;
        for (size_t k = 0; k < g->results().size(); ++k)
            if (is_float(g->type(g->results()[k]).dtype)) results.push_back(k);
        for (size_t k = 0; k < g->params().size(); ++k)
            if (is_float(g->type(g->params()[k]).dtype)) wrt.push_back(k);
        return make_joint(*g, results, wrt, false);
    }
    // One executable for all sizes, against a graph of its own for each.
    void expect_alike(const std::function<GraphRef(const Sizes3&)>& make, const std::string& what) {
        const GraphRef symbolic = make({{4, 3, 2}, true});
        verify(*symbolic);
        for (EngineKind engine : {EngineKind::interp, EngineKind::jit}) {
            if (engine == EngineKind::jit && !TENON_LLVM) continue;
            const std::unique_ptr<Executable> executable = computer_.compile(symbolic, engine);
            for (const std::array<int64_t, 3>& values :
                 {std::array<int64_t, 3>{4, 3, 2}, std::array<int64_t, 3>{2, 5, 7}, std::array<int64_t, 3>{9, 2, 40}}) {
                const GraphRef constant = make({values, false});
                const std::vector<Tensor> given = inputs(*constant);
                std::vector<Tensor> got;
                executable->run(given, got);
                expect_same(computer_.run(constant, given, EngineKind::interp), got, what + "\n" + print(*symbolic));
                if (HasFailure()) return;
            }
        }
    }

    Context context_;
    Computer computer_{2};
};

TEST_P(SymbolicRegions, HaveTheValuesOfConstantSizes) {
    expect_alike([&](const Sizes3& sizes) { return graph(sizes); }, "values");
}
TEST_P(SymbolicRegions, HaveTheDerivativesOfConstantSizes) {
    expect_alike([&](const Sizes3& sizes) { return derivative(graph(sizes)).graph; }, "first derivative");
    expect_alike([&](const Sizes3& sizes) { return derivative(derivative(graph(sizes)).graph).graph; },
                 "second derivative");
}
TEST_P(SymbolicRegions, HaveTheHalvesOfConstantSizes) {
    const auto half = [&](const Sizes3& sizes) {
        Decisions decisions;
        const Split split = rematerialise(split_joint(derivative(graph(sizes))), decisions);
        verify(*split.backward);
        return split.forward;
    };
    expect_alike(half, "forward");
}
TEST_P(SymbolicRegions, HaveTheBatchesOfConstantSizes) {
    const auto mapped = [&](const GraphRef& g) {
        const std::vector<int> in{-1, -1, 0, -1}, out(g->results().size(), 0);
        return batch(*g, {SizeId(2), {in.begin(), in.begin() + ptrdiff_t(g->params().size())}, out});
    };
    expect_alike([&](const Sizes3& sizes) { return mapped(graph(sizes)); }, "batch");
}

INSTANTIATE_TEST_SUITE_P(Rows, SymbolicRegions, testing::Values("cond", "while_loop", "scan"),
                         [](const auto& row) { return std::string(row.param); });

}  // namespace
}  // namespace tenon
