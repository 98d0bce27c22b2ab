// The numeric contract on random graphs: fused or one op at a time, interpreted or compiled, with one thread or three,
// the bits are the same.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <numeric>
#include <tuple>
#include <unordered_map>

#include <fmt/format.h>

#include "ir/build/copier.h"
#include "ir/pipeline/pipeline.h"
#include "ir/text/text.h"
#include "jit/executable.h"
#include "jit/llvm_loader.h"
#include "tests/ir/random_graph.h"

namespace tenon {
namespace {

class RandomGraphs : public testing::Test {
protected:
    std::vector<Tensor> run(const GraphRef& graph, std::span<const Tensor> inputs, Machine& machine, EngineKind engine,
                            const Target& target = {}) {
        Decisions decisions;
        Executable executable(run_pipeline(graph, PipelineOptions{.target = target}, decisions), machine, engine);
        std::vector<Tensor> outputs;
        executable.run(inputs, outputs);
        return outputs;
    }

    // Each node as a graph of its own; an update with the movement that leads to its view.
    std::vector<Tensor> one_at_a_time(const Graph& g, std::span<const Tensor> inputs, Machine& machine) {
        std::unordered_map<NodeId, Tensor> values;
        std::unordered_map<NodeId, std::vector<Tensor>> several;
        for (size_t k = 0; k < inputs.size(); ++k) values.emplace(g.params()[k], inputs[k]);
        for (NodeId id : g.body()) {
            if (g[id].op == op<"tuple">()) {
                for (NodeId o : g.operands_of(id)) several[id].push_back(values.at(o));
                continue;
            }
            if (g[id].op == op<"get">()) {
                values.emplace(id, several.at(g.operand(id, 0)).at(size_t(g.attributes(id).integer("index"))));
                continue;
            }
            Builder builder(*g.context);
            Copier copy(g, builder);
            std::vector<Tensor> operands;
            const auto parameter = [&](NodeId o) {
                if (copy.has(o) || g[o].op == op<"constant">()) return;
                copy.map(o, builder.parameter(g[o].type));
                operands.push_back(values.at(o));
            };
            if (g[id].op == op<"update">()) {
                parameter(g.operand(id, 0));
                std::vector<NodeId> chain;
                for (NodeId view = g.operand(id, 1); view != g.operand(id, 0); view = g.operand(view, 0))
                    chain.push_back(view);
                for (; !chain.empty(); chain.pop_back()) copy.copy(chain.back());
                parameter(g.operand(id, 2));
            } else
                for (NodeId o : g.operands_of(id)) parameter(o);
            const GraphRef one = builder.finish(builder.results_of(copy.copy(id)));
            several[id] = run(one, operands, machine, EngineKind::eager);
            if (g.type(id).is_tensor()) values.emplace(id, several[id][0]);
        }
        std::vector<Tensor> results;
        for (NodeId r : g.results()) results.push_back(values.at(r));
        return results;
    }

    std::vector<Tensor> normal_inputs(const std::vector<std::vector<int64_t>>& shapes, uint32_t seed) {
        std::mt19937 random(seed);
        std::normal_distribution<float> normal;
        std::vector<Tensor> inputs;
        for (const auto& shape : shapes) {
            inputs.push_back(Tensor::empty(allocator, DType::f32, Dims(shape.begin(), shape.end())));
            for (int64_t k = 0; k < inputs.back().numel(); ++k)
                inputs.back().data<float>()[k] = random() % 8 == 0 ? -0.0f : normal(random);
        }
        return inputs;
    }

    static int64_t numel_of(const Dims& s) {
        return std::accumulate(s.begin(), s.end(), int64_t(1), std::multiplies<>());
    }

    void expect_same(const std::vector<Tensor>& want, const std::vector<Tensor>& have, const Graph& g,
                     const char* what) {
        ASSERT_EQ(want.size(), have.size());
        for (size_t k = 0; k < want.size(); ++k) {
            ASSERT_EQ(want[k].numel(), have[k].numel());
            for (int64_t i = 0; i < want[k].numel(); ++i)
                ASSERT_EQ(std::memcmp(want[k].data<float>() + i, have[k].data<float>() + i, sizeof(float)), 0)
                    << what << ": result " << k << " element " << i << " is " << have[k].data<float>()[i] << ", not "
                    << want[k].data<float>()[i] << "\n"
                    << print(g);
        }
    }

    Context context;  // one for a machine: its kernels are known by interned ids
    Allocator allocator;
    ThreadPool one{1}, three{3};
    Machine machine{allocator, one}, threaded{allocator, three};
};

TEST_F(RandomGraphs, HaveTheSameBitsOnEveryWay) {
    for (uint32_t seed = 0; seed < 500; ++seed) {
        std::vector<std::vector<int64_t>> shapes;
        const GraphRef g = RandomGraph(context, seed, false, seed >= 300).make(shapes);
        const std::vector<Tensor> inputs = normal_inputs(shapes, seed);
        const std::vector<Tensor> want = one_at_a_time(*g, inputs, machine);
        expect_same(want, run(g, inputs, machine, EngineKind::interp), *g, "fused");
        expect_same(want, run(g, inputs, threaded, EngineKind::interp), *g, "threaded");
        expect_same(want, run(g, inputs, machine, EngineKind::interp, tiny_caches), *g, "in tiles");
        if (seed % 10 == 0 && TENON_LLVM)
            expect_same(want, run(g, inputs, machine, EngineKind::jit, tiny_caches), *g, "compiled in tiles");
        if (seed % 10 == 0 && TENON_LLVM) expect_same(want, run(g, inputs, machine, EngineKind::jit), *g, "compiled");
        if (HasFailure()) FAIL() << "seed " << seed;
    }
}

// One executable for all the sizes that the graph's guards admit.
TEST_F(RandomGraphs, WithSymbolsHaveTheBitsOfConstantSizes) {
    for (uint32_t seed = 2000; seed < 2500; ++seed) {
        const SymbolicGraph g = random_symbolic_graph(context, seed, seed >= 2300);
        Decisions decisions;
        const GraphRef scheduled = run_pipeline(
            g.graph, PipelineOptions{.target = seed % 2 ? Target{} : tiny_caches, .verify = true}, decisions);
        Executable interpreted(scheduled, machine, EngineKind::interp), parallel(scheduled, threaded, EngineKind::interp);
        std::unique_ptr<Executable> compiled;
        if (seed % 10 == 0 && TENON_LLVM) compiled = std::make_unique<Executable>(scheduled, machine, EngineKind::jit);
        for (const SymbolicGraph::Sizes& sizes : g.sizes) {
            const std::vector<Tensor> inputs = normal_inputs(sizes.inputs, seed);
            const std::vector<Tensor> want = one_at_a_time(*sizes.constant, inputs, machine);
            std::vector<Tensor> have;
            interpreted.run(inputs, have);
            expect_same(want, have, *g.graph, "fused");
            parallel.run(inputs, have);
            expect_same(want, have, *g.graph, "threaded");
            if (compiled) compiled->run(inputs, have);
            expect_same(want, have, *g.graph, "compiled");
        }
        if (HasFailure()) FAIL() << "seed " << seed;
    }
}

// Static sizes split a long reduction among threads; symbolic ones, whose hints parsing knows not, fold in one piece.
TEST_F(RandomGraphs, SplitReductionsHaveTheBitsOfWholeOnes) {
    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    for (const auto& [rows, columns, axis] : std::vector<std::tuple<int64_t, int64_t, int>>{{70000, 1, 0},
                                                                                            {1, 70000, 1},
                                                                                            {20000, 8, 0},
                                                                                            {8, 20000, 1},
                                                                                            {65537, 3, 0},
                                                                                            {3, 65537, 1},
                                                                                            {1, 1049601, 1}}) {
        Tensor x = Tensor::empty(allocator, DType::f32, Dims{rows, columns});
        for (int64_t k = 0; k < x.numel(); ++k) x.data<float>()[k] = normal(random);
        const auto sum = [&](const std::string& n, const std::string& m) {
            const std::string kept = axis == 0 ? m : n;
            return parse_graph(context, "graph f(x: f32[" + n + ", " + m + "]) -> f32[" + kept +
                                            "] {\n    sum = sum(x, axes: [" + std::to_string(axis) +
                                            "], keepdim: false) : f32[" + kept + "]\n    return sum\n}\n");
        };
        const GraphRef split = sum(std::to_string(rows), std::to_string(columns)), whole = sum("n", "m");
        const std::vector<Tensor> want = run(whole, std::vector<Tensor>{x}, machine, EngineKind::interp);
        expect_same(want, run(split, std::vector<Tensor>{x}, threaded, EngineKind::interp), *split, "split");
        if (TENON_LLVM)
            expect_same(want, run(split, std::vector<Tensor>{x}, machine, EngineKind::jit), *split, "compiled");
    }
}

// Against what is worked out here, element by element.
TEST_F(RandomGraphs, TilesAndWhatIsLeftOfThemCoverEveryElementOnce) {
    constexpr Target small_caches{.cache_bytes = 4096, .near_bytes = 2048};
    ThreadPool two{2}, four{4};
    Machine second{allocator, two}, fourth{allocator, four};
    std::mt19937 random(11);
    for (int turn = 0; turn < 24; ++turn) {
        static constexpr int64_t some[] = {1, 3, 5, 32, 33, 65, 130, 200, 257};
        const size_t rank = 2 + size_t(turn % 3);
        Dims from(rank), axes(rank), to(rank), strides(rank);
        do {
            for (int64_t& size : from) size = some[random() % std::size(some)];
        } while (numel_of(from) < 20000 || numel_of(from) > 200000);
        std::iota(axes.begin(), axes.end(), 0);
        std::shuffle(axes.begin(), axes.end(), random);
        for (size_t d = rank, stride = 1; d-- > 0; stride *= size_t(from[d])) strides[d] = int64_t(stride);
        for (size_t d = 0; d < rank; ++d) to[d] = from[size_t(axes[d])];
        const auto listed = [&](auto name) {
            std::string text;
            for (size_t d = 0; d < rank; ++d) text += (d ? ", " : "") + name(d);
            return text;
        };
        // With symbols, one a dimension of x; what is tiled then does not depend on the sizes.
        const auto size = [&](size_t d) {
            return turn % 2 && from[d] > 1 ? std::string(1, char('j' + d)) : std::to_string(from[d]);
        };
        const std::string in = listed(size), out = listed([&](size_t d) { return size(size_t(axes[d])); }),
                          order = listed([&](size_t d) { return std::to_string(axes[d]); });
        const GraphRef g =
            parse_graph(context, fmt::format(R"(graph f(x: f32[{0}], y: f32[{1}]) -> f32[{1}], f32[{0}] {{
    permute = permute(x, axes: [{2}])  : f32[{1}]
    add = add(permute, y)              : f32[{1}]
    update = update(x, permute, y)     : f32[{0}]
    return add, update
}}
)",
                                             in, out, order));
        const std::vector<Tensor> inputs = normal_inputs({{from.begin(), from.end()}, {to.begin(), to.end()}}, 77);
        const std::vector<Tensor> want = normal_inputs({{to.begin(), to.end()}, {from.begin(), from.end()}}, 0);
        for (int64_t k = 0; k < numel_of(to); ++k) {
            int64_t at = 0;
            for (int64_t d = int64_t(rank) - 1, rest = k; d >= 0; rest /= to[size_t(d)], --d)
                at += rest % to[size_t(d)] * strides[size_t(axes[size_t(d)])];
            want[0].data<float>()[k] = inputs[0].data<float>()[at] + inputs[1].data<float>()[k];
            want[1].data<float>()[at] = inputs[1].data<float>()[k];
        }
        for (Machine* m : {&machine, &second, &fourth}) {
            expect_same(want, run(g, inputs, *m, EngineKind::interp, small_caches), *g, "interpreted");
            if (TENON_LLVM && m != &second)
                expect_same(want, run(g, inputs, *m, EngineKind::jit, small_caches), *g, "compiled");
        }
        if (HasFailure()) FAIL() << "turn " << turn;
    }
}

}  // namespace
}  // namespace tenon
