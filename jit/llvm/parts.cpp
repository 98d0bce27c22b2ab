#include "jit/llvm/parts.h"

#include <algorithm>

#include "ir/marks.h"
#include "ir/row.h"

namespace tenon::llvm_engine {

std::vector<NodeId> parts(const Graph& graph, const Region& region, std::vector<NodeId> roots) {
    Marks mine, met;
    mine.begin(graph.nodes.size());
    met.begin(graph.nodes.size());
    for (NodeId id : graph.body(region)) mine.add(id.index);
    std::vector<NodeId> found;
    while (!roots.empty()) {
        const NodeId id = roots.back();
        roots.pop_back();
        if (!mine.has(id.index) || !met.add(id.index)) continue;
        found.push_back(id);
        if (graph[id].op != op<"fold">())
            roots.insert(roots.end(), graph.operands_of(id).begin(), graph.operands_of(id).end());
    }
    std::sort(found.begin(), found.end());
    return found;
}

bool is_arithmetic(const Graph& graph, const Region& region, NodeId position) {
    const std::vector<NodeId> found = parts(graph, region, {position});
    return std::all_of(found.begin(), found.end(), [&](NodeId id) {
        return graph.type(id).kind == Type::Kind::index && graph[id].op != op<"position">();
    });
}

std::vector<NodeId> needed_by_fold(const Graph& graph, const Region& region, NodeId fold) {
    const Region& inner = graph.region_of(fold);
    std::vector<NodeId> roots(graph.operands_of(fold).begin(), graph.operands_of(fold).end());
    const auto add = [&](std::span<const NodeId> more) { roots.insert(roots.end(), more.begin(), more.end()); };
    for (NodeId id : graph.body(inner)) add(graph.operands_of(id));
    add(graph.results(inner));
    return parts(graph, region, std::move(roots));
}

int repeated_cost(const Graph& graph, const Region& region, NodeId fold) {
    int sum = 0;
    for (NodeId id : needed_by_fold(graph, region, fold))
        if (row(graph[id].op).lowering == Lowering::scalar && graph.type(id).kind != Type::Kind::index)
            sum += row(graph[id].op).cost;
    return sum;
}

}  // namespace tenon::llvm_engine
