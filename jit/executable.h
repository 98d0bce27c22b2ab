// A scheduled graph that runs: a flat list of steps over planned memory.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ir/graph.h"
#include "ir/passes/passes.h"
#include "jit/machine.h"
#include "jit/memory_plan.h"
#include "runtime/tensor.h"

namespace tenon {

enum class EngineKind : uint8_t {
    eager,      ///< one op at a time, on the block interpreter
    interp,     ///< the block interpreter
    jit,        ///< machine code, compiled before the first run
    automatic,  ///< the block interpreter at first; machine code from when it is there
};

class Executable {
public:
    /// `scheduled` is at the level of ir/loops.h; it may have symbols, each defined by a parameter. The machine
    /// outlives the executable. Throws Error where the engine is jit and there is no compiler.
    Executable(GraphRef scheduled, Machine& machine, EngineKind engine);
    ~Executable();
    Executable(const Executable&) = delete;
    Executable& operator=(const Executable&) = delete;

    /// `inputs` in the order of parameters, of the parameters' dtypes and shapes; strided ones are copied first.
    /// `outputs` is replaced by the graph's results, each with storage of its own. `commit` writes into the storage of
    /// its input and raises its version. An executable does not run within a run of its own; another one of the machine
    /// may.
    ///
    /// Throws Error: "assertion" from an assert, "index" from a position out of range, "value" from an integer division
    /// by zero, "memory"; then the commits before the failing node have happened, the others have not.
    void run(std::span<const Tensor> inputs, std::vector<Tensor>& outputs);

    /// After a failed run: how many ordered nodes (assert, commit) of the graph precede the failing one.
    size_t effects_done() const;

    const GraphRef& graph() const;
    /// What was decided about memory, with reasons; of the sizes planned last.
    const Decisions& decisions() const;
    /// Bytes of intermediate values, of the sizes planned last.
    size_t arena_bytes() const;
    /// What a run takes at most, of the sizes planned last.
    MemoryPeak memory_peak() const;
    /// The same before the first run, of the sizes when the graph was captured.
    MemoryPeak planned_peak();
    size_t kernel_count() const;
    EngineKind engine() const;
    /// How far its kernels are machine code, and what making it took: each kernel's share, wherever it was made first.
    struct MachineCode {
        size_t kernels = 0, compiled = 0;
        double milliseconds = 0;
        bool in_background = false;  ///< any of it
    };
    MachineCode machine_code() const;
    /// Of these: the kernels that no engine compiles (`compile: false`).
    size_t interpreted_count() const;

private:
    class Implementation;
    std::unique_ptr<Implementation> implementation_;
};

}  // namespace tenon
