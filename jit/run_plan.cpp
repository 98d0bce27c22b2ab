#include "jit/run_plan.h"

#include <utility>

#include "jit/kernel.h"
#include "jit/value_sizes.h"
#include "runtime/integer.h"

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

// What PreparedOperands needs, each form of each operand once.
size_t prepared_bytes(const StepPlan& layout, std::span<const LibraryStep::Sizes> libraries) {
    std::vector<std::pair<uint32_t, std::array<int64_t, 4>>> known;
    size_t bytes = 0, library = 0;
    for (const StepLayout& step : layout.steps) {
        if (step.kind != StepKind::library) continue;
        const Preparation& wanted = libraries[library++].preparation;
        if (wanted.bytes == 0) continue;
        const std::pair form{layout.memory_of[step.reads[wanted.operand]], wanted.layout};
        if (std::find(known.begin(), known.end(), form) != known.end()) continue;
        if (bytes + PreparedOperands::rounded(wanted.bytes) > PreparedOperands::most_bytes) continue;
        known.push_back(form);
        bytes += PreparedOperands::rounded(wanted.bytes);
    }
    return bytes;
}

// So many elements of little work are worth the waking of another thread, as in schedule.
constexpr int64_t threaded_work = 32768, much_arithmetic = 16;

// Elements that it goes through, more where much is computed of each: as many as its largest buffer has.
int64_t work_of(const Graph& graph, const StepPlan& layout, const StepLayout& step, const KernelInfo& info,
                std::span<const int64_t> symbols) {
    size_t elements = 0;
    for (const std::vector<uint32_t>* values : {&step.reads, &step.writes})
        for (uint32_t value : *values) {
            const TypeId type = layout.memories[layout.memory_of[value]].type;
            elements = std::max(elements, bytes_of(graph, type, symbols) / size_of((*graph.context)[type].dtype));
        }
    return multiply_saturated(int64_t(elements), std::max<int64_t>(info.arithmetic / much_arithmetic, 1));
}

// Stages that threads do not share are run by one thread for each kernel; of the others each is a phase.
class Phases {
public:
    Phases(BatchRun& batch, std::span<const KernelRun> kernels, const KernelInfo& info, int threads)
        : batch_(batch), kernels_(kernels.subspan(batch.first, batch.count)), threads_(threads), next_(batch.count),
          tile_of_(batch.count) {
        for (uint32_t stage = 0; stage < info.stages.size(); ++stage) {
            if (info.stages[stage].parallel) share(stage);
            else go_on(stage);
        }
        for (std::vector<BatchTile>& tiles : batch.phases)  // the largest first: the last to end is a small one
            std::stable_sort(tiles.begin(), tiles.end(),
                             [&](const BatchTile& a, const BatchTile& b) { return turns(a) > turns(b); });
    }

private:
    bool has(size_t k, uint32_t stage) const {
        const std::vector<StageRun>& stages = kernels_[k].stages;
        return next_[k] < stages.size() && stages[next_[k]].stage == stage;
    }
    uint32_t number(size_t k) const { return uint32_t(batch_.first + k); }
    int64_t turns(const BatchTile& tile) const {
        const std::vector<StageRun>& stages = kernels_[tile.kernel - batch_.first].stages;
        int64_t most = 0;
        for (uint32_t s = tile.first_stage; s < tile.past_stage; ++s)
            most = std::max(most, std::min(tile.end, stages[s].trips) - tile.begin);
        return most;
    }

    void share(uint32_t stage) {
        open_ = false;
        std::vector<BatchTile>& tiles = batch_.phases.emplace_back();
        int64_t all = 0;
        for (size_t k = 0; k < batch_.count; ++k)
            if (has(k, stage)) all += kernels_[k].stages[next_[k]].trips;
        const int64_t group = iterations_together(all, threads_);
        for (size_t k = 0; k < batch_.count; ++k) {
            if (!has(k, stage)) continue;
            const uint32_t here = next_[k]++;
            const int64_t trips = kernels_[k].stages[here].trips;
            for (int64_t begin = 0; begin < trips; begin += group)
                tiles.push_back({number(k), here, here + 1, begin, std::min(begin + group, trips)});
        }
    }
    void go_on(uint32_t stage) {
        if (!std::exchange(open_, true)) {
            batch_.phases.emplace_back();
            std::fill(tile_of_.begin(), tile_of_.end(), none);
        }
        std::vector<BatchTile>& tiles = batch_.phases.back();
        for (size_t k = 0; k < batch_.count; ++k) {
            if (!has(k, stage)) continue;
            const uint32_t here = next_[k]++;
            if (tile_of_[k] == none) {
                tile_of_[k] = tiles.size();
                tiles.push_back({number(k), here, here, 0, INT64_MAX});
            }
            tiles[tile_of_[k]].past_stage = here + 1;
        }
    }

    static constexpr size_t none = SIZE_MAX;
    BatchRun& batch_;
    std::span<const KernelRun> kernels_;
    const int threads_;
    bool open_ = false;            // may the last phase go on?
    std::vector<uint32_t> next_;   // of a kernel: the stage to come, of its KernelRun
    std::vector<size_t> tile_of_;  // of a kernel, in the last phase
};

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
    plan->prepared_bytes = prepared_bytes(layout, plan->libraries);
    const int threads = machine.pool().threads();
    std::vector<size_t> kernel_of(layout.steps.size());  // of a kernel step
    for (size_t s = 0, k = 0; s < layout.steps.size(); ++s)
        if (layout.steps[s].kind == StepKind::kernel) kernel_of[s] = k++;
    for (const StepBatch& steps : layout.batches) {
        BatchRun& batch = plan->batches.emplace_back(BatchRun{kernel_of[steps.first], steps.count, false, {}});
        const KernelInfo& info = kernels[batch.first].cached->info;
        int64_t work = 0;
        for (uint32_t s = steps.first; s < steps.first + steps.count; ++s)
            work = add_saturated(work, work_of(graph, layout, layout.steps[s], info, symbols));
        const bool shared = std::any_of(info.stages.begin(), info.stages.end(),
                                        [](const KernelStage& stage) { return stage.parallel; });
        batch.threaded = threads > 1 && (shared || work >= threaded_work);
        Phases(batch, plan->kernels, info, threads);
    }
    return plan;
}

}  // namespace tenon
