// vmap: the graph of one example becomes the graph of a whole batch, and what a row's batching rule sees of it.
//
// In the graph of the batch, a value that depends on a batched input has the batch as its first dimension; any other is
// what it was, one value for all examples. An op does for each example just what it did for one, to the bit.
#pragma once
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ir/build/builder.h"

namespace tenon {

class Batcher;

// One node of the example's graph, at least one operand of which is batched (or its row says `own_per_example`). The
// rule emits what computes it for the whole batch and returns that node, batch first. Where it has several results, the
// rule returns a tuple of as many, each of them batch first.
class Batching {
public:
    // ---- the node as it is for one example
    size_t operand_count() const;
    const Type& type(size_t operand) const;
    const Type& result_type() const;  // of several: a tuple
    Attributes attributes() const;
    AttrId attr() const;

    // ---- the operands in the graph of the batch
    bool batched(size_t operand) const;
    NodeId operand(size_t) const;
    NodeId whole(size_t operand);  // batch first also where it is one for all: then repeated
    // As an operand of rank `rank` in an op that broadcasts: batch first, then sizes of 1, then the example's own
    // sizes. One for all: as it is.
    NodeId aligned(size_t operand, size_t rank);
    // The movement ops that lead from operand `base` to operand `view`, applied to another base, batch first.
    NodeId replay_view(size_t view, size_t base, NodeId new_base);

    GraphRef region(unsigned k) const;

    // ---- writing
    SizeId size() const;                                         // how many examples
    AttrList batch_of(std::span<const SizeId> sizes) const;      // the batch, then these
    int64_t axis_of_batch(std::string_view key = "axis") const;  // the attribute's axis, past the batch
    AttrId with(std::string_view key, AttrValue value) const;    // the node's attributes, one of them another
    AttrId attr(std::initializer_list<std::pair<std::string_view, AttrValue>>) const;
    NodeId emit(Op, std::span<const NodeId> operands, AttrId attr = {});
    NodeId emit(Op o, std::initializer_list<NodeId> operands, AttrId attr = {}) {
        return emit(o, std::span(operands.begin(), operands.size()), attr);
    }
    NodeId again(std::span<const NodeId> operands, AttrId attr);  // the node's own op
    NodeId again(std::span<const NodeId> operands, AttrId attr, std::span<const GraphRef> regions);
    std::vector<NodeId> results_of(NodeId);
    NodeId again(std::initializer_list<NodeId> operands, AttrId attr) {
        return again(std::span(operands.begin(), operands.size()), attr);
    }
    Builder& builder() const;  // of the graph of the batch
    NodeId reshape(NodeId, AttrList sizes);
    NodeId expand(NodeId, AttrList sizes);
    NodeId permute(NodeId, AttrList axes);
    Context& context() const;
    const Type& type_of(NodeId) const;  // of a node in the graph of the batch
    [[noreturn]] void fail(std::string why, std::string help) const;

private:
    friend class Batcher;
    Batching(Batcher& batcher, NodeId node, NodeId first = {}) : batcher_(batcher), node_(node), first_(first) {}
    Batcher& batcher_;
    NodeId node_;
    NodeId first_;  // another operand 0, batch first
};

// Rules that several families share.
NodeId batch_broadcasting(Batching&);  // operands broadcast from the right: elementwise ops, matrix products
NodeId batch_along_axis(Batching&);    // one operand, attribute `axis`
NodeId batch_along_axes(Batching&);    // one operand, attribute `axes`
NodeId batch_whole(Batching&);         // every operand batch first, attribute `axis`

// ---- of rows with regions, whose examples may go different ways
// The results of a graph, written out.
std::vector<NodeId> inline_graph(Builder&, const Graph&, std::span<const NodeId> operands);
// By example, the one value or the other, batch first; `condition` is bool[batch].
NodeId choose(Builder&, NodeId condition, NodeId where_true, NodeId where_false);
// The value, but a gradient flows through it only where the condition is `side`.
NodeId guard(Builder&, NodeId condition, bool side, NodeId value);
// By node of a region: does it differ from example to example, where those parameters do?
std::vector<bool> differs_per_example(const Graph& region, const std::vector<bool>& parameters);

struct BatchRequest {
    SizeId size;                    // how many examples
    std::span<const int> in_axes;   // one a parameter: where its batch dimension is to stand; −1: it is one for all
    std::span<const int> out_axes;  // one a result: where its batch dimension is to stand; −1: it is one for all
};
// The graph over whole batches. Its parameters and results are the example's with the batch dimension put in. Metadata,
// origins and names are kept; symbols keep their numbers. Calls were inlined before (ir/passes/batch.h does both).
// Throws Error kind "vmap" at an op that has no rule.
GraphRef batch_flat(const Graph&, const BatchRequest&);

}  // namespace tenon
