// The autograd tape: what ran under grad mode and leads from tensors that require a gradient. An eager op is one entry,
// a compiled graph is one entry. Backward walks entries by descending position; cotangents at a fan-out are one left
// fold in that order, operands ascending; the old `.grad` is added last.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "frontend/record/tensor_dispatch.h"
#include "frontend/values/tensor_object.h"
#include "ir/ids.h"
#include "runtime/span.h"

namespace tenon {

class CompiledGraph;
class Tracer;

/// Where a cotangent goes: to a result of an entry, or to a leaf, or nowhere.
struct Edge {
    Ref<TapeEntry> entry;
    uint32_t output = 0;
    Ref<Autograd> leaf;
    explicit operator bool() const { return entry || leaf; }
    /// Of a tensor whose history is settled.
    static Edge of(const TensorObject& tensor);
};

class TapeEntry final : public RefCounted, public StorageReader {
public:
    struct Saved {
        Tensor tensor;
        uint32_t version = 0;
        bool is_gone = false;  // computed again from what has been overwritten since, or overwritten itself
        Span write;            // by what, if it is gone
    };
    struct Lost {  // a saved value that the graph itself has overwritten
        DType dtype;
        Dims shape;
        Span by, write;               // the op that needs it, what has overwritten it
        std::vector<bool> needed_by;  // which results' cotangents need it
        NodeId op, value;             // of the graph of the joint: the same
    };
    struct Shown {      // a value that a formula of a graph names, of memory that others may write
        Lost as_lost;   // what it is once they have; without the write
        bool is_input;  // of the graph, else a result
        size_t index;
    };
    struct Input {  // for higher orders: the graph is differentiated again as recorded ops
        Tensor tensor;
        uint32_t version = 0;
        Edge edge;
        Tensor before = {};  ///< what it held where the graph has written it, if that is kept
        const Tensor& value() const { return before.defined() ? before : tensor; }
    };
    struct Output {
        DType dtype;
        Dims shape;
    };
    ~TapeEntry() override;

    /// These of the saved values are read by a backward that needs nothing else of their memory, to compute again what
    /// op by op would have been saved: writes do not change what is read.
    void guard(std::span<const size_t> saved);
    void before_write(const Storage& storage) override;
    /// Gives up what a backward needs.
    void clear();

    uint64_t position = 0;
    std::shared_ptr<CompiledGraph> graph;
    std::vector<Saved> saved;
    std::vector<Lost> lost;
    // Op by op these values would have been saved as they lie there, whatever the graph saves in their place.
    std::shared_ptr<const std::vector<Shown>> shown;
    std::vector<Saved> shown_memory;           // beside `shown`
    std::vector<Edge> edges;                   // one a wrt of the graph
    std::vector<Input> inputs;                 // the graph's, then the leaves among its wrt that it has made itself
    std::vector<Output> outputs;               // one a differentiable result
    const Input& input_of(size_t edge) const;  // what the edge's cotangent is of
    std::vector<Edge> unfolded;  // one a differentiable result, once the graph's ops have become entries in its place
    Span span;
    MetaId meta;
    bool freed = false;           // a backward has used it up
    std::vector<bool> used_up;    // or some of its ops, by node of the joint; empty: none
    std::vector<size_t> guarded;  // of `saved`, until they are written
};

struct BackwardOptions {
    bool retain_graph = false;
    bool create_graph = false;
    bool replay = false;  ///< by ops of the dispatcher, as create_graph does, without a history of their own
    bool by_ops() const { return create_graph || replay; }
};

class Tape {
public:
    explicit Tape(Tracer& tracer) : tracer_(tracer) {}

    /// Records that `graph` made `results` (one a differentiable result) from `inputs`. `outputs` are what run() gave.
    void record(const std::shared_ptr<CompiledGraph>& graph, std::vector<TapeEntry::Input> inputs,
                std::span<const Tensor> outputs, std::span<TensorObject* const> results, Span span, MetaId meta);
    /// A number for a history that a tensor gets now.
    uint64_t number_history() { return ++last_history_; }
    /// Where the next entry will stand.
    uint64_t position() const { return next_position_; }
    /// The ops from position `since` on that lead to `last` have saved what they need of this memory, which is about to
    /// be written: they keep a copy.
    void keep(const Edge& last, uint64_t since, const Storage& memory);
    /// An entry that stands for a history a captured backward has used up already, which led to these edges.
    Ref<TapeEntry> used_up(std::vector<Edge> edges, Span span);

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
};

/// `.grad` += gradient, in place where there is one already.
void accumulate_gradient(Dispatcher& dispatcher, Autograd& leaf, TensorRef gradient, bool keep_history);

inline Autograd& TensorObject::make_autograd() {
    if (!autograd) autograd = make_ref<Autograd>();
    return *autograd;
}

}  // namespace tenon
