// What of a run depends on the values of symbols: where memory lies, how far the kernels' loops go.
#pragma once

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

struct RunPlan {
    std::vector<int64_t> symbols;
    MemoryPlan memory;
    std::vector<Dims> output_shapes;
    std::vector<KernelRun> kernels;             ///< a kernel step
    std::vector<LibraryStep::Sizes> libraries;  ///< a library step
};

/// `kernels`, `libraries`: those of the kernel steps and of the library steps, in order.
std::unique_ptr<RunPlan> make_run_plan(const Graph&, const StepPlan&, std::span<const Machine::Kernel> kernels,
                                       std::span<const LibraryStep> libraries, std::span<const int64_t> symbols,
                                       Machine&);

}  // namespace tenon
