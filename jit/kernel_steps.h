// The kernel steps of an executable: the code each has so far, what it works on, and its runs, alone or together with
// others of its form.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "jit/executable.h"
#include "jit/machine.h"
#include "jit/run_plan.h"

namespace tenon {

class KernelSteps {
public:
    KernelSteps(Machine& machine, EngineKind engine) : machine_(machine), engine_(engine) {}

    /// `graph` outlives it. `first_pointer`: of what it reads and writes, among those of all steps.
    void add(const Graph& graph, NodeId node, Machine::Kernel kernel, uint32_t first_pointer);
    std::span<const Machine::Kernel> kernels() const { return kernels_; }
    size_t count() const { return kernels_.size(); }
    /// No engine compiles it (`compile: false`).
    bool stays_interpreted(size_t kernel) const { return states_[kernel].stays_interpreted; }

    /// `pointers`: of all steps. Throw Error "value" from an integer division by zero, and Interrupted.
    void run(size_t kernel, RunPlan&, std::byte* const* pointers);
    /// Kernels that need nothing of each other, in parallel regions that they share: nobody waits between them.
    void run_together(const BatchRun&, RunPlan&, std::byte* const* pointers);

private:
    struct State {
        const Graph* graph;
        NodeId node;
        uint32_t first_pointer = 0;
        std::vector<uint64_t> scalars;
        bool stays_interpreted = false, counted_interp = false, counted_compiled = false;
    };
    const CompiledKernel& code_of(size_t kernel);
    KernelCall call_of(size_t kernel, const RunPlan&, std::byte* const* pointers, uint32_t& faults);

    Machine& machine_;
    const EngineKind engine_;
    std::vector<Machine::Kernel> kernels_;
    std::vector<State> states_;  // beside them
};

}  // namespace tenon
