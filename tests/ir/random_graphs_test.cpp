// Random graphs, with symbols and without: passes keep their meaning for all sizes that their guards admit.
#include "ir/passes/batch.h"
#include "ir/pipeline/pipeline.h"
#include "runtime/diagnostic.h"
#include "tests/ir/lowering.h"
#include "tests/ir/random_graph.h"

namespace tenon {
namespace {

using naive::Array;

GraphRef random_graph(Context& context, uint32_t seed, std::vector<Array>& inputs, bool several = false) {
    std::vector<std::vector<int64_t>> shapes;
    const GraphRef g = RandomGraph(context, seed, false, several).make(shapes);
    std::mt19937 random(seed);
    for (auto& shape : shapes) inputs.push_back(random_array(random, shape));
    return g;
}

TEST(Schedule, RandomGraphsKeepTheirMeaning) {
    for (uint32_t seed = 0; seed < 2500; ++seed) {
        Context c;
        std::vector<Array> inputs;
        const GraphRef g = random_graph(c, seed, inputs, seed >= 1500);
        lower(g, inputs);
        if (::testing::Test::HasFailure()) FAIL() << "seed " << seed;
    }
}

// Whatever sizes a graph with symbols is called with that its guards admit, it reads no element but its own.
TEST(Schedule, RandomGraphsWithSymbolsKeepTheirMeaningForAllSizes) {
    size_t symbolic = 0, resized = 0, guarded = 0;
    for (uint32_t seed = 0; seed < 2000; ++seed) {
        Context c;
        const SymbolicGraph g = random_symbolic_graph(c, seed, seed >= 1500);
        ASSERT_FALSE(g.sizes.empty()) << "seed " << seed;
        symbolic += !g.graph->symbols.empty();
        resized += g.sizes.size() - 1;
        guarded += !g.graph->equalities.empty();
        expect_well_formed(*g.graph);
        std::mt19937 random(seed);
        Decisions decisions;
        const GraphRef simple = simplify(*g.graph, &decisions);
        expect_well_formed(*simple);
        const GraphRef loops = schedule(*fuse(*simple, decisions), seed % 2 ? Target{} : tiny_caches, decisions);
        expect_well_formed(*loops);
        for (const SymbolicGraph::Sizes& sizes : g.sizes) {
            std::vector<Array> inputs;
            for (const auto& shape : sizes.inputs) inputs.push_back(random_array(random, shape));
            const std::string text = print(*g.graph) + print(*loops) + print(*sizes.constant);
            try {
                expect_close(naive::evaluate(*sizes.constant, inputs), naive::run_loops(*loops, inputs), text);
            } catch (const std::exception& e) { ADD_FAILURE() << e.what() << "\n" << text; }
        }
        if (::testing::Test::HasFailure()) FAIL() << "seed " << seed;
    }
    EXPECT_GT(symbolic, 900u);
    EXPECT_GT(resized, 900u);
    EXPECT_GT(guarded, 30u);
}

// What a pass makes of a batch, and of a batch of batches, is well formed: run_pipeline verifies it.
TEST(Pipeline, TakesRandomGraphsOfBatches) {
    for (uint32_t seed = 1; seed <= 1500; ++seed) {
        Context c;
        std::vector<std::vector<int64_t>> shapes;
        GraphRef g = RandomGraph(c, seed, false, seed > 1000).make(shapes);
        std::mt19937 random(seed);
        for (int64_t examples : {3, 2}) {
            std::vector<int> in_axes;
            for (NodeId p : g->params()) {
                const bool batched = in_axes.size() == seed % g->params().size() || random() % 2;
                in_axes.push_back(batched ? int(random() % (g->type(p).rank() + 1)) : -1);
            }
            g = batch(*g, {SizeId(examples), in_axes, std::vector<int>(g->results().size(), 0)});
            Decisions decisions;
            try {
                run_pipeline(g, PipelineOptions{.verify = true}, decisions);
            } catch (const Error& e) { FAIL() << "seed " << seed << ": " << e.diagnostic.message << "\n" << print(*g); }
        }
    }
}

TEST(Simplify, RandomGraphsKeepTheirMeaning) {
    for (uint32_t seed = 5000; seed < 6500; ++seed) {
        Context c;
        std::vector<Array> inputs;
        const GraphRef g = random_graph(c, seed, inputs, seed >= 6000);
        Decisions decisions;
        const GraphRef after = simplify(*g, &decisions);
        expect_well_formed(*after);
        expect_close(naive::evaluate(*g, inputs), naive::evaluate(*after, inputs), print(*g) + print(*after));
        lower(after, inputs, seed % 2 ? Target{} : tiny_caches);
        if (::testing::Test::HasFailure()) FAIL() << "seed " << seed;
    }
}

}  // namespace
}  // namespace tenon
