#include "jit/kernel_steps.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <utility>

#include "jit/block_interpreter.h"
#include "jit/routines/routines.h"
#include "jit/scratch_call.h"
#include "runtime/diagnostic.h"
#include "runtime/interrupt.h"

namespace tenon {

namespace {

// Machine code asks for no interrupt, so its long stages, which are parallel ones, run in pieces of a few
// milliseconds. How many iterations these are is learned, and kept with the plan: other runs have no more of them.
void run_part(const CompiledKernel& code, StageRun& stage, const KernelCall& call, int64_t begin, int64_t end) {
    using Clock = std::chrono::steady_clock;
    if (!stage.parallel || code.sees_interrupts()) return code.run(stage.stage, call, begin, end);
    const std::atomic_ref<int64_t> known(stage.piece);
    while (begin < end) {
        check_interrupt();
        const int64_t piece = known.load(std::memory_order_relaxed);
        if (piece >= end - begin) return code.run(stage.stage, call, begin, end);
        const Clock::time_point start = Clock::now();
        code.run(stage.stage, call, begin, begin + piece);
        begin += piece;
        if (Clock::now() - start < std::chrono::milliseconds(2)) known.store(2 * piece, std::memory_order_relaxed);
    }
}

}  // namespace

void KernelSteps::add(const Graph& graph, NodeId node, Machine::Kernel kernel, uint32_t first_pointer) {
    State& state = states_.emplace_back();
    state.graph = &graph;
    state.node = node;
    state.first_pointer = first_pointer;
    state.scalars.resize(kernel.cached->info.scalars.size());
    state.stays_interpreted = graph.attributes(node).flag("interpreted");
    kernels_.push_back(std::move(kernel));
}

const CompiledKernel& KernelSteps::code_of(size_t kernel) {
    State& state = states_[kernel];
    CachedKernel& cached = *kernels_[kernel].cached;
    const bool compiles = engine_ >= EngineKind::jit && !state.stays_interpreted;
    const CompiledKernel* code = compiles ? cached.compiled.load(std::memory_order_acquire) : nullptr;
    if (!code) {
        if (!cached.interpreted)
            cached.interpreted =
                interpret_kernel(cached.source, cached.info, machine_.instructions(), machine_.workspaces());
        code = cached.interpreted.get();
    }
    // The compiler's pace must not show: what it was asked for counts as its own, done or not.
    if (compiles && cached.requested) machine_.counters().llvm += !std::exchange(state.counted_compiled, true);
    else if (engine_ != EngineKind::eager) machine_.counters().interp += !std::exchange(state.counted_interp, true);
    return *code;
}

KernelCall KernelSteps::call_of(size_t kernel, const RunPlan& plan, std::byte* const* pointers, uint32_t& faults) {
    State& state = states_[kernel];
    return {reinterpret_cast<void* const*>(pointers + state.first_pointer), plan.kernels[kernel].extents.data(),
            state.scalars.data(), &faults};
}

void KernelSteps::run(size_t kernel, RunPlan& plan, std::byte* const* pointers) {
    KernelRun& run = plan.kernels[kernel];
    if (run.stages.empty()) return;  // nothing to write, and no sizes to translate it for
    const CompiledKernel& code = code_of(kernel);
    const KernelInfo& info = kernels_[kernel].cached->info;
    uint32_t faults = 0;
    const KernelCall call = call_of(kernel, plan, pointers, faults);
    for (StageRun& stage : run.stages) {
        const auto part = [&](int64_t begin, int64_t end) {
            run_part(code, stage, *ScratchCall(call, info, run.scratch, machine_.workspaces()), begin, end);
        };
        if (!stage.parallel || machine_.pool().threads() == 1) {
            part(0, stage.trips);
            continue;
        }
        // Iterations are independent, so how they are grouped cannot be seen in the results.
        const int64_t group = iterations_together(stage.trips, machine_.pool().threads());
        machine_.pool().parallel_for((stage.trips + group - 1) / group, [&](int64_t tile) {
            part(tile * group, std::min(stage.trips, (tile + 1) * group));
        });
    }
    if (faults & division_by_zero) {
        const State& state = states_[kernel];
        Diagnostic d{"value",
                     "division of an integer by zero",
                     {},
                     {},
                     "check the divisor first, or divide as floats: they give an infinity or nan"};
        const NodeId node = analyse_kernel(*state.graph, state.node).faulting;
        if (node) d.span = state.graph->origin(node).span;
        throw Error(std::move(d));
    }
}

void KernelSteps::run_together(const BatchRun& batch, RunPlan& plan, std::byte* const* pointers) {
    const CompiledKernel* code = nullptr;
    for (size_t k = batch.first; k < batch.first + batch.count; ++k) code = &code_of(k);
    const KernelInfo& info = kernels_[batch.first].cached->info;
    for (const std::vector<BatchTile>& tiles : batch.phases) {
        const auto run = [&](int64_t number) {
            const BatchTile& tile = tiles[size_t(number)];
            KernelRun& kernel = plan.kernels[tile.kernel];
            uint32_t faults = 0;  // none: such kernels run alone
            const ScratchCall call(call_of(tile.kernel, plan, pointers, faults), info, kernel.scratch,
                                   machine_.workspaces());
            for (uint32_t s = tile.first_stage; s < tile.past_stage; ++s)
                run_part(*code, kernel.stages[s], *call, tile.begin, std::min(tile.end, kernel.stages[s].trips));
        };
        if (batch.threaded) {
            machine_.pool().parallel_for(int64_t(tiles.size()), run);
            continue;
        }
        for (size_t tile = 0; tile < tiles.size(); ++tile) {
            check_interrupt();
            run(int64_t(tile));
        }
    }
}

}  // namespace tenon
