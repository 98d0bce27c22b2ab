// `--verify`: replays a run pass by pass against the interpreter and names the first pass that is wrong.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"
#include "jit/executable.h"
#include "jit/machine.h"
#include "jit/op_by_op.h"
#include "jit/run_record.h"

namespace tenon {

/// A graph on its way through the passes.
struct MadeGraph {
    std::string maker;           ///< "the pass fuse", as an error names it
    GraphRef graph;              ///< of tensor level it runs op by op, of loop level on the block interpreter
    size_t compared = SIZE_MAX;  ///< how many of its results the graph before has too
    size_t wanted = SIZE_MAX;    ///< how many of its results can be computed
};

/// Runs graphs on copies, with memory, kernels and counters of its own: nothing of it is seen in what a script counts.
class PassCheck {
public:
    /// Beside the machine that runs the graphs.
    explicit PassCheck(const Machine& beside)
        : machine_(Allocator(), beside.pool(), beside.instructions()), op_by_op_(machine_) {}

    /// Runs each graph on the same inputs and compares what it leaves behind with what the one before it did, bit for
    /// bit (NaNs are equal). What the last one left is returned. Throws Error "internal" that names the first maker
    /// whose graph differs, the result, the first element that differs and both values.
    RunRecord check(std::span<const MadeGraph> graphs, std::span<const Tensor> inputs);

    /// Checks the graphs on copies of the inputs, then the machine code of the last one if asked to; then runs
    /// `executable`, which was made of the last one, on the inputs themselves and compares what that does. `engine` is
    /// how an error names it.
    RunRecord run(std::span<const MadeGraph> graphs, bool machine_code, Executable& executable, std::string_view engine,
                  std::span<const Tensor> inputs, std::vector<Tensor>& outputs);

    /// Throws as check() does where the two runs differ. `graph` is the later one's.
    static void compare(const RunRecord& was, const RunRecord& is, const std::string& maker, const Graph& graph,
                        size_t results = SIZE_MAX);

    const Allocator& allocator() const { return machine_.allocator(); }

private:
    RunRecord run(const MadeGraph& made, std::span<const Tensor> inputs);
    RunRecord run(const GraphRef& scheduled, EngineKind engine, std::span<const Tensor> inputs);

    Machine machine_;
    OpByOp op_by_op_;
};

}  // namespace tenon
