// `--verify` names the pass that is wrong: passes that change a result, a commit, an assert, at either level, stand
// among the right ones here.
#include <gtest/gtest.h>

#include <cmath>

#include "ir/build/copier.h"
#include "ir/pipeline/pipeline.h"
#include "ir/row.h"
#include "ir/text/text.h"
#include "jit/pass_check.h"

namespace tenon {
namespace {

// The graph with one op in the place of another, in every region, but for positions: what is read stays within bounds.
GraphRef replaced(const Graph& g, Op from, Op to) {
    auto made = std::make_shared<Graph>(g);
    for (Node& node : made->nodes)
        if (node.op == from && (*g.context)[node.type].kind != Type::Kind::index) node.op = to;
    return made;
}

constexpr Pass same{"same", "leaves the graph as it is", "",
                    [](const Graph& g, PassSetting&) -> GraphRef { return std::make_shared<Graph>(g); }};
constexpr Pass adds{"adds", "adds where it should multiply", "",
                    [](const Graph& g, PassSetting&) { return replaced(g, op<"mul">(), op<"add">()); }};
constexpr Pass forgets{"forgets", "leaves commits out", "", [](const Graph& g, PassSetting&) {
                           Builder builder(*g.context);
                           Copier copy(g, builder);
                           copy.copy_params();
                           for (NodeId id : g.body())
                               if (g[id].op != op<"commit">()) copy.copy(id);
                           std::vector<NodeId> results;
                           for (NodeId r : g.results()) results.push_back(copy(r));
                           return builder.finish(results, g.name);
                       }};
constexpr Pass denies{"denies", "asserts the contrary", "",
                      [](const Graph& g, PassSetting&) { return replaced(g, op<"less">(), op<"greater">()); }};

class PassChecks : public testing::Test {
protected:
    void SetUp() override {
        graph_ = parse_graph(context_, R"(graph f(x: f32[2, 3], w: f32[3], at: i64[2]) -> f32[2, 3], f32[2, 3] {
            mul = mul(x, w) : f32[2, 3]
            tanh = tanh(mul) : f32[2, 3]
            max = max(w, axes: [0]) : f32[]
            less = less(max, 100) : bool[]
            assert(less)
            take = take(x, at, axis: 0) : f32[2, 3]
            sum = sum(tanh, axes: [0]) : f32[3]
            sub = sub(w, sum) : f32[3]
            commit(w, sub)
            return tanh, take
        })");
        x_ = Tensor::from<float>(allocator_, std::vector<float>{1, 2, 3, -4, NAN, 6}, Dims{2, 3});
        w_ = Tensor::from<float>(allocator_, std::vector<float>{0.5f, 0, 2}, Dims{3});
        at_ = Tensor::from<int64_t>(allocator_, std::vector<int64_t>{1, 0}, Dims{2});
    }
    // What is said of a run in which the `extra` pass comes after the pass named; empty where all is well.
    std::string verdict(const Pass& extra, std::string_view after, bool machine_code = false) {
        std::vector<Pass> list;
        for (const Pass& pass : passes()) {
            list.push_back(pass);
            if (pass.name == after) list.push_back(extra);
        }
        std::vector<MadeGraph> made{{"capture", graph_}};
        PipelineOptions options;
        options.observe = [&](const Pass& pass, const GraphRef& graph) {
            made.push_back({"the pass " + std::string(pass.name), graph});
        };
        Decisions decisions;
        Executable executable(run_pipeline(graph_, list, options, decisions), machine_, EngineKind::interp);
        return run(made, executable, machine_code);
    }
    std::string run(std::span<const MadeGraph> made, Executable& executable, bool machine_code) {
        const std::vector<Tensor> inputs{x_, w_, at_};
        std::vector<Tensor> outputs;
        try {
            PassCheck(machine_).run(made, machine_code, executable, "interp", inputs, outputs);
        } catch (const Error& error) { return error.diagnostic.kind + ": " + error.diagnostic.message; }
        return {};
    }

    Context context_;
    Allocator allocator_;
    ThreadPool pool_{1};
    Machine machine_{allocator_, pool_};
    GraphRef graph_;
    Tensor x_, w_, at_;
};

TEST_F(PassChecks, RightPassesAreNotBlamedAndEffectsHappenOnce) {
    EXPECT_EQ(verdict(same, "simplify", TENON_LLVM), "");
    EXPECT_EQ(w_.storage->version, 1u);
    EXPECT_NEAR(w_.data<float>()[0], 0.5 - (std::tanh(0.5) + std::tanh(-2)), 1e-6);
    EXPECT_TRUE(std::isnan(w_.data<float>()[1]));
}

TEST_F(PassChecks, NamesTheFirstPassThatChangesAResult) {
    EXPECT_EQ(verdict(adds, "simplify"),
              "internal: the pass adds changed what the graph of `f` computes: of result 0 (`tanh`, f32[2, 3]) element "
              "[0, 0] was 0.46211717 and is 0.90514827");
}

TEST_F(PassChecks, SeesInsideKernels) {
    EXPECT_TRUE(verdict(adds, "fuse").starts_with("internal: the pass adds changed")) << verdict(adds, "fuse");
    EXPECT_TRUE(verdict(adds, "schedule").starts_with("internal: the pass adds changed")) << verdict(adds, "schedule");
}

TEST_F(PassChecks, NamesWhoLosesACommit) {
    EXPECT_TRUE(
        verdict(forgets, "simplify")
            .starts_with("internal: the pass forgets changed what the graph of `f` computes: of what is left in "
                         "input 1 (`w`, f32[3]) element [0] was 1."))
        << verdict(forgets, "simplify");
    EXPECT_EQ(w_.storage->version, 0u) << "the run proper has not begun";
}

TEST_F(PassChecks, NamesWhoTurnsAnAssert) {
    EXPECT_EQ(
        verdict(denies, "inline"),
        "internal: the pass denies changed what the graph of `f` computes: the run ended well before and ended with "
        "the error `assertion failed` now");
}

TEST_F(PassChecks, AFailureThatAllAgreeOnIsTheScripts) {
    w_.data<float>()[2] = 1000;
    EXPECT_EQ(verdict(same, "simplify"), "assertion: assertion failed");
    w_.data<float>()[2] = 2;
    at_.data<int64_t>()[1] = 7;
    EXPECT_TRUE(verdict(same, "simplify").starts_with("index: ")) << verdict(same, "simplify");
    EXPECT_EQ(w_.storage->version, 0u);
}

TEST_F(PassChecks, NamesTheEngine) {
    Decisions decisions;
    const std::vector<MadeGraph> made{{"capture", graph_},
                                      {"the passes", run_pipeline(graph_, PipelineOptions{}, decisions)}};
    PassSetting setting{{}, decisions};
    Executable wrong(run_pipeline(adds.run(*graph_, setting), PipelineOptions{}, decisions), machine_,
                     EngineKind::interp);
    EXPECT_TRUE(run(made, wrong, false).starts_with("internal: the engine interp changed what"))
        << run(made, wrong, false);
}

TEST_F(PassChecks, RunsSymbolicGraphsOpByOp) {
    graph_ = parse_graph(context_, R"(graph g(x: f32[n, 3], w: f32[3], at: i64[n]) -> f32[3 * n] {
        slice = slice(w, starts: [0], stops: [2], steps: [1]) : f32[2]
        update = update(w, slice, slice) : f32[3]
        mul = mul(x, update) : f32[n, 3]
        reshape = reshape(mul, sizes: [3 * n]) : f32[3 * n]
        return reshape
    })");
    EXPECT_EQ(verdict(same, "simplify"), "");
    EXPECT_TRUE(verdict(adds, "fuse").starts_with("internal: the pass adds changed")) << verdict(adds, "fuse");
}

}  // namespace
}  // namespace tenon
