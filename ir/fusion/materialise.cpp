#include "ir/fusion/materialise.h"

#include <algorithm>
#include <cassert>
#include <set>

#include "ir/annotation_keys.h"
#include "ir/marks.h"
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
    const Record& record = (*g.context)[meta];
    return std::any_of(record.begin(), record.end(), [&](const AttrEntry& entry) {
        return stops_compiling(g.context->text(entry.key), entry.value);
    });
}

bool is_name(const Graph& g, NodeId id) {
    return row(g[id].op).memory == MemoryUse::names && g[g.operand(id, 0)].op != op<"constant">();
}

NodeId through_names(const Graph& g, NodeId id) {
    while (is_name(g, id)) id = g.operand(id, 0);
    return id;
}

bool swaps_last_two(const Graph& g, NodeId id) {
    if (row(g[id].op).lowering != Lowering::movement) return false;
    const Type &from = g.type(g.operand(id, 0)), &to = g.type(id);
    if (to.rank() < 2 || from.rank() != to.rank()) return false;
    const SizeFacts facts(*g.context, {});
    Positions positions(facts);
    PositionList at;
    for (uint32_t d = 0; d < to.rank(); ++d) at.push_back(positions.named(d, to.sizes[d]));
    const PositionList read = operand_positions(positions, g, id, 0, at);
    std::swap(at[at.size() - 1], at[at.size() - 2]);
    return read == at;
}

namespace {

constexpr int cheap_to_repeat = 2;          // scalar ops that are sooner done twice than stored and loaded
constexpr int scalar_limit = 64;  // … for 0-dim values, which every kernel may compute for itself
// What an element is computed by from memory: more makes kernels that take long to compile, and expressions of
// positions that grow with every movement in them.
constexpr uint32_t most_steps = 500, most_moves = 64;

class MemoryAssignment {
public:
    MemoryAssignment(const Graph& g, Decisions& decisions, const std::vector<bool>& kept)
        : graph_(g), context_(*g.context), facts_(context_, g.equalities), decisions_(decisions), kept_(kept) {}

    Memory run() {
        const size_t n = graph_.nodes.size();
        memory_ = {std::vector<bool>(n), std::vector<bool>(n), std::vector<std::vector<Read>>(n), std::vector<int>(n)};
        users_.assign(n, {});
        repeated_.assign(n, false);
        moved_.resize(n);
        size_.resize(n);
        in_view_.assign(n, false);
        for (NodeId id : graph_.body()) uses_of(id);
        for (NodeId r : graph_.results()) want(r);
        for (uint32_t k = 0; k < kept_.size(); ++k)
            if (kept_[k]) want(NodeId(k));
        for (NodeId id : graph_.body())
            if (stays_interpreted(graph_, id)) keep_apart(id);
        for (NodeId id : graph_.body())
            if (is_fusable(graph_, id)) decide(id);
        for (NodeId id : graph_.body())
            if (memory_.has[id.index]) find_reads(id);
        assert(std::none_of(graph_.body().begin(), graph_.body().end(),
                            [&](NodeId id) { return memory_.has[id.index] && is_name(graph_, id); }));
        return std::move(memory_);
    }

private:
    void want(NodeId id) {
        const NodeId value = through_names(graph_, id);
        if (is_fusable(graph_, value)) memory_.has[value.index] = memory_.wanted[value.index] = true;
    }

    // Nothing is computed on the way into such a node's kernel, nor it on the way into another.
    void keep_apart(NodeId id) {
        if (!is_fusable(graph_, id) || row(graph_[id].op).lowering == Lowering::movement) return;
        memory_.has[id.index] = true;
        for (NodeId o : graph_.operands_of(id)) {
            const NodeId source = moved(o).source;
            if (row(graph_[source].op).lowering == Lowering::scalar) memory_.has[source.index] = true;
        }
    }

    struct Moved {  // what a value is by movement alone, and whether that repeats elements
        NodeId source;
        bool repeats = false;
    };
    Moved moved(NodeId id) const { return moved_[id.index].source ? moved_[id.index] : Moved{id, false}; }

    // Who uses a value, looking through movement; and whether a use repeats its elements.
    void uses_of(NodeId id) {
        if (!is_fusable(graph_, id)) {
            for (NodeId o : graph_.operands_of(id)) want(o);
            return;
        }
        if (row(graph_[id].op).lowering == Lowering::movement) {
            moved_[id.index] = moved(graph_.operand(id, 0));
            moved_[id.index].repeats |= row(graph_[id].op).repeats;
            return;
        }
        const auto operands = graph_.operands_of(id);
        const bool replaces = row(graph_[id].op).memory == MemoryUse::replaces;
        for (size_t k = 0; k < operands.size(); ++k) {
            if (replaces && k == replaced_view) {  // an address
                for (NodeId view = operands[k]; view != operands[replaced_base]; view = graph_.operand(view, 0))
                    in_view_[view.index] = true;
                continue;
            }
            if (replaces && k == replaced_base) {  // a value in memory
                want(operands[k]);
                continue;
            }
            const NodeId o = operands[k];
            const bool repeats =
                row(graph_[id].op).lowering == Lowering::scalar && graph_.type(o).rank() > 0 && numel(o) != numel(id);
            const Moved from = moved(o);
            Users& users = users_[from.source.index];
            users.count += users.last != id;
            users.last = id;
            if (repeats || from.repeats) repeated_[from.source.index] = true;
        }
    }
    void decide(NodeId id) {
        const Lowering lowering = row(graph_[id].op).lowering;
        const bool is_drawn = row(graph_[id].op).source == Source::drawn;
        int cost = lowering == Lowering::scalar || is_drawn ? row(graph_[id].op).cost : 0;
        Size size{1, lowering == Lowering::movement};
        const auto operands = graph_.operands_of(id);
        for (size_t k = 0; k < operands.size(); ++k) {
            const NodeId o = operands[k];
            if (memory_.has[o.index] ||
                std::find(operands.begin(), operands.begin() + ptrdiff_t(k), o) != operands.begin() + ptrdiff_t(k))
                continue;
            cost = std::min(cost + memory_.cost[o.index], 1 << 20);
            size.steps = std::min(size.steps + size_[o.index].steps, most_steps + 1);
            size.moves = std::max(size.moves, (lowering == Lowering::movement) + size_[o.index].moves);
        }
        memory_.cost[id.index] = cost;
        size_[id.index] = size;
        if (memory_.has[id.index]) return;
        if ((size.steps > most_steps || size.moves > most_moves) && !in_view_[id.index]) keep(id);
        if (memory_.has[id.index] || lowering == Lowering::movement) return;
        if (lowering == Lowering::reduce || needs_own_kernel(row(graph_[id].op).memory)) {
            memory_.has[id.index] = true;
            return;
        }
        if (lowering != Lowering::scalar && !is_drawn) return;  // full, iota, size
        const bool shared = users_[id.index].count > 1 || repeated_[id.index];
        memory_.has[id.index] = shared && cost > (graph_.type(id).rank() == 0 ? scalar_limit : cheap_to_repeat);
    }

    // A reshape is no value of its own: it names the memory that what it reshapes gets.
    void keep(NodeId id) {
        const NodeId value = through_names(graph_, id);
        if (value != id) {
            memory_.cost[id.index] = 0;
            size_[id.index] = {1, 1};
        }
        if (!is_fusable(graph_, value) || memory_.has[value.index]) return;
        memory_.has[value.index] = true;
        decisions_.push_back({DecisionKind::kept, std::string(graph_.name_of(value)),
                              "it is kept in memory, since what computes it is as large as a kernel should be",
                              graph_.origins[value.index]});
    }

    SizeId numel(NodeId id) const { return facts_.product(graph_.type(id).sizes); }

    // ---- reads, by walking the computation of one element
    void find_reads(NodeId id) {
        Positions positions(facts_);
        positions_ = &positions;
        seen_.clear();
        read_.begin(8 * graph_.nodes.size());
        reader_ = id;
        if (needs_own_kernel(row(graph_[id].op).memory)) {
            collect_unaligned(id);
            return;
        }
        const bool reduces = row(graph_[id].op).lowering == Lowering::reduce;
        const Type& domain = reduces ? graph_.type(graph_.operand(id, 0)) : graph_.type(id);
        PositionList at(domain.rank());
        for (size_t d = 0; d < at.size(); ++d) at[d] = positions.variable(uint32_t(d), domain.sizes[d]);
        full_ = positions.linear(at, domain.sizes);
        leading_.clear();
        reduced_.reset();
        if (reduces) {
            std::vector<bool> gone(domain.rank());
            for (int64_t a : graph_.attributes(id).integers("axes")) gone[size_t(a)] = true;
            const auto linear = [&](bool of) {
                PositionList part;
                std::vector<SizeId> sizes;
                for (size_t d = 0; d < at.size(); ++d)
                    if (gone[d] == of) part.push_back(at[d]), sizes.push_back(domain.sizes[d]);
                return std::pair{positions.linear(part, sizes), facts_.product(sizes)};
            };
            leading_.push_back(linear(false));
            reduced_ = linear(true);
            visits_.push_back({graph_.operand(id, 0), at});
        } else {
            for (size_t d = 0; d <= at.size(); ++d) {
                const std::span<const SizeId> sizes = std::span(domain.sizes).first(d);
                leading_.push_back({positions.linear(std::span(at).first(d), sizes), facts_.product(sizes)});
            }
            operands(id, at);
        }
        while (!visits_.empty()) {
            const Visit next = std::move(visits_.back());
            visits_.pop_back();
            visit(next.id, next.at);
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
                     : reduced_ == std::pair{p, n}       ? Alignment::reduced
                                                         : Alignment::other);
            return;
        }
        std::vector<uint32_t> key{id.index};
        for (Position p : at) key.push_back(p.id);
        if (seen_.insert(std::move(key)).second) operands(id, at);
    }
    void operands(NodeId id, const PositionList& at) {
        const bool everywhere = row(graph_[id].op).lowering == Lowering::loops;  // full, random
        for (size_t k = graph_.operands_of(id).size(); k-- > 0;)
            visits_.push_back({graph_.operand(id, k),
                               everywhere ? PositionList() : operand_positions(*positions_, graph_, id, k, at)});
    }
    SizeId domain_numel() const {
        return numel(row(graph_[reader_].op).lowering == Lowering::reduce ? graph_.operand(reader_, 0) : reader_);
    }
    void collect_unaligned(NodeId root) {
        collected_.begin(graph_.nodes.size());
        std::vector<NodeId> stack;
        const auto push_operands = [&](NodeId id) {
            const auto operands = graph_.operands_of(id);
            stack.insert(stack.end(), operands.rbegin(), operands.rend());
        };
        for (push_operands(root); !stack.empty();) {
            const NodeId id = stack.back();
            stack.pop_back();
            if (graph_[id].op == op<"constant">()) continue;
            if (memory_.has[id.index] || !is_fusable(graph_, id)) read(id, Alignment::other);
            else if (collected_.add(id.index)) push_operands(id);
        }
    }
    void read(NodeId source, Alignment alignment) {
        if (read_.add(8 * source.index + uint32_t(alignment)))
            memory_.reads[reader_.index].push_back({source, alignment});
    }

    const Graph& graph_;
    Context& context_;
    const SizeFacts facts_;
    Memory memory_;
    Decisions& decisions_;
    const std::vector<bool>& kept_;
    struct Users {
        uint32_t count = 0;
        NodeId last;
    };
    std::vector<Users> users_;
    std::vector<bool> repeated_, in_view_;  // in_view_: on the way from an update's base to its view
    std::vector<Moved> moved_;
    struct Size {  // of what computes an element from memory: ops, and movement one after the other
        uint32_t steps = 0, moves = 0;
    };
    std::vector<Size> size_;
    Positions* positions_ = nullptr;
    NodeId reader_;
    Position full_;
    std::vector<std::pair<Position, SizeId>> leading_;  // with the number of elements of those dimensions
    std::optional<std::pair<Position, SizeId>> reduced_;  // the same of what a reduction goes through
    std::set<std::vector<uint32_t>> seen_;
    struct Visit {
        NodeId id;
        PositionList at;
    };
    std::vector<Visit> visits_;  // to be made, the next one last
    Marks read_, collected_;
};

}  // namespace

Memory assign_memory(const Graph& g, Decisions& decisions, const std::vector<bool>& kept) {
    return MemoryAssignment(g, decisions, kept).run();
}

}  // namespace tenon
