#include "frontend/compile/graph_paths.h"

#include "frontend/compile/graph_cache.h"
#include "ir/row.h"

namespace tenon {

namespace {

// Whether gradients go through the node, if it is no wrt.
bool passes_gradients(const Graph& graph, NodeId id) {
    const Node& node = graph[id];
    return !(node.flags & no_grad_flag) && !row(node.op).stops_gradient && graph.type(id).is_tensor() &&
           is_float(graph.type(id).dtype);
}

}  // namespace

std::vector<bool> gone_through(const CompiledGraph& compiled, const std::vector<bool>& present,
                               const std::vector<bool>& wanted) {
    const Joint& joint = *compiled.joint();
    const Graph& graph = *joint.graph;
    const std::span<const NodeId> body = graph.body();
    std::vector<bool> is_leaf(graph.nodes.size()), leads(graph.nodes.size()), used(graph.nodes.size());
    for (size_t k = 0; k < joint.wrt.size(); ++k) {
        is_leaf[joint.wrt_node(k).index] = true;
        leads[joint.wrt_node(k).index] = wanted[k];
    }
    const auto is_gone_through = [&](NodeId id) { return !is_leaf[id.index] && passes_gradients(graph, id); };
    for (NodeId id : body) {
        if (!is_gone_through(id)) continue;
        for (NodeId operand : graph.operands_of(id)) leads[id.index] = leads[id.index] || leads[operand.index];
    }
    for (size_t k = 0; k < present.size(); ++k) {
        const NodeId result = graph.results()[joint.results[k]];
        if (present[k] && is_gone_through(result) && leads[result.index]) used[result.index] = true;
    }
    for (size_t i = body.size(); i-- > 0;) {
        if (!used[body[i].index]) continue;
        for (NodeId operand : graph.operands_of(body[i]))
            if (is_gone_through(operand) && leads[operand.index]) used[operand.index] = true;
    }
    return used;
}

std::vector<bool> reached_from(const CompiledGraph& compiled, const std::vector<bool>& present) {
    const Joint& joint = *compiled.joint();
    const Graph& graph = *joint.graph;
    std::vector<bool> on_path(graph.nodes.size());
    for (size_t k = 0; k < present.size(); ++k) {
        if (present[k]) on_path[graph.results()[joint.results[k]].index] = true;
    }
    const std::span<const NodeId> body = graph.body();
    for (size_t i = body.size(); i-- > 0;) {
        const Node& node = graph[body[i]];
        if (!on_path[body[i].index] || (node.flags & no_grad_flag) || row(node.op).stops_gradient) continue;
        if (!graph.type(body[i]).is_tensor() || !is_float(graph.type(body[i]).dtype)) continue;
        for (NodeId operand : graph.operands_of(body[i])) on_path[operand.index] = true;
    }
    std::vector<bool> reached;
    for (size_t k = 0; k < joint.wrt.size(); ++k) reached.push_back(on_path[joint.wrt_node(k).index]);
    return reached;
}

std::vector<bool> used_up_by(const CompiledGraph& compiled, const std::vector<bool>& present,
                             const std::vector<bool>& wanted) {
    const Joint& joint = *compiled.joint();
    const Graph& graph = *joint.graph;
    const std::vector<bool> used = gone_through(compiled, present, wanted);
    std::vector<bool> is_leaf(graph.nodes.size());
    for (size_t k = 0; k < joint.wrt.size(); ++k) is_leaf[joint.wrt_node(k).index] = true;
    std::vector<bool> meets(graph.nodes.size());  // an op that has kept something, or leads to one
    for (NodeId id : graph.body()) {
        meets[id.index] = used[id.index] && keeps_history(graph[id].op);
        if (is_leaf[id.index] || !passes_gradients(graph, id)) continue;
        for (NodeId operand : graph.operands_of(id)) meets[id.index] = meets[id.index] || meets[operand.index];
    }
    std::vector<bool> results;
    for (size_t result : joint.results) results.push_back(meets[graph.results()[result].index]);
    return results;
}

bool keeps_history(Op op) { return row(op).lowering != Lowering::movement; }

bool leads_to_another_result(const CompiledGraph& compiled, uint32_t output) {
    const Joint& joint = *compiled.joint();
    const Graph& graph = *joint.graph;
    std::vector<bool> depends(graph.nodes.size());
    depends[graph.results()[joint.results[output]].index] = true;
    for (NodeId id : graph.body()) {
        for (NodeId operand : graph.operands_of(id)) {
            if (depends[operand.index]) depends[id.index] = true;
        }
    }
    for (size_t k = 0; k < joint.results.size(); ++k) {
        if (k != output && depends[graph.results()[joint.results[k]].index]) return true;
    }
    return false;
}

}  // namespace tenon
