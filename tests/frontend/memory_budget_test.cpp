// Budgets of memory (compile(f, memory: …)), for the graphs of the examples and of the scripts about gradients: what is
// predicted is what the allocator counts, a smaller budget never takes more memory, a larger one never costs more work, and
// no bit of a result, an input that is written or a gradient depends on any of it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <set>
#include <string>

#include "frontend/compile/graph_cache.h"
#include "frontend/evaluate/session.h"
#include "frontend/record/capture.h"
#include "frontend/values/output.h"
#include "ir/build/regions.h"
#include "jit/executable.h"
#include "jit/machine.h"

namespace tenon {
namespace {

class Silence final : public Output {
public:
    void write(std::string_view, Span) override {}
};

class Budgets {
public:
    Budgets(Session& session, const CompiledGraph& plain, std::string what)
        : session_(session), plain_(plain), what_(std::move(what)) {}

    // Least first: each budget is what another one has needed, or less than the least.
    void check() {
        const auto without = compiled({.fraction = 1.0, .bytes = 0});
        ASSERT_TRUE(without);
        ASSERT_EQ(without->budget()->chosen.level, 0u) << what_;
        const size_t most = without->budget()->without.peak;
        if (!run(*without, expected_)) return;
        size_t peak = most;
        int64_t work = without->budget()->chosen.work_again;
        for (double fraction : {0.9, 0.75, 0.6, 0.5, 0.4}) {
            const auto within = compiled({.fraction = fraction, .bytes = 0});
            if (!within) break;  // nor are there smaller ones
            const BudgetChoice& choice = *within->budget();
            EXPECT_LE(choice.chosen.peak, choice.allowed) << what_;
            EXPECT_LE(choice.chosen.peak, peak) << what_ << " at " << fraction;
            EXPECT_GE(choice.chosen.work_again, work) << what_ << " at " << fraction;
            peak = choice.chosen.peak, work = choice.chosen.work_again;
            ++within_;
            std::vector<Tensor> found;
            ASSERT_TRUE(run(*within, found)) << what_ << " at " << fraction;
            expect_equal(found, fraction);
        }
    }
    size_t within() const { return within_; }

private:
    std::unique_ptr<CompiledGraph> compiled(MemoryBudget budget) {
        try {
            return std::make_unique<CompiledGraph>(
                session_.tracer().graph_cache(), CompileSettings{Engine::interp, false, budget}, plain_.graph(),
                plain_.differentiable(), plain_.wrt(), CompiledGraph::Purpose::capture);
        } catch (const Error& error) {
            EXPECT_EQ(error.diagnostic.kind, "memory") << what_ << ": " << error.diagnostic.message;
            return nullptr;
        }
    }
    Tensor filled(const Graph& g, TypeId id, uint64_t& state) {
        std::vector<int64_t> hints;
        for (const SizeSymbol& symbol : g.symbols) hints.push_back(symbol.hint);
        const Type& type = (*g.context)[id];
        Dims shape;
        for (SizeId size : type.sizes) shape.push_back(g.context->evaluate(size, hints));
        Tensor made = Tensor::empty(allocator_, type.dtype, shape);
        std::fill_n(made.bytes(), made.element_bytes(), std::byte{});
        for (int64_t k = 0; k < made.numel(); ++k) {
            state = state * 6364136223846793005ull + 1442695040888963407ull;
            const double value = double(state >> 40) / double(1 << 24) + 0.25;  // positive: square roots, logarithms
            if (type.dtype == DType::f32) reinterpret_cast<float*>(made.bytes())[k] = float(value);
            if (type.dtype == DType::f64) reinterpret_cast<double*>(made.bytes())[k] = value;
        }
        return made;
    }
    // What it gives and leaves, in order; false where it fails on such inputs. The peak is compared on the way, by an
    // allocator that counts nothing else.
    bool run(CompiledGraph& graph, std::vector<Tensor>& found) {
        uint64_t state = 1;
        allocator_ = Allocator();
        std::vector<Tensor> inputs, outputs;
        const Graph& g = *graph.graph();
        for (NodeId p : g.params()) inputs.push_back(filled(g, g[p].type, state));
        graph.prepare();
        try {
            expect_peak(graph, inputs);
            graph.run(inputs, outputs);
        } catch (const Error&) { return false; }
        found.assign(outputs.begin(), outputs.begin() + ptrdiff_t(graph.result_count()));
        found.insert(found.end(), inputs.begin(), inputs.end());
        if (graph.differentiable().empty()) return true;
        std::vector<Tensor> saved, cotangents, gradients;
        for (const Split::Saved& s : graph.saved()) saved.push_back((s.is_input ? inputs : outputs)[s.index]);
        for (size_t k : graph.differentiable()) cotangents.push_back(filled(g, g[g.results()[k]].type, state));
        graph.backward(saved, cotangents, std::vector<bool>(cotangents.size(), true), {}, gradients);
        for (const Tensor& gradient : gradients)
            if (gradient.defined()) found.push_back(gradient);
        return true;
    }
    // Forward and backward by themselves, with the inputs and results that the script would have.
    void expect_peak(CompiledGraph& graph, const std::vector<Tensor>& like) {
        const Graph& g = *graph.graph();
        const Allocator own;
        ThreadPool pool(1);
        Machine machine(own, pool);
        Executable forward(graph.forward_executable()->graph(), machine, EngineKind::interp);
        std::vector<Tensor> inputs, outputs, gradients;
        size_t constants = own.statistics().current;
        for (const Tensor& input : like) {
            inputs.push_back(Tensor::empty(own, input.dtype, input.shape));
            std::memcpy(inputs.back().bytes(), input.bytes(), input.element_bytes());
        }
        if (graph.lean()) {
            PipelineOptions options;
            options.target.threads = session_.tracer().machine().pool().threads();
            Decisions unused;
            const size_t before = own.statistics().current;
            Executable backward(run_pipeline(graph.lean()->backward, options, unused), machine, EngineKind::interp);
            constants += own.statistics().current - before;
            forward.run(inputs, outputs);
            std::vector<Tensor> given;
            for (const Split::Saved& s : graph.saved()) given.push_back((s.is_input ? inputs : outputs)[s.index]);
            uint64_t state = 7;
            std::swap(allocator_, const_cast<Allocator&>(own));
            for (size_t k : graph.differentiable()) given.push_back(filled(g, g[g.results()[k]].type, state));
            std::swap(allocator_, const_cast<Allocator&>(own));
            backward.run(given, gradients);
        } else {
            forward.run(inputs, outputs);
        }
        const size_t measured = own.statistics().peak - constants, predicted = graph.budget()->chosen.peak;
        // Of a side in a side that is not taken nothing is needed: with regions it is what a call takes at most.
        if (has_isolated_regions(g)) EXPECT_LE(measured, predicted) << what_;
        else EXPECT_EQ(measured, predicted) << what_;
    }
    void expect_equal(const std::vector<Tensor>& found, double fraction) {
        ASSERT_EQ(found.size(), expected_.size()) << what_;
        for (size_t k = 0; k < found.size(); ++k) {
            ASSERT_EQ(found[k].element_bytes(), expected_[k].element_bytes()) << what_;
            EXPECT_EQ(std::memcmp(found[k].bytes(), expected_[k].bytes(), found[k].element_bytes()), 0)
                << what_ << ", value " << k << " at " << fraction;
        }
    }

    Session& session_;
    const CompiledGraph& plain_;
    const std::string what_;
    Allocator allocator_;
    std::vector<Tensor> expected_;
    size_t within_ = 0;
};

size_t check_budgets(const std::string& file) {
    Silence silence;
    SessionOptions options;
    options.tracer.engine = Engine::interp;
    options.output = &silence;
    Session session(options);
    std::vector<CapturedGraph> log;
    session.tracer().capture().set_log(&log);
    Module& module = session.modules().open(file);
    try {
        session.modules().run_once(module, {});
    } catch (const Error&) {}  // as some are meant to end
    session.tracer().capture().set_log(nullptr);
    std::set<const CompiledGraph*> seen;
    size_t within = 0;
    for (const CapturedGraph& captured : log) {
        if (!captured.compiled || !seen.insert(captured.compiled.get()).second) continue;
        Budgets budgets(session, *captured.compiled, file + ", graph " + std::to_string(seen.size()));
        budgets.check();
        within += budgets.within();
    }
    return within;
}

size_t check_folder(const std::string& folder) {
    size_t within = 0;
    for (const auto& entry : std::filesystem::directory_iterator(TENON_SOURCE_DIR "/" + folder))
        if (entry.path().extension() == ".model") within += check_budgets(entry.path().string());
    return within;
}

TEST(MemoryBudget, KeepsItsWordForEveryExample) { EXPECT_GT(check_folder("examples"), 0u); }
TEST(MemoryBudget, KeepsItsWordForGradients) { EXPECT_GT(check_folder("tests/autograd"), 20u); }
TEST(MemoryBudget, KeepsItsWordForCheckpoints) { EXPECT_GT(check_folder("tests/checkpoint"), 0u); }

}  // namespace
}  // namespace tenon
