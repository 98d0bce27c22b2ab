#include "frontend/history/graph_paths.h"

#include <algorithm>

#include "frontend/compile/graph_cache.h"
#include "ir/build/copier.h"
#include "ir/build/substitution.h"
#include "ir/row.h"

namespace tenon {

bool passes_gradients(const Context& context, const Node& node) {
    return !(node.flags & no_grad_flag) && !row(node.op).stops_gradient && node.op != op<"param">() &&
           is_differentiable(context, node.type);
}

namespace {

bool passes_gradients(const Graph& graph, NodeId id) { return passes_gradients(*graph.context, graph[id]); }

// From the nodes marked on to all that gradients reach from them.
void follow_gradients(const Graph& graph, std::vector<bool>& on_path) {
    const std::span<const NodeId> body = graph.body();
    for (size_t i = body.size(); i-- > 0;) {
        if (!on_path[body[i].index] || !passes_gradients(graph, body[i])) continue;
        for (NodeId operand : graph.operands_of(body[i])) on_path[operand.index] = true;
    }
}

}  // namespace

std::vector<std::vector<bool>> nodes_reached(const Graph& graph, std::span<const size_t> differentiable) {
    std::vector<std::vector<bool>> reached;
    for (size_t k : differentiable) {
        std::vector<bool>& on_path = reached.emplace_back(graph.nodes.size());
        on_path[graph.results()[k].index] = true;
        follow_gradients(graph, on_path);
    }
    return reached;
}

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

std::vector<bool> results_leading_to(const CompiledGraph& compiled, const std::vector<bool>& wanted) {
    const Joint& joint = *compiled.joint();
    const Graph& graph = *joint.graph;
    std::vector<bool> leads(graph.nodes.size());
    for (size_t k = 0; k < joint.wrt.size(); ++k) {
        if (wanted[k]) leads[joint.wrt_node(k).index] = true;
    }
    for (NodeId id : graph.body()) {
        if (leads[id.index] || !passes_gradients(graph, id)) continue;
        for (NodeId operand : graph.operands_of(id)) leads[id.index] = leads[id.index] || leads[operand.index];
    }
    std::vector<bool> found;
    for (size_t k : joint.results) found.push_back(leads[graph.results()[k].index]);
    return found;
}

std::vector<bool> reached_from(const CompiledGraph& compiled, const std::vector<bool>& present) {
    const Joint& joint = *compiled.joint();
    const Graph& graph = *joint.graph;
    std::vector<bool> on_path(graph.nodes.size());
    for (size_t k = 0; k < present.size(); ++k) {
        if (present[k]) on_path[graph.results()[joint.results[k]].index] = true;
    }
    follow_gradients(graph, on_path);
    std::vector<bool> reached;
    for (size_t k = 0; k < joint.wrt.size(); ++k) reached.push_back(on_path[joint.wrt_node(k).index]);
    return reached;
}

bool keeps_history(Op op) { return row(op).lowering != Lowering::movement; }

bool all_begin_with(const CompiledGraph& compiled, const std::vector<bool>& nodes) {
    const Joint& joint = *compiled.joint();
    const Graph& graph = *joint.graph;
    std::vector<bool> leads(graph.nodes.size()), passes_by(graph.nodes.size());
    for (size_t k = 0; k < joint.wrt.size(); ++k)
        leads[joint.wrt_node(k).index] = passes_by[joint.wrt_node(k).index] = true;
    for (NodeId id : graph.body()) {
        if (!passes_gradients(graph, id)) continue;
        for (NodeId operand : graph.operands_of(id)) {
            if (!leads[operand.index]) continue;
            leads[id.index] = true;
            if (!nodes[id.index] && (keeps_history(graph[id].op) || passes_by[operand.index]))
                passes_by[id.index] = true;
        }
    }
    return std::none_of(joint.results.begin(), joint.results.end(),
                        [&](size_t k) { return passes_by[graph.results()[k].index]; });
}

void sort_as_saved(std::vector<ReverseRequest::Named>& named,
                   FunctionRef<std::span<const NodeId>(NodeId)> operands_of) {
    const auto place = [&](const ReverseRequest::Named& n) {
        const std::span<const NodeId> operands = operands_of(n.by);
        return std::find(operands.begin(), operands.end(), n.value) - operands.begin();
    };
    for (auto first = named.begin(), last = first; first != named.end(); first = last) {
        last = std::find_if(first, named.end(), [&](const ReverseRequest::Named& n) { return n.by != first->by; });
        std::stable_sort(first, last, [&](const auto& a, const auto& b) { return place(a) < place(b); });
    }
}

std::vector<ReverseRequest::Named> named_by_formulas(const Graph& graph, std::span<const int64_t> sizes,
                                                     std::span<const NodeId> results, std::span<const NodeId> wrt) {
    Context& context = *graph.context;
    std::vector<SizeId> constants;
    for (int64_t size : sizes) constants.push_back(context.constant(size));
    Substitution at_sizes(context, std::move(constants));
    Builder joint(context);
    Copier copy(graph, joint, &at_sizes);
    for (NodeId param : graph.params()) copy.copy_parameter(param);
    copy.copy_body();

    std::vector<NodeId> original(joint.size());  // by node of the copy
    for (uint32_t id = 0; id < graph.nodes.size(); ++id) {
        if (copy.has(NodeId(id))) original[copy(NodeId(id)).index] = NodeId(id);
    }
    std::vector<NodeId> from, to;
    for (NodeId id : results) from.push_back(copy(id));
    for (NodeId id : wrt) to.push_back(copy(id));
    std::vector<ReverseRequest::Named> named, found;
    reverse(joint, {from, {}, to, {}, &named});
    for (const auto& [value, by] : named) {
        if (value.index < original.size() && original[value.index])
            found.push_back({original[value.index], original[by.index]});
    }
    sort_as_saved(found, [&](NodeId id) { return graph.operands_of(id); });
    return found;
}

std::vector<std::pair<NodeId, size_t>> last_uses(const CompiledGraph& compiled) {
    const Joint& joint = *compiled.joint();
    const Graph& graph = *joint.graph;
    std::vector<std::pair<NodeId, size_t>> last(joint.wrt.size());
    for (NodeId id : graph.body()) {
        if (id == joint.backward) break;
        if (!passes_gradients(*graph.context, graph[id])) continue;
        const std::span<const NodeId> operands = graph.operands_of(id);
        for (size_t k = 0; k < operands.size(); ++k) {
            const NodeId owner = history_owner(graph, operands[k]);
            for (size_t w = 0; w < last.size(); ++w) {
                if (!last[w].first && joint.wrt_node(w) == owner) last[w] = {id, k};
            }
        }
    }
    return last;
}

std::vector<bool> results_computed_from(const CompiledGraph& compiled, uint32_t output) {
    const Joint& joint = *compiled.joint();
    const Graph& graph = *joint.graph;
    const auto owner = [&](size_t k) { return history_owner(graph, graph.results()[joint.results[k]]); };
    std::vector<bool> depends(graph.nodes.size());
    depends[owner(output).index] = true;
    for (NodeId id : graph.body()) {
        for (NodeId operand : graph.operands_of(id)) {
            if (depends[operand.index]) depends[id.index] = true;
        }
    }
    std::vector<bool> found;
    for (size_t k = 0; k < joint.results.size(); ++k) found.push_back(k != output && depends[owner(k).index]);
    return found;
}

bool leads_to_another_result(const CompiledGraph& compiled, uint32_t output) {
    const std::vector<bool> others = results_computed_from(compiled, output);
    return std::find(others.begin(), others.end(), true) != others.end();
}

}  // namespace tenon
