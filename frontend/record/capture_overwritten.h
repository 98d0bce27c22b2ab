// Capture: values that gradients need and that writes have replaced. In the graph they are still there; op by op they are
// not, and what is an error there is one here. An operation that writes in place keeps what its own gradient needs.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "frontend/record/capture_plan.h"
#include "frontend/record/tape.h"
#include "ir/differentiate/gradient.h"

namespace tenon {

class Capture::OverwrittenValues {
public:
    explicit OverwrittenValues(Capture& capture)
        : capture_(capture), tracer_(capture.tracer_), builder_(capture.builder_) {}

    /// A write has replaced a value of memory: a gradient that needs it comes too late.
    struct Write {
        NodeId node;
        Span write;
        uint32_t storage;       ///< whose value it was
        uint32_t position;      ///< nodes of the body after the write
        Operation by, made_by;  ///< what has written it, and what has written it before, if that is in this graph
    };
    void note(Write write) { writes_.push_back(write); }
    bool is_empty() const { return writes_.empty(); }
    /// The view shows the memory that this value is, or shows.
    void note_shown(NodeId view, NodeId value);
    /// Throws Error "gradient" where a formula comes too late for a value that it names: of those of ops after `last`.
    void check(std::vector<ReverseRequest::Named> named, NodeId last) const;

    // -- of the graphs that a flush compiles
    /// Which values of this graph its backward halves come too late for, which they do once others write, and of which
    /// inputs copies are kept for them.
    void note_named(const CompiledGraph& graph, const Plan& plan);
    /// The inputs as they are before the run: one that the graph itself writes is stale afterwards, or kept as a copy.
    std::vector<TapeEntry::Input> inputs_to_record(const Plan& plan, const CompiledGraph& graph) const;
    /// What is known of the graph, for the entry of the tape that records its run.
    void describe_run(const CompiledGraph* graph, const Plan& plan, std::span<const Tensor> outputs) const;
    void forget_graphs() { named_.clear(); }

    /// Writes after the body's node number `position` have not happened.
    void take_back(uint32_t position);
    /// Nodes have other ids now, or none.
    void renumber(std::span<const NodeId> image);
    void clear();

private:
    struct NamedValues {                    // by formulas of a graph, of memory that is written
        std::vector<TapeEntry::Lost> lost;  // by the graph itself
        std::shared_ptr<const std::vector<TapeEntry::Shown>> shown;  // by whoever may
        std::vector<size_t> kept;  // inputs that the graph writes and that a copy is kept of: they are read again, or
                                   // only the operations that write them name them, for their own gradient
        std::vector<size_t> guarded;  // saved values that nothing names: see TapeEntry::guard
        std::vector<bool> used_up;    // by node of the joint's graph; empty: none
    };
    NodeId memory_value(NodeId node) const;
    const Write* overwritten(NodeId node) const;
    std::string describe(NodeId value) const;
    bool is_kept(const Write& write, NodeId by) const;
    std::vector<ReverseRequest::Named> named_by(const Plan& plan, const Graph& flat,
                                                std::span<const NodeId> kept) const;
    std::vector<size_t> read_again(const CompiledGraph& graph, const Plan& plan,
                                   std::span<const ReverseRequest::Named> named,
                                   std::span<const std::vector<bool>> reached) const;

    Capture& capture_;
    Tracer& tracer_;
    Builder& builder_;
    std::vector<Write> writes_;
    std::vector<NodeId> shows_;  // by node: whose memory it shows, if it is a view's value
    std::unordered_map<const CompiledGraph*, NamedValues> named_;
};

}  // namespace tenon
