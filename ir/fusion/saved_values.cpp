#include "ir/fusion/saved_values.h"

#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "ir/fusion/materialise.h"
#include "ir/fusion/minimum_cut.h"
#include "ir/row.h"
#include "runtime/integer.h"

namespace tenon {

namespace {

// What takes as long as reading or writing a byte of memory: so many additions.
constexpr int64_t additions_a_byte = 2;
// Past the caches, the room that a value takes until it is read costs as much as going through it so many times.
constexpr int64_t room = 2;
constexpr int64_t caches = 4;  // the last one, by the size of a core's own
// Of longer chains a value in between is kept, so that kernels stay small.
constexpr uint32_t longest_chain = 32;

class SavedValuesChoice {
public:
    SavedValuesChoice(const Graph& g, const std::vector<bool>& backward, bool keeps_inputs, const Target& target,
                      Decisions& decisions)
        : graph_(g), backward_(backward), decisions_(decisions), is_there_(g.nodes.size()), read_(g.nodes.size()),
          in_memory_(g.nodes.size()), wanted_again_(g.nodes.size()), can_be_again_(g.nodes.size()) {
        for (const SizeSymbol& s : g.symbols) hints_.push_back(s.hint);
        find_reads();
        find_shared();
        for (NodeId p : g.params()) is_there_[p.index] = keeps_inputs || read_[p.index], in_memory_[p.index] = true;
        for (NodeId r : g.results()) is_there_[r.index] = is_there_[through_names(g, r).index] = true;
        for (NodeId id : g.body())
            if (row(g[id].op).effect == Effect::commits)
                for (NodeId o : g.operands_of(id)) is_there_[o.index] = is_there_[through_names(g, o).index] = true;
        find_what_can_be_again();
        int64_t bytes_read = 0;
        for (NodeId id : g.body())
            if (is_choice(id) && read_[id.index]) bytes_read = add_saturated(bytes_read, bytes(id));
        is_large_ = bytes_read > caches * target.cache_bytes;
    }

    SavedValues run() {
        const size_t n = graph_.nodes.size();
        // Two vertices a value. The edge between them is its being kept, the one from the source its being computed.
        const auto source = MinimumCut::Vertex(2 * n), sink = source + 1;
        MinimumCut cut(2 * n + 2);
        each_choice([&](NodeId id) {
            const MinimumCut::Vertex in = 2 * id.index, out = in + 1;
            const bool again = can_be_again_[id.index];
            // Where both cost the same, memory is spared.
            cut.edge(source, in, again ? 2 * cost_again(id) : MinimumCut::unlimited);
            cut.edge(in, out, 2 * cost_of_keeping(id) + 1);
            if (read_[id.index]) cut.edge(out, sink, MinimumCut::unlimited);
            if (!again) return;
            for (NodeId o : graph_.operands_of(id))
                if (is_choice(o)) cut.edge(2 * o.index + 1, in, MinimumCut::unlimited);
        });
        const std::vector<bool> side = cut.sink_side(source, sink);
        SavedValues chosen{std::vector<bool>(n), std::vector<bool>(n)};
        each_choice([&](NodeId id) {
            const bool again = !side.empty() && side[2 * id.index];
            if (!(side.empty() ? read_[id.index] : side[2 * id.index + 1])) return;
            (again ? chosen.again : chosen.kept)[id.index] = true;
            note(id, again);
        });
        return chosen;
    }

private:
    bool is_literal(NodeId id) const { return graph_[id].op == op<"constant">() || graph_[id].op == op<"tensor">(); }
    // Is it a question whether it is kept?
    bool is_choice(NodeId id) const { return !backward_[id.index] && !is_there_[id.index] && !is_literal(id); }
    template <class F>
    void each_choice(F f) const {
        for (NodeId p : graph_.params())
            if (is_choice(p)) f(p);
        for (NodeId id : graph_.body())
            if (is_choice(id)) f(id);
    }

    // What derivatives read, and what is needed in memory: by what is no kernel, also by way of movement. (A product reads
    // what is swapped where it lies.)
    void find_reads() {
        std::vector<bool> wanted(graph_.nodes.size());  // in memory, or what it moves is
        const auto body = graph_.body();
        for (size_t k = body.size(); k-- > 0;) {
            const NodeId id = body[k];
            const Row& r = row(graph_[id].op);
            const bool wants = !is_fusable(graph_, id) || (r.lowering == Lowering::movement && wanted[id.index]);
            if (!is_fusable(graph_, id)) in_memory_[id.index] = true;
            const auto operands = graph_.operands_of(id);
            for (size_t o = 0; o < operands.size(); ++o) {
                NodeId lies = operands[o];
                while (r.takes_transposed && swaps_last_two(graph_, lies)) lies = graph_.operand(lies, 0);
                const bool is_address = r.memory == MemoryUse::replaces && o == replaced_view;
                if (backward_[id.index] && !backward_[operands[o].index] && !is_address)
                    read_[operands[o].index] = true;
                const uint32_t value = lies.index;
                if (wants) wanted[value] = true;
                if (backward_[value] || is_address) continue;
                if (wants) (backward_[id.index] ? wanted_again_ : in_memory_)[value] = true;
            }
        }
    }
    // What is read on both sides of something that is no kernel lies in memory between them.
    void find_shared() {
        struct Stretch {
            uint32_t first = 0, last = 0;
        };
        std::vector<Stretch> read(graph_.nodes.size());  // in which stretches between such nodes: from 1
        std::vector<uint32_t> stretch(graph_.nodes.size(), 1);
        for (NodeId id : graph_.body()) {
            if (backward_[id.index]) continue;
            for (NodeId o : graph_.operands_of(id))
                stretch[id.index] = std::max(stretch[id.index], stretch[o.index] + !is_fusable(graph_, o));
            for (NodeId o : graph_.operands_of(id)) {
                Stretch& s = read[o.index];
                s.first = s.first == 0 ? stretch[id.index] : std::min(s.first, stretch[id.index]);
                s.last = std::max(s.last, stretch[id.index]);
            }
        }
        for (NodeId id : graph_.body())
            if (read[id.index].first < read[id.index].last) in_memory_[id.index] = true;
    }
    void find_what_can_be_again() {
        std::vector<uint32_t> chain(graph_.nodes.size());
        for (NodeId id : graph_.body()) {
            const Row& r = row(graph_[id].op);
            if (r.memory == MemoryUse::replaces)  // it begins where its base lies
                for (NodeId at = graph_.operand(id, replaced_view);; at = graph_.operand(at, 0)) {
                    can_be_again_[at.index] = false;
                    if (at == graph_.operand(id, replaced_base) || graph_.operands_of(at).empty()) break;
                }
            // Positions are found to be right once (CheckedPositions), so those that are read again are the same.
            if (r.may_fail && !is_fusable(graph_, id))
                for (NodeId o : graph_.operands_of(id)) can_be_again_[o.index] = false;
            if (!is_choice(id) || r.may_fail || stays_interpreted(graph_, id) || must_be_saved(id)) continue;
            if (r.lowering != Lowering::scalar && r.lowering != Lowering::movement && r.source == Source::none)
                continue;
            const auto operands = graph_.operands_of(id);
            if (std::any_of(operands.begin(), operands.end(), [&](NodeId o) { return backward_[o.index]; })) continue;
            for (NodeId o : operands) chain[id.index] = std::max(chain[id.index], chain[o.index]);
            can_be_again_[id.index] = chain[id.index] < longest_chain;
            chain[id.index] = can_be_again_[id.index] ? chain[id.index] + 1 : 0;
        }
    }

    bool must_be_saved(NodeId id) const {
        constexpr uint8_t must_save = save_flag | must_flag;
        return (graph_[id].flags & must_save) == must_save;
    }

    int64_t elements(TypeId type) const {
        int64_t count = 1;
        for (SizeId size : (*graph_.context)[type].sizes)
            count = multiply_saturated(count, graph_.context->evaluate(size, hints_));
        return count;
    }
    int64_t bytes(NodeId id) const {
        const Type& type = graph_.type(id);
        if (type.is_tensor()) return multiply_saturated(elements(graph_[id].type), int64_t(size_of(type.dtype)));
        int64_t sum = 0;
        for (TypeId t : type.elements)
            sum = add_saturated(sum, multiply_saturated(elements(t), int64_t(size_of((*graph_.context)[t].dtype))));
        return sum;
    }
    int64_t cost_of_keeping(NodeId id) const {
        const int64_t times = 1 + !in_memory_[id.index] + (is_large_ ? room : 0);
        return std::min(multiply_saturated(bytes(id), times), MinimumCut::unlimited / 8);
    }
    int64_t cost_again(NodeId id) const {
        const Row& r = row(graph_[id].op);
        const bool is_free = is_name(graph_, id) || r.repeats || is_at_hand(r.source);
        int64_t cost = is_free ? 0 : multiply_saturated(elements(graph_[id].type), r.cost) / additions_a_byte;
        // Past the caches what is drawn is drawn again, at the price of a byte: its arithmetic goes on beside the traffic.
        if (r.source == Source::drawn && is_large_) cost = elements(graph_[id].type);
        if (wanted_again_[id.index]) cost = add_saturated(cost, bytes(id));
        return std::min(cost, MinimumCut::unlimited / 8);
    }

    void note(NodeId id, bool again) {
        if (is_name(graph_, id) || graph_[id].op == op<"param">()) return;
        const NodeId maker = graph_[id].op == op<"get">() ? graph_.operand(id, 0) : id;
        std::string reason =
            can_be_again_[id.index]
                ? fmt::format("to keep its {} bytes costs the traffic of {}, to compute it again that of {}", bytes(id),
                              cost_of_keeping(id), cost_again(id))
            : must_be_saved(id)
                ? fmt::format("its checkpoint's policy is must_save: {} bytes", bytes(id))
                : fmt::format("{} costs more than keeping its result, {} bytes", row(graph_[maker].op).name, bytes(id));
        decisions_.push_back({again ? DecisionKind::recomputed : DecisionKind::saved, std::string(graph_.name_of(id)),
                              std::move(reason), graph_.origins[id.index]});
    }

    const Graph& graph_;
    const std::vector<bool>& backward_;
    Decisions& decisions_;
    std::vector<int64_t> hints_;
    std::vector<bool> is_there_;      // at no cost: inputs, results
    std::vector<bool> read_;          // by derivatives
    std::vector<bool> in_memory_;     // before derivatives, whatever is chosen
    std::vector<bool> wanted_again_;  // in memory, by derivatives
    std::vector<bool> can_be_again_;
    bool is_large_ = false;  // too much for the caches
};

}  // namespace

SavedValues choose_saved_values(const Graph& graph, const std::vector<bool>& backward, bool keeps_inputs,
                                const Target& target, Decisions& decisions) {
    return SavedValuesChoice(graph, backward, keeps_inputs, target, decisions).run();
}

}  // namespace tenon
