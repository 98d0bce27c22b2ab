// Capture: differentiation of what lies in the graph at hand, by nodes appended to it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "frontend/history/history_beside.h"
#include "frontend/record/capture.h"
#include "frontend/record/tape.h"

namespace tenon {

class Capture::Differentiation {
public:
    explicit Differentiation(Capture& capture)
        : capture_(capture), tracer_(capture.tracer_), builder_(capture.builder_) {}

    // -- for whoever asks for gradients
    /// x, which this graph computes and which has no history, becomes a leaf: what grad(f) differentiates with respect
    /// to. Where the graph ends before a gradient is asked for, it is differentiated with respect to x as to one of its
    /// inputs.
    void become_leaf(TensorObject& x);
    struct Cotangent {
        TensorObject& of;
        TensorObject* value;  ///< null: ones
    };
    /// Whether all that gradients of `roots` with respect to `wrt` (all leaves where empty) go through lies in this graph.
    bool holds_history(std::span<const Cotangent> roots, std::span<const TensorRef> wrt);
    /// Appends the backward of `roots` and adds into `.grad` of the leaves; with `only`, of these tensors alone.
    void backward(std::span<const Cotangent> roots, const BackwardOptions& options,
                  std::span<const TensorRef> only = {});
    /// The cotangents of `wrt`; null where no path leads.
    std::vector<TensorRef> gradients(std::span<const Cotangent> roots, std::span<const TensorRef> wrt,
                                     const BackwardOptions& options);
    /// Which of these values of this graph have a history beside what leads to `history`'s own leaves.
    std::vector<bool> have_history(std::span<const TensorRef> values, HistoryBeside& history);
    /// A backward that ran on the tape.
    void note_backward() { ++backwards_; }
    uint32_t backward_count() const { return backwards_; }
    /// A functional derivative begins: until the captured call is over.
    void note_derivative() { derives_ = true; }
    bool derives() const { return derives_; }
    void begin_call() { derives_ = false; }

    // -- for the capture
    struct Leaf {
        Ref<Autograd> leaf;
        NodeId node;  ///< its value when something was computed from it first
    };
    void note_leaf(const Ref<Autograd>& leaf, NodeId value);
    std::span<const Leaf> leaves() const { return leaves_; }
    /// Whether a gradient goes through the node to its operands.
    bool passes_gradients(NodeId id) const;
    struct Uses {  // of a node, by ops that a gradient comes to it from
        NodeId last;
        uint32_t count = 0;
    };
    std::vector<Uses> uses() const;
    /// Which of these values a backward has gone through, without any left that is computed from them: no gradient goes
    /// through them again. Empty where nothing is used up.
    std::vector<bool> consumed(std::span<const NodeId> values) const;
    /// Where gradients through a value go, or would if nothing were used up: edges of inputs and of leaves, and others of
    /// the values.
    struct Sources {
        std::vector<Edge> edges;
        std::vector<size_t> values;
    };
    Sources sources(NodeId value, std::span<const NodeId> values) const;
    /// The nodes whose history a backward has used up.
    std::vector<NodeId> used_up() const;
    /// What was noted after the body's node number `position` is forgotten.
    void take_back(uint32_t position);
    /// Nodes have other ids now, or none.
    void renumber(std::span<const NodeId> image);
    void clear();

private:
    bool is_used_up(NodeId id) const { return id.index < used_up_.size() && used_up_[id.index]; }
    std::vector<NodeId> ops_between(std::span<const Cotangent> roots, std::span<const NodeId> wrt);
    std::vector<NodeId> reverse_from(std::span<const Cotangent> roots, std::span<const NodeId> wrt,
                                     const BackwardOptions& options);
    void sort_by_completion(std::span<const Cotangent> roots, std::vector<Ref<Autograd>>& leaves,
                            std::vector<NodeId>& wrt);
    void call_gradient_hooks(const Autograd& leaf, TensorRef& gradient);
    std::vector<bool> with_history(HistoryBeside* history) const;
    std::vector<TensorRef> make_gradients(std::vector<NodeId> found, const BackwardOptions& options);

    struct UsedUp {
        uint32_t position;         // nodes of the body after the backward
        std::vector<bool> before;  // used_up_ until then
    };

    Capture& capture_;
    Tracer& tracer_;
    Builder& builder_;
    std::vector<Leaf> leaves_;
    std::vector<bool> used_up_;  // by node: a captured backward has freed it
    std::vector<UsedUp> used_up_log_;
    uint32_t backwards_ = 0;
    bool derives_ = false;
};

}  // namespace tenon
