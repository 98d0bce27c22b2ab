#include "jit/interpreter/region_uses.h"

#include <algorithm>
#include <unordered_set>

#include "ir/loops.h"
#include "ir/row.h"

namespace tenon {

NodeId canonical(const Graph& graph, NodeId id) {
    while (row(graph[id].op).converts && graph.type(id).dtype == graph.type(graph.operand(id, 0)).dtype &&
           graph.type(graph.operand(id, 0)).kind == Type::Kind::scalar)
        id = graph.operand(id, 0);
    return id;
}

namespace {

class UseFinder {
public:
    UseFinder(const Graph& graph, const BufferNumbers& buffers) : graph_(graph), buffers_(buffers) {}

    RegionUses find(const Region& region, std::span<const NodeId> nodes) {
        for (NodeId p : graph_.params(region)) mine_.insert(p.index);
        for (NodeId id : nodes) mine_.insert(canonical(graph_, id).index), mine_.insert(id.index);
        for (uint32_t k = 0; k < nodes.size(); ++k) look(nodes[k], k, true);
        for (NodeId id : graph_.results(region)) use(id, uint32_t(nodes.size()), {});
        return std::move(uses_);
    }

private:
    void look(NodeId id, uint32_t position, bool direct) {
        const bool stores = graph_[id].op == op<"store">();
        if (stores) {
            const int32_t buffer = buffers_.at(graph_.operand(id, 0).index);
            uses_.first_store.try_emplace(buffer, position);  // positions ascend
            ++uses_.stores[buffer];
        }
        if (graph_[id].op == op<"load">()) uses_.last_load[buffers_.at(graph_.operand(id, 0).index)] = position;
        if (graph_[id].op == op<"product">()) {
            const auto number = [&](size_t k) { return buffers_.at(graph_.operand(id, k).index); };
            for (size_t k : {product_operand::a, product_operand::b, product_operand::c})
                uses_.last_load[number(k)] = position;
            uses_.first_store.try_emplace(number(product_operand::c), position);
            ++uses_.stores[number(product_operand::c)];
        }
        if (graph_[id].op == op<"scatter">()) {
            const auto number = [&](size_t k) { return buffers_.at(graph_.operand(id, k).index); };
            for (size_t k : {scatter_operand::to, scatter_operand::places, scatter_operand::terms})
                uses_.last_load[number(k)] = position;
            uses_.first_store.try_emplace(number(scatter_operand::to), position);
            ++uses_.stores[number(scatter_operand::to)];
        }
        for (size_t k = 0; NodeId operand : graph_.operands_of(id)) {
            use(operand, position, direct && stores && k == 2 ? id : NodeId());
            ++k;
        }
        for (unsigned r = 0; r < graph_[id].regions; ++r) {
            const Region& inner = graph_.region_of(id, r);
            for (NodeId n : graph_.body(inner)) look(n, position, false);
            for (NodeId n : graph_.results(inner)) use(n, position, {});
        }
    }
    void use(NodeId id, uint32_t position, NodeId store) {
        id = canonical(graph_, id);
        if (!mine_.contains(id.index)) return;
        RegionUses::Uses& uses = uses_.values[id.index];
        ++uses.count;
        uses.last = std::max(uses.last, position);
        if (store) uses.store = store;
    }

    const Graph& graph_;
    const BufferNumbers& buffers_;
    std::unordered_set<uint32_t> mine_;
    RegionUses uses_;
};

}  // namespace

RegionUses find_uses(const Graph& graph, const Region& region, std::span<const NodeId> nodes,
                     const BufferNumbers& buffers) {
    return UseFinder(graph, buffers).find(region, nodes);
}

}  // namespace tenon
