#include "frontend/record/saved_values.h"

#include <string>

#include <fmt/format.h>

#include "frontend/compile/graph_cache.h"
#include "frontend/record/tensor_dispatch.h"
#include "ir/passes/drop_cotangents.h"
#include "ir/row.h"
#include "runtime/diagnostic.h"

namespace tenon {

void throw_overwritten(std::string_view type, Span saved, Span write) {
    Diagnostic diagnostic;
    diagnostic.kind = "gradient";
    diagnostic.message =
        fmt::format("a {} that was saved for the gradient was changed in place before backward needed it", type);
    diagnostic.help = "write `x = x + e` instead of changing x in place, or save a copy: `x.clone()`";
    if (saved) diagnostic.labels.push_back({saved, "saved here"});
    if (write) diagnostic.labels.push_back({write, "changed in place here"});
    throw Error(std::move(diagnostic));
}

namespace {

[[noreturn]] void throw_used_up(const TapeEntry& entry) {
    Diagnostic diagnostic;
    diagnostic.kind = "gradient";
    diagnostic.message =
        "backward goes through this value a second time, but the first backward has used its history up";
    diagnostic.help = "call the first backward with `retain_graph: true`";
    if (entry.span) diagnostic.labels.push_back({entry.span, "computed here"});
    throw Error(std::move(diagnostic));
}

// Whether gradients go through the node, if it is no wrt.
bool passes_gradients(const Graph& graph, NodeId id) {
    const Node& node = graph[id];
    return !(node.flags & no_grad_flag) && !row(node.op).stops_gradient && graph.type(id).is_tensor() &&
           is_float(graph.type(id).dtype);
}

// By node of the joint: whether a backward from the results `present` to the wrt `wanted` goes through it.
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

// Of a captured graph: the op whose gradient names the saved value.
Span saved_by(const TapeEntry& entry, size_t saved) {
    if (entry.graph && entry.graph->purpose() == CompiledGraph::Purpose::capture && entry.graph->lean()) {
        const Graph& backward = *entry.graph->lean()->backward;
        const NodeId value = backward.params()[saved];
        for (NodeId id : backward.body()) {
            for (NodeId operand : backward.operands_of(id)) {
                if (operand == value && !(backward[id].flags & recomputed_flag) && backward.origin(id).span)
                    return backward.origin(id).span;
            }
        }
    }
    return entry.span;
}

}  // namespace

void check_used_up(const TapeEntry& entry, const std::vector<bool>& present) {
    bool freed = entry.freed;
    for (size_t k = 0; k < entry.used_up.size(); ++k) freed |= entry.used_up[k] && (present.empty() || present[k]);
    if (freed) throw_used_up(entry);
}

void check_used_up_ops(const TapeEntry& entry, const std::vector<bool>& present, const std::vector<bool>& wanted) {
    if (entry.used_up_ops.empty()) return;
    const std::vector<bool> all(entry.outputs.size(), true);
    const std::vector<bool> met = gone_through(*entry.graph, present.empty() ? all : present, wanted);
    for (NodeId id : entry.used_up_ops) {
        if (met[id.index]) throw_used_up(entry);
    }
}

void check_saved(const Dispatcher& dispatcher, const TapeEntry& entry, const std::vector<bool>& present) {
    check_used_up(entry, present);
    const auto is_needed = [&](const TapeEntry::Lost& lost) {
        bool needed = present.empty();
        for (size_t r = 0; r < present.size(); ++r) needed |= present[r] && lost.needed_by[r];
        return needed;
    };
    const auto fail = [](const TapeEntry::Lost& lost, Span write) {
        throw_overwritten(std::string(name_of(lost.dtype)) + shape_to_string(lost.shape), lost.by, write);
    };
    for (const TapeEntry::Lost& lost : entry.lost) {
        if (is_needed(lost)) fail(lost, lost.write);
    }
    for (size_t k = 0; k < entry.shown_memory.size(); ++k) {
        const TapeEntry::Saved& memory = entry.shown_memory[k];
        if (memory.tensor.storage->version == memory.version) continue;
        const TapeEntry::Lost& lost = (*entry.shown)[k].as_lost;
        if (is_needed(lost)) fail(lost, dispatcher.last_write(*memory.tensor.storage));
    }
    for (size_t k = 0; k < entry.saved.size(); ++k) {
        const TapeEntry::Saved& saved = entry.saved[k];
        if (!saved.is_gone && saved.tensor.storage->version == saved.version) continue;
        // A saved input may be there for its sizes only: they are what they were.
        if (!reads_saved(*entry.graph->lean()->backward, entry.saved.size(), present)[k]) continue;
        throw_overwritten(describe_type(saved.tensor), saved_by(entry, k),
                          saved.is_gone ? saved.write : dispatcher.last_write(*saved.tensor.storage));
    }
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
