// Regions of rows that have them (Row::regions), as graphs by themselves.
//
// Such a region is isolated: what it captures are operands of its node and parameters of its own. So it is a graph like
// any other, and every pass, gradient and batching rule that works on a graph works on a region of one. By itself it has
// the symbols of the graph that it is from, under the same numbers, defined around it where no parameter shows them.
#pragma once
#include <functional>
#include <span>

#include "ir/build/builder.h"
#include "ir/build/substitution.h"

namespace tenon {

GraphRef extract_region(const Graph&, NodeId, unsigned k);
GraphRef extract_region(const Builder&, NodeId, unsigned k);

// A node of a row with regions: its result type is what the row's rule makes of operands and regions. What the regions
// know of sizes becomes a guard of the graph.
NodeId emit_with_regions(Builder&, Op, NodeList operands, std::span<const GraphRef> regions, AttrId attr);

// Trusted: of this type.
NodeId emit_typed_with_regions(Builder&, Op, TypeId, NodeList operands, std::span<const GraphRef> regions, AttrId attr);

// The region with every symbol defined around it, also where a parameter shows it.
GraphRef with_symbols_around(const Graph& region);
// The region of a graph whose symbols have become what the substitution says.
GraphRef with_sizes(const Graph& region, Substitution&);

bool has_isolated_regions(const Graph&);
// The graph with every isolated region of the nodes that `are_changed` replaced by what `change` makes of it, which has the
// same parameters and results.
GraphRef map_regions(const Graph&, const std::function<bool(NodeId)>& are_changed,
                     const std::function<GraphRef(const GraphRef&)>& change);

}  // namespace tenon
