#include "jit/slope.h"

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "ir/row.h"

namespace tenon {

namespace {

using Kind = Slope::Kind;

std::optional<int64_t> constant_at(const Graph& g, NodeId id) {
    if (g[id].op == op<"constant">()) return g.attributes(id).integer("value");
    if (g[id].op == op<"extent">()) return g.context->as_constant(g.attributes(id).size("value"));
    return std::nullopt;
}

Slope sum(const Slope& a, const Slope& b, int64_t sign) {
    if (a.kind == Kind::none && b.kind == Kind::none) return {};
    if (!a.is_affine() || !b.is_affine()) return {Kind::unknown, 0};
    if (a.kind == Kind::fixed || b.kind == Kind::fixed) return {Kind::fixed, 0};
    return {Kind::constant, a.value + sign * b.value};
}

Slope product(const Slope& a, const std::optional<int64_t>& factor) {
    if (a.kind != Kind::constant) return a;
    return factor ? Slope{Kind::constant, a.value * *factor} : Slope{Kind::fixed, 0};
}

Slope combined(const Graph& g, NodeId id, std::span<const Slope> operands) {
    const auto ids = g.operands_of(id);
    const bool free =
        std::all_of(operands.begin(), operands.end(), [](const Slope& s) { return s.kind == Kind::none; });
    if (free && g[id].regions == 0) return {};
    switch (row(g[id].op).index_op) {
        case IndexOp::add: return sum(operands[0], operands[1], 1);
        case IndexOp::sub: return sum(operands[0], operands[1], -1);
        case IndexOp::mul:
            if (operands[0].kind == Kind::none) return product(operands[1], constant_at(g, ids[0]));
            if (operands[1].kind == Kind::none) return product(operands[0], constant_at(g, ids[1]));
            break;
        default: break;
    }
    return {Kind::unknown, 0};
}

}  // namespace

// A worklist: what an index is made of is looked at once.
Slope slope_of(const Graph& g, NodeId root, NodeId variable) {
    std::unordered_map<uint32_t, Slope> known{{variable.index, {Kind::constant, 1}}};
    for (std::vector<NodeId> stack{root}; !stack.empty();) {
        const NodeId id = stack.back();
        const auto operands = g.operands_of(id);
        const auto missing =
            std::find_if(operands.begin(), operands.end(), [&](NodeId o) { return !known.contains(o.index); });
        if (missing != operands.end() && !known.contains(id.index)) {
            stack.push_back(*missing);
            continue;
        }
        stack.pop_back();
        std::vector<Slope> slopes;
        for (NodeId o : operands) slopes.push_back(known[o.index]);
        known.try_emplace(id.index, combined(g, id, slopes));
    }
    return known[root.index];
}

}  // namespace tenon
