// What explain predicts that a run takes, against what the allocator counts: for the graphs of the examples, and of steps
// of the forms that memory is planned for.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>

#include "frontend/compile/graph_cache.h"
#include "frontend/evaluate/session.h"
#include "frontend/record/capture.h"
#include "frontend/values/output.h"
#include "jit/executable.h"
#include "jit/machine.h"

namespace tenon {
namespace {

class Silence final : public Output {
public:
    void write(std::string_view, Span) override {}
};

// Runs the graph by itself, on zeros, with an allocator that counts nothing else.
void expect_peak_as_predicted(const Executable& planned, const std::string& what) {
    const Graph& graph = *planned.graph();
    const Allocator allocator;
    ThreadPool pool(1);
    Machine machine(allocator, pool);
    Executable executable(planned.graph(), machine, EngineKind::interp);
    std::vector<int64_t> hints;
    for (const SizeSymbol& symbol : graph.symbols) hints.push_back(symbol.hint);
    std::vector<Tensor> inputs, outputs;
    for (NodeId p : graph.params()) {
        Dims shape;
        for (SizeId size : graph.type(p).sizes) shape.push_back(graph.context->evaluate(size, hints));
        inputs.push_back(Tensor::empty(allocator, graph.type(p).dtype, shape));
        std::fill_n(inputs.back().bytes(), inputs.back().element_bytes(), std::byte{});
    }
    const size_t constants = [&] {
        const size_t given = allocator.statistics().current;
        size_t bytes = 0;
        for (const Tensor& input : inputs) bytes += input.element_bytes();
        return given - bytes;
    }();
    try {
        executable.run(inputs, outputs);
    } catch (const Error&) { return; }  // an assertion that zeros do not meet
    const size_t measured = allocator.statistics().peak - constants, predicted = executable.memory_peak().bytes();
    EXPECT_EQ(measured, predicted) << what;
    EXPECT_LE(executable.memory_peak().in_use, executable.arena_bytes()) << what;
    // What lies between values that are in use together.
    EXPECT_LE(double(executable.arena_bytes()), 1.1 * double(executable.memory_peak().in_use) + 65536) << what;
}

void expect_peaks_as_predicted(const std::string& file) {
    Silence silence;
    SessionOptions options;
    options.tracer.engine = Engine::interp;
    options.output = &silence;
    Session session(options);
    std::vector<CapturedGraph> log;
    session.tracer().capture().set_log(&log);
    Module& module = session.modules().open(file);
    session.modules().run_once(module, {});
    session.tracer().capture().set_log(nullptr);
    std::set<const CompiledGraph*> seen;
    for (const CapturedGraph& captured : log) {
        if (!captured.compiled || !seen.insert(captured.compiled.get()).second) continue;
        const std::string name = file + ", graph " + std::to_string(seen.size());
        for (const Executable* half :
             {captured.compiled->forward_executable(), captured.compiled->backward_executable()})
            if (half) expect_peak_as_predicted(*half, name);
    }
}

TEST(MemoryPeak, IsPredictedForEveryExample) {
    for (const auto& entry : std::filesystem::directory_iterator(TENON_SOURCE_DIR "/examples"))
        if (entry.path().extension() == ".model") expect_peaks_as_predicted(entry.path().string());
}
TEST(MemoryPeak, IsPredictedForSteps) { expect_peaks_as_predicted(TENON_SOURCE_DIR "/tests/graphs/peak.model"); }

}  // namespace
}  // namespace tenon
