// Paths that gradients take through a captured graph, from its differentiable results to what it is differentiated with
// respect to (CompiledGraph::wrt), and what the formulas on them name.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "ir/differentiate/gradient.h"
#include "ir/graph.h"
#include "runtime/function_ref.h"

namespace tenon {

class CompiledGraph;

/// Whether gradients go through such a node to its operands.
bool passes_gradients(const Context& context, const Node& node);
/// By differentiable result: the nodes that its cotangent reaches, those where it ends included.
std::vector<std::vector<bool>> nodes_reached(const Graph& graph, std::span<const size_t> differentiable);
/// Which of the graph's wrt a path leads to from the differentiable results that are `present`.
std::vector<bool> reached_from(const CompiledGraph& compiled, const std::vector<bool>& present);
/// By differentiable result: whether a path leads from it to one of the wrt that are `wanted`.
std::vector<bool> results_leading_to(const CompiledGraph& compiled, const std::vector<bool>& wanted);
/// By node of the joint: whether a backward from the results `present` to the wrt `wanted` goes through it.
std::vector<bool> gone_through(const CompiledGraph& compiled, const std::vector<bool>& present,
                               const std::vector<bool>& wanted);
/// Whether backward uses up the history that such an op makes: movement has kept nothing for its gradient.
bool keeps_history(Op op);
/// Whether every path from a result to a wrt first meets one of these nodes of the joint, but for movement.
bool all_begin_with(const CompiledGraph& compiled, const std::vector<bool>& nodes);
/// Values of the graph that the formulas of its backward half name, and by which ops, in the order in which a backward
/// comes to them, at these values of its symbols: whether the half saves them or computes them again, op by op each would
/// have been saved. The half's way is from `results` to `wrt`.
std::vector<ReverseRequest::Named> named_by_formulas(const Graph& graph, std::span<const int64_t> sizes,
                                                     std::span<const NodeId> results, std::span<const NodeId> wrt);
/// Those of one op in the order in which it saves them: operands, then its result.
void sort_as_saved(std::vector<ReverseRequest::Named>& named, FunctionRef<std::span<const NodeId>(NodeId)> operands_of);
/// By wrt: the op that adds to its cotangent last, and as which operand.
std::vector<std::pair<NodeId, size_t>> last_uses(const CompiledGraph& compiled);
/// By differentiable result: whether it is computed from another, the `output`-th.
std::vector<bool> results_computed_from(const CompiledGraph& compiled, uint32_t output);
/// Whether any is.
bool leads_to_another_result(const CompiledGraph& compiled, uint32_t output);

}  // namespace tenon
