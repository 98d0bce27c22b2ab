// Paths that gradients take through a captured graph, from its differentiable results to what it is differentiated with
// respect to (CompiledGraph::wrt).
#pragma once

#include <cstdint>
#include <vector>

#include "ir/graph.h"

namespace tenon {

class CompiledGraph;

/// Which of the graph's wrt a path leads to from the differentiable results that are `present`.
std::vector<bool> reached_from(const CompiledGraph& compiled, const std::vector<bool>& present);
/// The same from its other end: which results a path leads from to what a backward has gone through, from the results
/// `present` to the wrt `wanted`. (Op by op these are the entries that it has used up.)
std::vector<bool> used_up_by(const CompiledGraph& compiled, const std::vector<bool>& present,
                             const std::vector<bool>& wanted);
/// By node of the joint: whether a backward from the results `present` to the wrt `wanted` goes through it.
std::vector<bool> gone_through(const CompiledGraph& compiled, const std::vector<bool>& present,
                               const std::vector<bool>& wanted);
/// Whether backward uses up the history that such an op makes: movement has kept nothing for its gradient.
bool keeps_history(Op op);
/// Whether one of the graph's results is computed from another, the `output`-th differentiable one.
bool leads_to_another_result(const CompiledGraph& compiled, uint32_t output);

}  // namespace tenon
