#include "frontend/record/history.h"

#include <vector>

#include "frontend/compile/graph_cache.h"
#include "frontend/record/capture_differentiation.h"
#include "frontend/record/capture_trace.h"
#include "frontend/record/saved_values.h"

namespace tenon {

bool HistoryBeside::leads(const Edge& edge) {
    std::vector<Result> stack;
    std::set<Result> seen;
    auto found = [&](const Edge& to) {
        if (to.leaf) return !is_own(*to.leaf);
        if (to.entry && !without_.contains({to.entry.get(), to.output}) &&
            seen.insert({to.entry.get(), to.output}).second)
            stack.emplace_back(to.entry.get(), to.output);
        return false;
    };
    if (found(edge)) return true;
    while (!stack.empty()) {
        const auto [entry, output] = stack.back();
        stack.pop_back();
        if (!entry->unfolded.empty()) {
            if (found(entry->unfolded[output])) return true;
            continue;
        }
        if (!entry->graph) return true;  // used up: that there was a history is what the script has to be told
        std::vector<bool> reached;       // of an op: all that was wanted
        if (entry->graph->purpose() == CompiledGraph::Purpose::capture) {
            std::vector<bool> present(entry->outputs.size());
            present[output] = true;
            reached = reached_from(*entry->graph, present);
        }
        for (size_t k = 0; k < entry->edges.size(); ++k) {
            if ((reached.empty() || reached[k]) && found(entry->edges[k])) return true;
        }
    }
    without_.merge(seen);
    return false;
}

// By node: whether a path that gradients take leads to a leaf that is not `history`'s own, in this graph or before it.
std::vector<bool> Capture::Differentiation::with_history(HistoryBeside& history) const {
    std::vector<bool> has(builder_.size());
    for (const Leaf& leaf : leaves_) {
        if (!history.is_own(*leaf.leaf)) has[leaf.node.index] = true;
    }
    for (size_t k = 0; k < capture_.inputs_.size(); ++k) {
        const Input& input = capture_.inputs_[k];
        if (capture_.trace_->requires_outer_gradient(k) || (input.edge.entry && history.leads(input.edge)))
            has[input.node.index] = true;
    }
    for (NodeId id : builder_.body()) {
        if (has[id.index] || stops_gradients(builder_.node(id))) continue;
        const Type& type = builder_.type(id);
        if (!type.is_tensor() || !is_float(type.dtype) || !row(builder_.node(id).op).gradient) continue;
        for (NodeId operand : builder_.operands_of(id)) has[id.index] = has[id.index] || has[operand.index];
    }
    return has;
}

std::vector<bool> Capture::Differentiation::have_history(std::span<const TensorRef> values, HistoryBeside& history) {
    const Holding holding(capture_);
    std::vector<NodeId> nodes;
    for (const TensorRef& value : values) nodes.push_back(capture_.node(*value));  // notes the leaves
    const std::vector<bool> has = with_history(history);
    std::vector<bool> found;
    for (NodeId id : nodes) found.push_back(has[id.index]);
    return found;
}

}  // namespace tenon
