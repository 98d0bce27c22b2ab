// The graph: one node type for tensor level and loop level, in an arena, addressed by ids.
// A Graph is frozen: Builder::finish returns shared_ptr<const Graph>, passes read one and build another.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "ir/context.h"
#include "ir/ids.h"
#include "runtime/tensor.h"

namespace tenon {

struct Range {
    uint32_t begin = 0, count = 0;
};

enum NodeFlags : uint8_t {
    recompute_flag = 1,   // computed again in backward instead of saved (a checkpoint's inside)
    no_grad_flag = 2,     // captured under no_grad: reverse does not go through it
    recomputed_flag = 4,  // a clone, in backward, of a node with recompute_flag
    save_flag = 8,        // beside recompute_flag: kept all the same, as the checkpoint's policy has it
    must_flag = 16,       // beside recompute_flag: the policy's word holds, whatever else would be cheaper
};
constexpr uint8_t policy_flags = recompute_flag | save_flag | must_flag;
/// "recompute" (what a checkpoint does with a value where nothing else is said), "must_recompute", "prefer_save",
/// "must_save"; empty outside of checkpoints.
std::string_view policy_word(uint8_t flags);
/// The flags with this word, 0 where it is none.
uint8_t flags_of_policy(std::string_view word);

struct Node {  // trivially copyable; a value is a node, several results are a tuple and `get`
    Op op;
    uint8_t regions = 0;  // number of regions
    uint8_t flags = 0;    // NodeFlags
    TypeId type;
    AttrId attr;
    Range operands;   // into Graph::operands
    RegionId region;  // the first of `regions`, consecutive
};
static_assert(std::is_trivially_copyable_v<Node>);

struct Region {
    Range params, body;  // into Graph::bodies; body order is execution order and excludes params and the yield
    NodeId yield;        // its operands are the region's results
    RegionId parent;     // none for the main region, which is region 0
};

// `dim` of the symbols of a region that stands by itself (ir/build/regions.h): who runs it knows their values.
constexpr int defined_around = -2;

struct SizeSymbol {  // a size known at run time only, 0 or more
    NodeId definer;  // an input of the main region, or a data-dependent node; none in a half that does not use it
        // and in the graph of one example (ir/differentiate/batching.h), whose symbols are those of the graph that it
        // becomes a part of
    int dim = 0;       // the definer's dimension that it names; defined_around: of a graph around this one
    int64_t hint = 1;  // its value when captured; not part of equality
    NameId name;       // "n" where a signature names it, none otherwise (printed s0, s1, …)
};

// How often this thread has looked at the operands of a node, where assertions are compiled: tests hold passes to work
// that grows as graphs do.
struct GraphVisits {
    static inline constinit thread_local uint64_t count = 0;
};

class Graph {
public:
    Context* context = nullptr;
    NameId name;
    std::vector<Node> nodes;
    std::vector<NodeId> operands, bodies;
    std::vector<Region> regions;
    std::vector<SizeSymbol> symbols;
    std::vector<SizeEquality> equalities;  // what holds of the symbols beside that they are not negative
    std::vector<OriginId> origins;         // beside the nodes
    std::vector<MetaId> metas;
    std::vector<NameId> names;    // canonical names, given at freeze: "sin", "sin_1"; none for constants
    std::vector<Tensor> tensors;  // captured tensors, printed `const #k`; attribute `index` of op `tensor`

    const Node& operator[](NodeId id) const { return nodes[id.index]; }
    std::span<const NodeId> operands_of(NodeId id) const {
#ifndef NDEBUG
        ++GraphVisits::count;
#endif
        const Node& node = nodes[id.index];
        return {operands.data() + node.operands.begin, node.operands.count};
    }
    NodeId operand(NodeId id, size_t k) const { return operands_of(id)[k]; }
    const Region& region(RegionId id) const { return regions[id.index]; }
    const Region& region_of(NodeId id, unsigned k = 0) const { return regions[nodes[id.index].region.index + k]; }
    const Region& main() const { return regions[0]; }
    std::span<const NodeId> params(const Region& r) const { return {bodies.data() + r.params.begin, r.params.count}; }
    std::span<const NodeId> body(const Region& r) const { return {bodies.data() + r.body.begin, r.body.count}; }
    std::span<const NodeId> results(const Region& r) const { return operands_of(r.yield); }
    std::span<const NodeId> params() const { return params(main()); }
    std::span<const NodeId> body() const { return body(main()); }
    std::span<const NodeId> results() const { return results(main()); }
    const Type& type(NodeId id) const { return (*context)[nodes[id.index].type]; }
    Attributes attributes(NodeId id) const { return {*context, nodes[id.index].attr}; }
    // What a `get` of a `tuple` is; none of any other node.
    NodeId element(NodeId get) const;
    std::string_view name_of(NodeId id) const { return context->text(names[id.index]); }
    const Origin& origin(NodeId id) const { return (*context)[origins[id.index]]; }
    std::vector<std::string> symbol_names() const;
    std::vector<std::vector<NodeId>> users() const;  // computed, not stored: users()[n.index], ascending

    // Same structure, types, equalities of sizes, attributes, metadata, flags and captured tensors; names, origins and
    // size hints aside.
    friend bool equal(const Graph&, const Graph&);
};

using GraphRef = std::shared_ptr<const Graph>;

}  // namespace tenon
