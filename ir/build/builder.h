// Builds graphs. The builder runs result rules, interns literals outside the body, stamps origin and metadata on every
// node centrally, and names nodes canonically when it freezes the graph.
//
// Capture is flat: a call (composite, checkpoint) is a contiguous range of the body, recorded by begin_call/end_call.
// `finish` can turn these ranges into `call` nodes with regions (outline), which is the form that listings show.
#pragma once
#include <array>
#include <string>
#include <unordered_map>

#include "ir/build/known_sizes.h"
#include "ir/build/node_list.h"
#include "ir/build/skeleton_hash.h"
#include "ir/graph.h"
#include "ir/liveness.h"
#include "ir/row.h"

namespace tenon {

struct Stamp {  // what the builder puts beside each node it emits
    OriginId origin;
    MetaId meta;
    uint8_t flags = 0;
};

struct CallRange {                // one call, inlined in the body
    NameId name;                  // "softmax", "layers.0"
    NameId kind;                  // "composite", "checkpoint", "layer"
    AttrId record;                // what else the call node carries (policy)
    Stamp stamp;                  // the surroundings when it was opened
    uint32_t begin = 0, end = 0;  // positions in the main body
    int32_t parent = -1;          // the enclosing range
};

class Builder {
public:
    explicit Builder(Context&);
    // A builder that begins with the nodes of `graph` (its main region still open), for passes that append.
    static Builder thaw(const Graph& graph);

    Context& context() { return *context_; }
    void reset();  // empty again, memory kept: a capture builds a graph each call

    // -- inputs, literals, captured tensors
    NodeId parameter(TypeId, NameId name = {});  // of the open region; stamped with `stamp()`
    NodeId literal(Scalar, DType);               // 0-dim constant outside the body, one node a value
    NodeId tensor(Tensor);                       // a captured tensor, printed `const #k`
    uint32_t symbol(NodeId definer, int dim, int64_t hint, NameId name = {});  // returns its number

    // -- nodes. `emit` runs the row's result rule and throws Error with a label per operand.
    NodeId emit(Op, NodeList operands, AttrId attr = {});
    // The results of a node, one by one: of a tuple a `get` each.
    std::vector<NodeId> results_of(NodeId);
    // Trusted: the caller gives the type. `regions` were closed just before, the first of them at `first`.
    NodeId emit_typed(Op, TypeId, NodeList operands, AttrId attr = {}, RegionId first = {}, unsigned regions = 0);

    // -- regions (loop nests, cond, call bodies). Regions nest; a region's results are given when it is closed.
    RegionId open_region();
    void close_region(NodeList results);

    // -- calls of a flat body
    void begin_call(NameId name, NameId kind, AttrId record = {});
    void end_call();
    const std::vector<CallRange>& calls() const { return calls_; }

    // -- what is stamped on new nodes
    const Stamp& stamp() const { return stamp_; }
    class [[nodiscard]] StampScope {
    public:
        StampScope(Builder& b, const Stamp& s) : builder_(b), saved_(b.stamp_) { b.stamp_ = s; }
        ~StampScope() { builder_.stamp_ = saved_; }
        StampScope(const StampScope&) = delete;

    private:
        Builder& builder_;
        Stamp saved_;
    };
    Stamp stamp_of(NodeId) const;
    void set_name(NodeId, NameId);  // keeps a name that the node had in the graph it comes from
    void set_flags(NodeId, uint8_t flags);
    void set_meta(NodeId, MetaId);  // an input takes the metadata of its first use
    void set_origin(NodeId id, OriginId origin) { graph_.origins[id.index] = origin; }
    void set_origin_rule(NameId rule) { rule_ = rule; }  // the pass at work, put into origins of nodes it emits

    // -- reading what was built so far
    const Node& node(NodeId id) const { return graph_.nodes[id.index]; }
    const Type& type(NodeId id) const { return (*context_)[node(id).type]; }
    std::span<const NodeId> operands_of(NodeId id) const { return graph_.operands_of(id); }
    Attributes attributes(NodeId id) const { return {*context_, node(id).attr}; }
    std::span<const NodeId> body() const { return open_.back().body; }
    std::span<const NodeId> params() const { return open_.back().params; }
    size_t size() const { return graph_.nodes.size(); }
    const std::vector<SizeSymbol>& symbols() const { return graph_.symbols; }
    bool is_literal(NodeId) const;
    // What is known of these symbols, and which sizes are equal.
    KnownSizes& known_sizes() { return sizes_; }
    const KnownSizes& known_sizes() const { return sizes_; }

    // The hash of all that was emitted. O(1).
    const SkeletonHash& hash() const { return hash_; }
    void mix(uint64_t value) {
        hash_.mix(value);
    }  // folds further facts into the hash (requires_grad of inputs, outputs, …)

    // What these results, and the ordered nodes so far, need: a bit a node.
    Liveness liveness(std::span<const NodeId> results) const;

    // Back to what was there before the body's node number `count`; parameters and symbols stay. Gives for each old
    // node its present id, none where it went.
    std::vector<NodeId> truncate(size_t count);

    // Closes the main region and freezes: drops what neither a result nor an ordered node needs (parameters stay),
    // numbers and names canonically. `with_calls`: call ranges become `call` nodes.
    // `kept` (optional) receives for each old NodeId its id in the graph, none when dropped.
    GraphRef finish(NodeList results, NameId name = {}, bool with_calls = false, std::vector<NodeId>* kept = nullptr);

private:
    struct Open {
        RegionId region;
        std::vector<NodeId> params, body;
    };
    NodeId append(Op, TypeId, std::span<const NodeId>, AttrId, RegionId first, unsigned regions, bool in_body);
    friend GraphRef extract_region(const Builder&, NodeId, unsigned k);  // ir/build/regions.h
    friend NodeId emit_with_regions(Builder&, Op, NodeList, std::span<const GraphRef>, AttrId);

    Context* context_;
    Graph graph_;
    std::vector<Open> open_;
    std::vector<RegionId> closed_;  // closed, not yet given to a node
    std::vector<CallRange> calls_;
    int32_t open_call_ = -1;
    Stamp stamp_;
    NameId rule_;
    KnownSizes sizes_;
    SkeletonHash hash_;
    struct LiteralKey {
        uint64_t bits;
        DType dtype;
        bool operator==(const LiteralKey&) const = default;
    };
    struct LiteralHash {
        size_t operator()(const LiteralKey& k) const { return (k.bits + uint64_t(k.dtype)) * 0x9E3779B97F4A7C15ull; }
    };
    std::unordered_map<LiteralKey, NodeId, LiteralHash> literals_;
};

}  // namespace tenon
