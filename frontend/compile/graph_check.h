// `--verify` of one captured graph: when it first runs, it is replayed pass by pass; so is each backward half.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "jit/pass_check.h"

namespace tenon {

class CompiledGraph;

class GraphCheck {
public:
    /// `machine_code`: the engine may swap it in later, so it is checked at once.
    GraphCheck(const CompiledGraph& graph, PassCheck& checker, std::string_view engine, bool machine_code)
        : graph_(graph), checker_(checker), engine_(engine), machine_code_(machine_code) {}

    /// Runs the forward half. `made`: what it was compiled from, and what each pass made of that.
    void forward(std::span<const MadeGraph> made, Executable& executable, std::span<const Tensor> inputs,
                 std::vector<Tensor>& outputs);

    struct Half {
        std::span<const MadeGraph> made;
        std::vector<bool> present;  ///< which cotangents there are; empty: all
        bool continues = false;     ///< running sums
        std::vector<bool> reached;  ///< a wrt: whether the half has a result for it
    };
    /// Runs a backward half on what was saved, the cotangents and the running sums, one after the other.
    void backward(const Half& half, Executable& executable, std::span<const Tensor> arguments,
                  std::vector<Tensor>& gradients);

private:
    /// Whether the first run has saved this and given results of the cotangents' shapes: all that a half depends on.
    bool is_first_run(std::span<const Tensor> saved, std::span<const Tensor> cotangents) const;
    /// The gradients as the joint graph gives them, op by op, then as the halves do where nothing is left out.
    void check_halves(const Half& half, std::span<const Tensor> cotangents, std::span<const Tensor> running,
                      RunRecord now) const;

    const CompiledGraph& graph_;
    PassCheck& checker_;
    const std::string_view engine_;
    const bool machine_code_;
    std::vector<Tensor> inputs_;  // copies of those of the first run
    RunRecord first_;             // what it gave
};

}  // namespace tenon
