#include "ir/liveness.h"

#include "ir/row.h"

namespace tenon {

Liveness::Liveness(const Graph& g) : graph_(g), live_(g.nodes.size(), false) {
    for (uint32_t k = 0; k < g.nodes.size(); ++k)
        if (g[NodeId(k)].op == op<"get">()) results_[g.operand(NodeId(k), 0).index].push_back(NodeId(k));
}

// Itself, or by what lies in its regions: a call whose values nobody uses has its asserts.
bool Liveness::is_ordered(NodeId id) const {
    if (tenon::is_ordered(row(graph_[id].op).effect)) return true;
    for (unsigned k = 0; k < graph_[id].regions; ++k)
        for (NodeId inner : graph_.body(graph_.region_of(id, k)))
            if (is_ordered(inner)) return true;
    return false;
}

void Liveness::mark_ordered(std::span<const NodeId> body) {
    for (NodeId id : body)
        if (is_ordered(id)) mark(id);
}

void Liveness::mark(NodeId root) {
    stack_.push_back(root);
    while (!stack_.empty()) {
        const NodeId id = stack_.back();
        stack_.pop_back();
        if (live_[id.index]) continue;
        live_[id.index] = true;
        for (NodeId operand : graph_.operands_of(id)) stack_.push_back(operand);
        if (const auto results = results_.find(id.index); results != results_.end())
            stack_.insert(stack_.end(), results->second.begin(), results->second.end());
        for (unsigned k = 0; k < graph_[id].regions; ++k) {
            const Region& region = graph_.region_of(id, k);
            stack_.push_back(region.yield);
            for (NodeId inner : graph_.body(region))
                if (is_ordered(inner)) stack_.push_back(inner);
        }
    }
}

}  // namespace tenon
