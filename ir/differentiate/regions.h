// Gradients and batching rules of rows with regions.
//
// What they give is, to the bit, what the unrolled graph gives: a sum of cotangents goes on from where it was when the
// node was met, term by term as the turns' ops would add to it. A start of −0.0 is no start at all: −0.0 + x is x.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "ir/regions.h"

namespace tenon {

class Batching;
class Gradient;

void scan_gradient(Gradient&);
NodeId scan_batching(Batching&);
// The gradient is a cond of the sides' gradients. A side to which no gradient leads leaves a sum as it was.
void cond_gradient(Gradient&);
// Where the condition differs from example to example both sides are done for each, and one is chosen. A derivative is
// chosen again where it leaves a side: of the side not taken it is 0, whatever that made of it.
NodeId cond_batching(Batching&);
// With `max_turns`: a while_loop that counts down. Without it an Error "gradient".
void loop_gradient(Gradient&);
// Turns go on until every example is done; what is done keeps its values.
NodeId loop_batching(Batching&);

// By pairs that the kernel computes again; a second derivative goes through matrices of scores.
void flex_attention_gradient(Gradient&);
void flex_attention_gradient_gradient(Gradient&);

// By result of a region: does a gradient lead from it to one of these parameters?
std::vector<bool> results_that_reach(const Graph& region, const std::vector<bool>& parameters);
// By value of the region of a scan; parameters that carry what leads there from one turn to the next are marked, too.
std::vector<bool> carries_that_reach(const Graph& region, size_t carried, std::vector<bool>& parameters);
// From which results of a region gradients lead to these parameters: `from[k]` by result, of parameter k of those. And a
// row on the way that has no gradient, where there is one.
struct Reach {
    std::vector<std::vector<bool>> from;
    std::string without_gradient;
};
Reach reach_of(const Graph& region, std::span<const size_t> parameters);
std::vector<bool> scan_reach(std::span<const GraphRef>, const Attributes&, std::span<const size_t> operands);
std::vector<bool> cond_reach(std::span<const GraphRef>, const Attributes&, std::span<const size_t> operands);
std::vector<bool> loop_reach(std::span<const GraphRef>, const Attributes&, std::span<const size_t> operands);

// Why the derivatives of this scan would not have the bits of the unrolled graph's; empty where they do. A value that
// goes to a turn's end in two roles gets its cotangent's terms in another order there.
std::string why_not_as_unrolled(const Graph& region, const ScanForm&);

// Nodes with regions of which one only gives more than the other become one: the forward that a derivative has emitted
// with what it reads of it, and the one that was there. Null where there are none. With `derived`, only nodes from that
// one on are taken for others, and those before it keep their number and order. `image` (optional) receives each node's
// place in the new graph.
GraphRef merge_regions(const Graph&, NodeId derived = {}, std::vector<NodeId>* image = nullptr);

// What scans in derivatives read of the turns of others, which was one saved value each while there was differentiation
// to come, is made again in their turns where it is a view or comes of captured values alone, and read where it lies
// anyway; a single turn of a derivative becomes its ops. Comes after all differentiation. Null: there is none.
GraphRef settle_turns(const Graph&);

}  // namespace tenon
