// The autograd tape: what ran under grad mode and leads from tensors that require a gradient. An eager op is one entry,
// a compiled graph is one entry. Backward walks entries by descending position; cotangents at a fan-out are one left
// fold in that order, operands ascending; the old `.grad` is added last.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "frontend/history/tape_entry.h"
#include "frontend/record/tensor_dispatch.h"
#include "ir/ids.h"
#include "runtime/span.h"

namespace tenon {

class CompiledGraph;
class Tracer;

struct BackwardOptions {
    bool retain_graph = false;
    bool create_graph = false;
    bool replay = false;  ///< by ops of the dispatcher, as create_graph does, without a history of their own
    bool captured = false;  ///< appended to the graph under capture (compiled backward)
    bool by_ops() const { return create_graph || replay; }
};

class Tape {
public:
    explicit Tape(Tracer& tracer) : tracer_(tracer) {}

    /// Records that `graph` made `results` (one a differentiable result) from `inputs`. `outputs` are what run() gave.
    void record(const std::shared_ptr<CompiledGraph>& graph, std::vector<TapeEntry::Input> inputs,
                std::span<const Tensor> outputs, std::span<TensorObject* const> results, Span span, MetaId meta);
    /// Records a call of a function with a gradient of its own: null among `results` are those without one.
    Ref<TapeEntry> record_custom(Ref<CustomCall> call, std::vector<Edge> edges, std::span<TensorObject* const> results,
                                 Span span, MetaId meta);
    /// A number for a history that a tensor gets now.
    uint64_t number_history() { return ++last_history_; }
    /// Where the next entry will stand.
    uint64_t position() const { return next_position_; }
    /// The ops from position `since` on that lead to `last` have saved what they need of this memory, which is about to
    /// be written: they keep a copy.
    void keep(const Edge& last, uint64_t since, const Storage& memory);
    /// An entry that stands for a history a captured backward has used up already, which led to these edges.
    Ref<TapeEntry> used_up(std::vector<Edge> edges, Span span);

    /// The edge past what is unfolded.
    static Edge resolved(Edge edge);
    /// And past captured graphs that are not used up, which are unfolded: to an op by itself, or a leaf.
    Edge op_of(Edge edge);

    /// What captured graphs have saved since is packed, where that is asked for: once nothing is half done.
    void pack_pending();

    struct Root {
        Edge edge;
        TensorRef cotangent;
        Span span;
    };
    /// Adds into `.grad` of the leaves that the roots depend on; with `only`, of these tensors alone.
    void backward(std::span<const Root> roots, const BackwardOptions& options, std::span<const TensorRef> only = {});
    /// The cotangents of `wrt`; null where no path leads. `.grad` is left alone.
    std::vector<TensorRef> gradients(std::span<const Root> roots, std::span<const TensorRef> wrt,
                                     const BackwardOptions& options);

private:
    class Walk;
    // Puts an entry for each op of a captured graph in the place of the graph's own. A derivative with respect to a
    // value that lies between two results needs them, and higher orders, which are differentiated op by op.
    void unfold(TapeEntry& entry);
    uint64_t take_position() { return std::exchange(next_position_, next_position_ + step_); }

    static constexpr uint64_t apart = 1 << 24;  // positions between two entries: room for the ops of a graph
    Tracer& tracer_;
    uint64_t next_position_ = apart, step_ = apart;
    uint64_t last_history_ = 0;
    std::vector<Ref<TapeEntry>> to_pack_;
};

/// `.grad` += gradient, in place where there is one already.
void accumulate_gradient(Dispatcher& dispatcher, Autograd& leaf, TensorRef gradient, bool keep_history);

}  // namespace tenon
