// What of a run depends on the values of symbols: where memory lies, how far the kernels' loops go.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "jit/library_step.h"
#include "jit/machine.h"
#include "jit/memory_plan.h"
#include "jit/step_builder.h"
#include "runtime/small_vector.h"

namespace tenon {

struct StageRun {
    uint32_t stage;
    bool parallel;
    int64_t trips;
    int64_t piece = 1;  ///< iterations that a few milliseconds are known to be enough for
};

struct KernelRun {
    std::vector<int64_t> extents;
    std::vector<StageRun> stages;  ///< those with anything to do
    std::vector<size_t> scratch;   ///< scratch_offsets, where there is any
};

/// Iterations of stages of one kernel, on one thread.
struct BatchTile {
    uint32_t kernel = 0;                       ///< of the plan
    uint32_t first_stage = 0, past_stage = 0;  ///< of its KernelRun
    int64_t begin = 0, end = 0;                ///< of each of these, as far as it goes
};

/// Kernels `first` … `first + count − 1` as one dispatch. Phases run one after the other, the tiles of one in any order, on
/// any thread.
struct BatchRun {
    size_t first = 0, count = 0;
    bool threaded = false;
    std::vector<std::vector<BatchTile>> phases;
};

/// How many iterations of a parallel stage a thread takes at a time.
constexpr int64_t iterations_together(int64_t trips, int threads) {
    return std::max<int64_t>(1, trips / (8 * int64_t(threads)));
}

struct RunPlan {
    std::vector<int64_t> symbols;
    MemoryPlan memory;
    std::vector<Dims> output_shapes;
    std::vector<KernelRun> kernels;             ///< a kernel step
    std::vector<LibraryStep::Sizes> libraries;  ///< a library step
    size_t prepared_bytes = 0;                  ///< of the operands that all turns of a region read alike
    std::vector<BatchRun> batches;              ///< one of StepPlan::batches
};

/// `kernels`, `libraries`: those of the kernel steps and of the library steps, in order.
std::unique_ptr<RunPlan> make_run_plan(const Graph&, const StepPlan&, std::span<const Machine::Kernel> kernels,
                                       std::span<const LibraryStep> libraries, std::span<const int64_t> symbols,
                                       Machine&);

}  // namespace tenon
