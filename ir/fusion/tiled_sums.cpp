#include "ir/fusion/tiled_sums.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "ir/row.h"

namespace tenon {

TiledSums::TiledSums(const Graph& graph, std::span<const uint32_t> uses) : graph_(graph) {
    for (NodeId id : graph.body()) {
        const Row& r = row(graph[id].op);
        if (r.memory == MemoryUse::adds) begin(id);
        else if (r.absent_is_nothing && !open_.empty()) join(id, uses);
    }
}

// A pad that leaves out a part of one dimension, and nothing else.
void TiledSums::begin(NodeId pad) {
    Context& context = *graph_.context;
    const Attributes a = graph_.attributes(pad);
    const SizeList starts = a.sizes("starts"), stops = a.sizes("stops");
    const Dims steps = a.integers("steps");
    const std::vector<SizeId>&whole = graph_.type(pad).sizes, &part = graph_.type(graph_.operand(pad, 0)).sizes;
    std::optional<size_t> axis;
    for (size_t d = 0; d < whole.size(); ++d) {
        if (steps[d] != 1) return;
        if (starts[d] == SizeId(0) && stops[d] == whole[d]) continue;
        if (axis) return;
        axis = d;
    }
    if (!axis || part[*axis] == SizeId(0) || context.sub(stops[*axis], starts[*axis]) != part[*axis]) return;
    open_[pad] = {{*axis, {pad}}, part[*axis], {}};
}

void TiledSums::join(NodeId sum, std::span<const uint32_t> uses) {
    Open* terms[2];
    for (size_t k = 0; k < 2; ++k) {
        const NodeId operand = graph_.operand(sum, k);
        const auto found = open_.find(operand);
        if (found == open_.end() || uses[operand.index] > 1 || graph_[operand].type != graph_[sum].type) return;
        terms[k] = &found->second;
    }
    if (terms[0]->tiling.axis != terms[1]->tiling.axis) return;
    if (terms[0]->tiling.pads.size() < terms[1]->tiling.pads.size()) std::swap(terms[0], terms[1]);
    Open both = std::move(*terms[0]);
    for (const auto& [to, from] : {std::pair(&both.tiling.pads, &terms[1]->tiling.pads), {&both.sums, &terms[1]->sums}})
        to->insert(to->end(), from->begin(), from->end());
    both.length = graph_.context->add(both.length, terms[1]->length);
    for (size_t k = 0; k < 2; ++k) open_.erase(graph_.operand(sum, k));
    if (both.length != graph_.type(sum).sizes[both.tiling.axis] || !put_in_order(sum, both.tiling)) {
        both.sums.push_back(sum);
        open_[sum] = std::move(both);
        return;
    }
    inside_.resize(graph_.nodes.size());
    for (const std::vector<NodeId>* list : {&both.tiling.pads, &both.sums})
        for (NodeId id : *list) inside_[id.index] = true;
    tilings_[sum] = std::move(both.tiling);
}

// Each begins where another ends.
bool TiledSums::put_in_order(NodeId sum, Tiling& tiling) const {
    std::unordered_map<SizeId, NodeId> starting;
    for (NodeId pad : tiling.pads) starting.emplace(graph_.attributes(pad).sizes("starts")[tiling.axis], pad);
    std::vector<NodeId> order;
    SizeId at(0);
    for (size_t k = 0; k < tiling.pads.size(); ++k) {
        const auto next = starting.find(at);
        if (next == starting.end()) return false;
        order.push_back(next->second);
        at = graph_.attributes(next->second).sizes("stops")[tiling.axis];
    }
    tiling.pads = std::move(order);
    return at == graph_.type(sum).sizes[tiling.axis];
}

}  // namespace tenon
