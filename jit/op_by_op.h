// Runs tensor-level graphs op by op: each node is a graph of its own for the block interpreter, with the sizes that the
// inputs have. Of the passes only fuse and schedule have a part in it, on one node at a time. It is what `--verify`
// compares the graphs of passes with.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "ir/graph.h"
#include "jit/run_record.h"

namespace tenon {

class Executable;
class Machine;

class OpByOp {
public:
    explicit OpByOp(Machine& machine);
    ~OpByOp();

    /// `inputs` beside the graph's parameters; those that the first `wanted` results and the effects do not need may be
    /// undefined or, at the end, left out. Inputs are not written: where the graph commits, the record has copies of them.
    RunRecord run(const Graph& graph, std::span<const Tensor> inputs, size_t wanted = SIZE_MAX);

private:
    class Run;
    static constexpr size_t programs_kept = 4096;

    Machine& machine_;
    std::unordered_map<std::string, std::unique_ptr<Executable>> programs_;  // by op, attributes and operand types
};

}  // namespace tenon
