// How long the middle end and the engines take for graphs of many nodes: `./dev bench --compile [NODES]`.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

#include "ir/pipeline/pipeline.h"
#include "ir/text/text.h"
#include "jit/executable.h"
#include "jit/llvm_loader.h"
#include "tests/ir/large_graphs.h"

namespace {

using namespace tenon;

double seconds(const std::function<void()>& run) {
    const auto start = std::chrono::steady_clock::now();
    run();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void measure(const LargeGraph& form, size_t nodes) {
    Context context;
    GraphRef graph;
    std::printf("%-14s%8.3f", std::string(form.name).c_str(), seconds([&] { graph = form.make(context, nodes); }));
    Decisions decisions;
    for (const Pass& pass : passes()) {
        PassSetting setting{Target{}, decisions};
        std::printf("%10.3f", seconds([&] { graph = pass.run(*graph, setting); }));
    }
    std::printf("%10.3f", seconds([&] { verify(*graph); }));
    const Allocator allocator;
    ThreadPool pool(2);
    Machine machine(allocator, pool);
    std::vector<Tensor> inputs;
    for (NodeId p : graph->params()) {
        Dims shape;
        for (SizeId size : graph->type(p).sizes) shape.push_back(*context.as_constant(size));
        inputs.push_back(Tensor::empty(allocator, DType::f32, shape));
        std::fill_n(inputs.back().data<float>(), inputs.back().numel(), 0.5f);
    }
    const auto run = [&](EngineKind engine) {
        std::vector<Tensor> outputs;
        Executable executable(graph, machine, engine);
        executable.run(inputs, outputs);
        return executable.kernel_count();
    };
    size_t kernels = 0;
    std::printf("%10.3f", seconds([&] { kernels = run(EngineKind::interp); }));
    if (has_llvm_backend()) std::printf("%10.3f", seconds([&] { run(EngineKind::jit); }));
    std::printf("%10zu\n", kernels);
    std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
    const size_t nodes = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 20000;
    std::printf("%zu nodes; seconds\n%-14s%8s", nodes, "graph", "build");
    for (const Pass& pass : passes()) std::printf("%10s", std::string(pass.name).c_str());
    std::printf("%10s%10s%10s%10s\n", "verify", "interp", "jit", "kernels");
    for (const LargeGraph& form : large_graph_forms)
        if (argc < 3 || form.name == argv[2]) measure(form, nodes);
}
