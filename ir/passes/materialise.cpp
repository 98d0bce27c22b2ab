#include "ir/passes/materialise.h"

#include <algorithm>
#include <set>

#include "ir/row.h"

namespace tenon {

bool is_fusable(const Graph& g, NodeId id) {
    switch (row(g[id].op).lowering) {
        case Lowering::scalar:
        case Lowering::movement:
        case Lowering::reduce:
        case Lowering::loops: return true;
        default: return false;
    }
}

bool stays_interpreted(const Graph& g, NodeId id) {
    const MetaId meta = g.metas[id.index];
    if (!meta || g.origin(id).differentiated || (g[id].flags & recomputed_flag)) return false;
    for (const AttrEntry& entry : (*g.context)[meta]) {
        if (g.context->text(entry.key) != "compile") continue;
        const bool* compiles = std::get_if<bool>(&entry.value.value);
        return compiles && !*compiles;
    }
    return false;
}

NodeId through_reshapes(const Graph& g, NodeId id) {
    while (g[id].op == op<"reshape">() && g[g.operand(id, 0)].op != op<"constant">()) id = g.operand(id, 0);
    return id;
}

namespace {

constexpr int cheap = 2;          // scalar ops that are sooner done twice than stored and loaded
constexpr int scalar_limit = 64;  // … for 0-dim values, which every kernel may compute for itself

class MemoryAssignment {
public:
    explicit MemoryAssignment(const Graph& g) : graph_(g), context_(*g.context), facts_(context_, g.equalities) {}

    Memory run() {
        const size_t n = graph_.nodes.size();
        memory_ = {std::vector<bool>(n), std::vector<bool>(n), std::vector<std::vector<Read>>(n), std::vector<int>(n)};
        users_.assign(n, {});
        repeated_.assign(n, false);
        for (NodeId id : graph_.body()) uses_of(id);
        for (NodeId r : graph_.results()) want(r);
        for (NodeId id : graph_.body())
            if (stays_interpreted(graph_, id)) keep_apart(id);
        for (NodeId id : graph_.body())
            if (is_fusable(graph_, id)) decide(id);
        for (NodeId id : graph_.body())
            if (memory_.has[id.index]) find_reads(id);
        return std::move(memory_);
    }

private:
    void want(NodeId id) {
        const NodeId value = through_reshapes(graph_, id);
        if (is_fusable(graph_, value)) memory_.has[value.index] = memory_.wanted[value.index] = true;
    }

    // Nothing is computed on the way into such a node's kernel, nor it on the way into another.
    void keep_apart(NodeId id) {
        if (!is_fusable(graph_, id) || row(graph_[id].op).lowering == Lowering::movement) return;
        memory_.has[id.index] = true;
        for (NodeId o : graph_.operands_of(id)) {
            while (row(graph_[o].op).lowering == Lowering::movement) o = graph_.operand(o, 0);
            if (row(graph_[o].op).lowering == Lowering::scalar) memory_.has[o.index] = true;
        }
    }

    // Who uses a value, looking through movement; and whether a use repeats its elements.
    void uses_of(NodeId id) {
        if (!is_fusable(graph_, id)) {
            for (NodeId o : graph_.operands_of(id)) want(o);
            return;
        }
        if (row(graph_[id].op).lowering == Lowering::movement) return;
        const auto operands = graph_.operands_of(id);
        for (size_t k = 0; k < operands.size(); ++k) {
            if (graph_[id].op == op<"update">() && k == 1) continue;  // the view is an address
            if (graph_[id].op == op<"update">() && k == 0) {          // it begins with its base, a value in memory
                want(operands[k]);
                continue;
            }
            NodeId o = operands[k];
            bool repeats =
                row(graph_[id].op).lowering == Lowering::scalar && graph_.type(o).rank() > 0 && numel(o) != numel(id);
            for (; row(graph_[o].op).lowering == Lowering::movement; o = graph_.operand(o, 0))
                repeats |= graph_[o].op == op<"expand">();
            std::vector<NodeId>& users = users_[o.index];
            if (std::find(users.begin(), users.end(), id) == users.end()) users.push_back(id);
            if (repeats) repeated_[o.index] = true;
        }
    }
    void decide(NodeId id) {
        const Lowering lowering = row(graph_[id].op).lowering;
        int cost = lowering == Lowering::scalar ? row(graph_[id].op).cost : 0;
        for (NodeId o : graph_.operands_of(id))
            if (!memory_.has[o.index]) cost = std::min(cost + memory_.cost[o.index], 1 << 20);
        memory_.cost[id.index] = cost;
        if (memory_.has[id.index] || lowering == Lowering::movement) return;
        if (lowering == Lowering::reduce || graph_[id].op == op<"cat">() || graph_[id].op == op<"update">()) {
            memory_.has[id.index] = true;
            return;
        }
        if (lowering != Lowering::scalar) return;  // full, iota, size
        const bool shared = users_[id.index].size() > 1 || repeated_[id.index];
        memory_.has[id.index] = shared && cost > (graph_.type(id).rank() == 0 ? scalar_limit : cheap);
    }

    SizeId numel(NodeId id) const { return facts_.product(graph_.type(id).sizes); }

    // ---- reads, by walking the computation of one element
    void find_reads(NodeId id) {
        Positions positions(facts_);
        positions_ = &positions;
        seen_.clear();
        reader_ = id;
        if (graph_[id].op == op<"cat">() || graph_[id].op == op<"update">()) {
            for (NodeId o : graph_.operands_of(id)) collect_unaligned(o);
            return;
        }
        const bool reduces = row(graph_[id].op).lowering == Lowering::reduce;
        const Type& domain = reduces ? graph_.type(graph_.operand(id, 0)) : graph_.type(id);
        PositionList at(domain.rank());
        for (size_t d = 0; d < at.size(); ++d) at[d] = positions.variable(uint32_t(d), domain.sizes[d]);
        full_ = positions.linear(at, domain.sizes);
        leading_.clear();
        if (reduces) {
            std::vector<bool> gone(domain.rank());
            for (int64_t a : graph_.attributes(id).integers("axes")) gone[size_t(a)] = true;
            PositionList kept;
            std::vector<SizeId> sizes;
            for (size_t d = 0; d < at.size(); ++d)
                if (!gone[d]) kept.push_back(at[d]), sizes.push_back(domain.sizes[d]);
            leading_.push_back({positions.linear(kept, sizes), facts_.product(sizes)});
            visit(graph_.operand(id, 0), at);
        } else {
            for (size_t d = 0; d <= at.size(); ++d) {
                const std::span<const SizeId> sizes = std::span(domain.sizes).first(d);
                leading_.push_back({positions.linear(std::span(at).first(d), sizes), facts_.product(sizes)});
            }
            operands(id, at);
        }
    }
    void visit(NodeId id, const PositionList& at) {
        if (graph_[id].op == op<"constant">()) return;
        if (memory_.has[id.index] || !is_fusable(graph_, id)) {
            const Position p = positions_->linear(at, graph_.type(id).sizes);
            const SizeId n = numel(id);
            const bool leads = std::any_of(leading_.begin(), leading_.end(),
                                           [&](const auto& l) { return l.first == p && l.second == n; });
            read(id, n == SizeId(1)                      ? Alignment::single
                     : p == full_ && n == domain_numel() ? Alignment::full
                     : leads                             ? Alignment::leading
                                                         : Alignment::other);
            return;
        }
        std::vector<uint32_t> key{id.index};
        for (Position p : at) key.push_back(p.id);
        if (seen_.insert(std::move(key)).second) operands(id, at);
    }
    void operands(NodeId id, const PositionList& at) {
        if (row(graph_[id].op).lowering == Lowering::loops) {  // full
            for (NodeId o : graph_.operands_of(id)) visit(o, {});
            return;
        }
        for (size_t k = 0; k < graph_.operands_of(id).size(); ++k)
            visit(graph_.operand(id, k), operand_positions(*positions_, graph_, id, k, at));
    }
    SizeId domain_numel() const {
        return numel(row(graph_[reader_].op).lowering == Lowering::reduce ? graph_.operand(reader_, 0) : reader_);
    }
    void collect_unaligned(NodeId id) {
        if (graph_[id].op == op<"constant">()) return;
        if (memory_.has[id.index] || !is_fusable(graph_, id)) return read(id, Alignment::other);
        if (seen_.insert({id.index}).second)
            for (NodeId o : graph_.operands_of(id)) collect_unaligned(o);
    }
    void read(NodeId source, Alignment alignment) {
        for (const Read& r : memory_.reads[reader_.index])
            if (r.source == source && r.alignment == alignment) return;
        memory_.reads[reader_.index].push_back({source, alignment});
    }

    const Graph& graph_;
    Context& context_;
    const SizeFacts facts_;
    Memory memory_;
    std::vector<std::vector<NodeId>> users_;
    std::vector<bool> repeated_;
    Positions* positions_ = nullptr;
    NodeId reader_;
    Position full_;
    std::vector<std::pair<Position, SizeId>> leading_;  // with the number of elements of those dimensions
    std::set<std::vector<uint32_t>> seen_;
};

}  // namespace

Memory assign_memory(const Graph& g) { return MemoryAssignment(g).run(); }

}  // namespace tenon
