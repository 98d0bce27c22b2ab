#include "jit/run_plan.h"

#include "jit/kernel.h"

namespace tenon {

namespace {

KernelRun plan_kernel(const Graph& graph, const Machine::Kernel& kernel, std::span<const int64_t> symbols) {
    const KernelInfo& info = kernel.cached->info;
    const KernelSource& source = kernel.cached->source;
    KernelRun run;
    for (SizeId size : kernel.parameters) run.extents.push_back(graph.context->evaluate(size, symbols));
    for (uint32_t k = 0; k < info.stages.size(); ++k) {
        const KernelStage& stage = info.stages[k];
        const int64_t trips = stage_trips(*source.graph, stage, info, run.extents);
        if (trips > 0) run.stages.push_back({k, stage.parallel && trips > 1, trips});
    }
    if (!info.scratch.empty()) run.scratch = scratch_offsets(*source.graph, info, run.extents);
    return run;
}

}  // namespace

std::unique_ptr<RunPlan> make_run_plan(const Graph& graph, const StepPlan& layout,
                                       std::span<const Machine::Kernel> kernels, std::span<const LibraryStep> libraries,
                                       std::span<const int64_t> symbols, Machine& machine) {
    auto plan = std::make_unique<RunPlan>();
    plan->symbols.assign(symbols.begin(), symbols.end());
    plan->memory = plan_memory(graph, layout, symbols);
    for (NodeId result : graph.results()) plan->output_shapes.push_back(shape_of(graph, graph[result].type, symbols));
    for (const Machine::Kernel& kernel : kernels) plan->kernels.push_back(plan_kernel(graph, kernel, symbols));
    for (const LibraryStep& library : libraries) {
        plan->libraries.push_back(library.plan(symbols, machine));
        library.decide(plan->libraries.back(), plan->memory.decisions);
    }
    return plan;
}

}  // namespace tenon
