#include "jit/run_plan.h"

#include <string>

#include <fmt/format.h>

#include "jit/kernel.h"
#include "jit/plan.h"
#include "runtime/integer.h"

namespace tenon {

namespace {

class Planner {
public:
    Planner(const Graph& graph, const StepPlan& layout, std::span<const int64_t> symbols)
        : graph_(graph), layout_(layout), symbols_(symbols), plan_(std::make_unique<RunPlan>()) {}

    std::unique_ptr<RunPlan> make(std::span<const Machine::Kernel> kernels, std::span<const LibraryStep> libraries,
                                  Machine& machine) {
        plan_->symbols.assign(symbols_.begin(), symbols_.end());
        for (const StepMemory& m : layout_.memories) plan_->bytes.push_back(bytes_of(m.type));
        place_memories();
        for (NodeId result : graph_.results())
            plan_->output_shapes.push_back(shape_of(graph_, graph_[result].type, symbols_));
        for (const Machine::Kernel& kernel : kernels) plan_->kernels.push_back(plan_kernel(kernel));
        for (const LibraryStep& library : libraries) {
            plan_->libraries.push_back(library.plan(symbols_, machine));
            library.decide(plan_->libraries.back(), plan_->decisions);
        }
        return std::move(plan_);
    }

private:
    size_t bytes_of(TypeId type) const {
        const Type& t = (*graph_.context)[type];
        int64_t count = int64_t(size_of(t.dtype));
        for (SizeId size : t.sizes) count = multiply_saturated(count, graph_.context->evaluate(size, symbols_));
        return size_t(count);  // what is too much for 64 bits is too much for the allocator
    }

    void place_memories() {
        std::vector<Lifetime> lifetimes;
        std::vector<uint32_t> memories;
        for (uint32_t m = 0; m < layout_.memories.size(); ++m) {
            const StepMemory& memory = layout_.memories[m];
            if (memory.kind != MemoryKind::arena) continue;
            lifetimes.push_back({plan_->bytes[m], memory.first, memory.last});
            memories.push_back(m);
        }
        const ArenaPlan arena = plan_arena(lifetimes);
        plan_->arena_bytes = arena.bytes;
        for (size_t k = 0; k < memories.size(); ++k) {
            plan_->arena.emplace_back(memories[k], arena.offsets[k]);
            if (arena.reuses[k] < 0) continue;
            const StepMemory &mine = layout_.memories[memories[k]],
                             &theirs = layout_.memories[memories[size_t(arena.reuses[k])]];
            plan_->decisions.push_back(
                {DecisionKind::reused, std::string(graph_.name_of(mine.maker)),
                 fmt::format("takes the memory of {}, which is not read any more", graph_.name_of(theirs.maker)),
                 graph_.origins[mine.maker.index]});
        }
    }
    KernelRun plan_kernel(const Machine::Kernel& kernel) const {
        const KernelInfo& info = kernel.cached->info;
        const KernelSource& source = kernel.cached->source;
        KernelRun run;
        for (SizeId size : kernel.parameters) run.extents.push_back(graph_.context->evaluate(size, symbols_));
        for (uint32_t k = 0; k < info.stages.size(); ++k) {
            const KernelStage& stage = info.stages[k];
            const int64_t trips = stage_trips(*source.graph, stage, info, run.extents);
            if (trips > 0) run.stages.push_back({k, stage.parallel && trips > 1, trips});
        }
        return run;
    }

    const Graph& graph_;
    const StepPlan& layout_;
    const std::span<const int64_t> symbols_;
    std::unique_ptr<RunPlan> plan_;
};

}  // namespace

std::unique_ptr<RunPlan> make_run_plan(const Graph& graph, const StepPlan& layout,
                                       std::span<const Machine::Kernel> kernels, std::span<const LibraryStep> libraries,
                                       std::span<const int64_t> symbols, Machine& machine) {
    return Planner(graph, layout, symbols).make(kernels, libraries, machine);
}

}  // namespace tenon
