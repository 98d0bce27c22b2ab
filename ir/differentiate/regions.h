// Gradients and batching rules of rows with regions.
//
// What they give is, to the bit, what the unrolled graph gives: a sum of cotangents goes on from where it was when the
// node was met, term by term as the turns' ops would add to it. A start of −0.0 is no start at all: −0.0 + x is x.
#pragma once
#include <string>

#include "ir/graph.h"
#include "ir/regions.h"

namespace tenon {

class Batching;
class Gradient;

void scan_gradient(Gradient&);
NodeId scan_batching(Batching&);

// Why the derivatives of this scan would not have the bits of the unrolled graph's; empty where they do. A value that
// goes to a turn's end in two roles gets its cotangent's terms in another order there.
std::string why_not_as_unrolled(const Graph& region, const ScanForm&);
// By value of such a scan: does a gradient lead from it to one of these operands, in any turn?
std::vector<bool> scan_values_reaching(const Graph& region, const ScanForm&, std::span<const size_t> operands);

// Nodes with regions of which one only gives more than the other become one: the forward that a derivative has emitted
// with what it reads of it, and the one that was there. Null where there are none. With `derived`, only nodes from that
// one on are taken for others, and those before it keep their number and order. `image` (optional) receives each node's
// place in the new graph.
GraphRef merge_regions(const Graph&, NodeId derived = {}, std::vector<NodeId>* image = nullptr);

}  // namespace tenon
