#include "ir/passes/budget.h"

#include <algorithm>
#include <cmath>

#include "ir/row.h"
#include "runtime/integer.h"

namespace tenon {

namespace {

constexpr size_t most_segments = 16;
constexpr size_t least_ops = 3;  // of a segment

std::vector<int64_t> hints_of(const Graph& g) {
    std::vector<int64_t> hints;
    for (const SizeSymbol& s : g.symbols) hints.push_back(s.hint);
    return hints;
}
int64_t elements_of(const Graph& g, TypeId type, std::span<const int64_t> hints) {
    int64_t count = 1;
    for (SizeId size : (*g.context)[type].sizes) count = multiply_saturated(count, g.context->evaluate(size, hints));
    return count;
}
bool is_literal(const Graph& g, NodeId id) { return g[id].op == op<"constant">() || g[id].op == op<"tensor">(); }
NodeId maker_of(const Graph& g, NodeId id) { return g[id].op == op<"get">() ? g.operand(id, 0) : id; }

}  // namespace

BudgetLevels::BudgetLevels(GraphRef flat)
    : graph_(std::move(flat)), hints_(hints_of(*graph_)), is_forward_(graph_->nodes.size()),
      read_(graph_->nodes.size()), segment_(graph_->nodes.size()), crosses_(graph_->nodes.size()) {
    find_forward();
    if (std::find(read_.begin(), read_.end(), true) != read_.end()) find_segments();
}

void BudgetLevels::find_forward() {
    const Graph& g = *graph_;
    std::vector<bool> derived(g.nodes.size());  // or computed from what is
    for (NodeId id : g.body()) {
        derived[id.index] = bool(g.origin(id).differentiated);
        for (NodeId o : g.operands_of(id)) derived[id.index] = derived[id.index] || derived[o.index];
        if (derived[id.index]) {
            for (NodeId o : g.operands_of(id))
                if (is_forward_[o.index]) read_[o.index] = true;
            continue;
        }
        const NodeId maker = maker_of(g, id);
        if (is_literal(g, id) || g[maker].regions > 0 || row(g[maker].op).effect != Effect::none) continue;
        is_forward_[id.index] = true;
        forward_.push_back(id);
    }
}

int64_t BudgetLevels::bytes(NodeId id) const {
    const Type& type = graph_->type(id);
    if (!type.is_tensor()) return 0;  // its elements are counted
    return multiply_saturated(elements_of(*graph_, (*graph_)[id].type, hints_), int64_t(size_of(type.dtype)));
}

// Segments hold about as much of what derivatives read each, and end where the least is alive between ops.
void BudgetLevels::find_segments() {
    const Graph& g = *graph_;
    const size_t n = forward_.size();
    std::vector<uint32_t> place(g.nodes.size()), last(g.nodes.size());
    std::vector<NodeId> root(g.nodes.size());  // of movement: what it moves
    for (uint32_t k = 0; k < n; ++k) {
        const NodeId id = forward_[k];
        const bool moves = row(g[id].op).lowering == Lowering::movement;
        const NodeId from = moves ? g.operand(id, 0) : id;
        root[id.index] = moves && is_forward_[from.index] ? root[from.index] : from;
        place[id.index] = k;
        for (NodeId o : g.operands_of(id))
            if (is_forward_[o.index]) last[root[o.index].index] = k;
    }
    std::vector<int64_t> alive(n + 1), kept(n + 1);  // before op k: what is read from there on, what was kept
    for (uint32_t k = 0; k < n; ++k) {
        const NodeId id = forward_[k];
        kept[k + 1] = add_saturated(kept[k], read_[id.index] ? bytes(id) : 0);
        if (root[id.index] != id || last[id.index] <= k) continue;
        alive[k + 1] += bytes(id);
        alive[last[id.index] + 1] -= bytes(id);
    }
    for (size_t k = 1; k <= n; ++k) alive[k] += alive[k - 1];
    const std::vector<size_t> ends = cuts(alive, kept);
    segments_ = ends.size();
    for (size_t k = 0, s = 0; k < n; ++k) {
        while (k >= ends[s]) ++s;
        segment_[forward_[k].index] = uint32_t(s + 1);
    }
    for (NodeId id : forward_)
        for (NodeId o : g.operands_of(id))
            if (is_forward_[o.index] && segment_[o.index] != segment_[id.index]) crosses_[o.index] = true;
}

// Of all numbers of equal parts, the one of which most cuts are worth what has to be kept at them.
std::vector<size_t> BudgetLevels::cuts(const std::vector<int64_t>& alive, const std::vector<int64_t>& kept) const {
    std::vector<size_t> best;
    for (size_t parts = std::clamp<size_t>(forward_.size() / least_ops, 1, most_segments); parts > best.size(); --parts)
        if (std::vector<size_t> ends = cuts(parts, alive, kept); ends.size() > best.size()) best = std::move(ends);
    return best;
}

std::vector<size_t> BudgetLevels::cuts(size_t wanted, const std::vector<int64_t>& alive,
                                       const std::vector<int64_t>& kept) const {
    const size_t n = forward_.size();
    const double whole = double(kept[n]), part = whole / double(wanted);
    std::vector<size_t> ends;
    for (size_t s = 1; s < wanted; ++s) {
        const double aim = part * double(s);
        size_t best = 0;
        for (size_t k = ends.empty() ? 1 : ends.back() + 1; k < n; ++k) {
            const double away = std::abs(double(kept[k]) - aim);
            if (away > part / 2) continue;
            if (!best || alive[k] < alive[best] ||
                (alive[k] == alive[best] && away < std::abs(double(kept[best]) - aim)))
                best = k;
        }
        // What would have to be kept at the cut is to be little beside what a segment keeps.
        if (best && double(alive[best]) <= part / 2) ends.push_back(best);
    }
    ends.push_back(n);
    return ends;
}

GraphRef BudgetLevels::marked(size_t level) const {
    if (level == 0) return graph_;
    auto made = std::make_shared<Graph>(*graph_);
    for (NodeId id : forward_) {
        uint8_t& flags = made->nodes[id.index].flags;
        const bool recomputed = (flags & recompute_flag) && !(flags & save_flag);  // by a checkpoint of the script
        if (segment_[id.index] > level || recomputed || (flags & must_flag)) continue;
        flags = uint8_t((flags & ~policy_flags) | recompute_flag | (crosses_[id.index] ? save_flag : 0));
    }
    return made;
}

int64_t work_again(const Graph& g) {
    const std::vector<int64_t> hints = hints_of(g);
    int64_t work = 0;
    for (NodeId id : g.body()) {
        if (!(g[id].flags & recomputed_flag) || !g.type(id).is_tensor()) continue;
        const NodeId maker = maker_of(g, id);
        const Row& r = row(g[maker].op);
        double own = double(elements_of(g, g[id].type, hints));
        const auto operands = g.operands_of(maker);
        // m k · k n · m n is (m k n)²: of a product, the multiplications and additions.
        if ((r.lowering == Lowering::library || r.lowering == Lowering::tiles) && operands.size() > 1)
            own = 2 * std::sqrt(own * double(elements_of(g, g[operands[0]].type, hints)) *
                                double(elements_of(g, g[operands[1]].type, hints)));
        else if (r.lowering == Lowering::movement) own = 0;
        else own *= r.cost;
        work = add_saturated(work, own < 9e18 ? int64_t(own) : INT64_MAX);
    }
    return work;
}

}  // namespace tenon
