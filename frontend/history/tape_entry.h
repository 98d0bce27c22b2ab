// Histories of values: entries of the tape and the edges between them. An eager op is one entry, a compiled graph is one
// entry. An entry keeps what its backward needs until that has used it up.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "frontend/history/custom_call.h"
#include "frontend/history/hooks.h"
#include "frontend/values/tensor_object.h"
#include "ir/ids.h"
#include "runtime/span.h"

namespace tenon {

class CompiledGraph;

/// Where a cotangent goes: to a result of an entry, or to a leaf, or nowhere.
struct Edge {
    Ref<TapeEntry> entry;
    uint32_t output = 0;
    Ref<Autograd> leaf;
    explicit operator bool() const { return entry || leaf; }
    /// Of a tensor whose history is settled.
    static Edge of(const TensorObject& tensor);
};

class TapeEntry final : public Object, public StorageReader {
public:
    TapeEntry() : Object(Kind::other) {}
    struct Saved {
        Tensor tensor;
        uint32_t version = 0;
        bool is_gone = false;     // overwritten
        bool is_unknown = false;  // op by op it is there, but it was computed again from what has been overwritten since
        Span write;               // by what, in both cases
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
        uint32_t after = 0;  ///< the version that the graph has left
        const Tensor& value() const { return before.defined() ? before : tensor; }
    };
    struct Output {
        DType dtype;
        Dims shape;
        Ref<Hooks> hooks = {};        ///< with the whole cotangent of this result
        Ref<Autograd> retained = {};  ///< of a tensor that is this result, whose `.grad` it is added into
    };
    ~TapeEntry() override;
    void visit_children(FunctionRef<void(const Value&)> visit) const override;
    void drop_children() override;

    /// These of the saved values are read by a backward that needs nothing else of their memory, to compute again what
    /// op by op would have been saved: writes do not change what is read.
    void guard(std::span<const size_t> saved);
    void before_write(const Storage& storage) override;
    /// Gives up what a backward needs.
    void clear();

    uint64_t position = 0;
    std::shared_ptr<CompiledGraph> graph;  // null: a custom call, or used up
    Ref<CustomCall> custom;                // null: a graph
    std::vector<Saved> saved;
    std::vector<Lost> lost;
    // Op by op these values would have been saved as they lie there, whatever the graph saves in their place.
    std::shared_ptr<const std::vector<Shown>> shown;
    std::vector<Saved> shown_memory;           // beside `shown`
    std::vector<Edge> edges;                   // one a wrt of the graph
    std::vector<Input> inputs;                 // the graph's, then the leaves among its wrt that it has made itself
    std::vector<Output> outputs;               // one a differentiable result
    const Input& input_of(size_t edge) const;  // what the edge's cotangent is of
    NodeHooks hooks;                           // only an op by itself and a custom call have any
    std::vector<Edge> unfolded;  // one a differentiable result, once the graph's ops have become entries in its place
    Span span;
    MetaId meta;
    bool freed = false;           // a backward has used it up
    std::vector<bool> used_up;    // or some of its ops, by node of the joint; empty: none
    std::vector<size_t> guarded;  // of `saved`, until they are written
};

/// A saved value that was unpacked into the graph under capture, which is yet to compute it; else null.
TensorRef unpacked_in_graph(const TapeEntry& entry, size_t saved);
/// Of any kind, of the node or of its results.
bool has_hooks(const TapeEntry& entry);
/// Of an op by itself or a custom call: how many operands its gradient is of, and which of them the edge is of.
size_t operand_count(const TapeEntry& entry);
size_t operand_of(const TapeEntry& entry, size_t edge);
/// What it is called: of an op by itself the op's name.
std::string_view name_of(const TapeEntry& entry);
/// What entries of one kind and structure share, whatever their tensors.
uint64_t kind_for_key(const TapeEntry& entry);

inline Autograd& TensorObject::make_autograd() {
    if (!autograd) {
        autograd = make_ref<Autograd>();
        autograd->owner = this;
    }
    return *autograd;
}

}  // namespace tenon
