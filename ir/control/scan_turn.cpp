#include "ir/control/scan_turn.h"

#include <algorithm>

#include "ir/build/copier.h"
#include "ir/build/regions.h"
#include "ir/build/stacks.h"
#include "ir/differentiate/gradient.h"
#include "ir/passes/passes.h"
#include "ir/row.h"

namespace tenon {

namespace {

bool is_literal(const Graph& g, NodeId id) { return g[id].op == op<"constant">() || g[id].op == op<"tensor">(); }

class TurnMaker {
public:
    explicit TurnMaker(const TurnRequest& request)
        : request_(request), region_(request.region), context_(*region_.context), form_(request.form),
          params_(region_.params().size()), first_captured_(form_.carried + form_.sliced) {}

    TurnGradient make(const TurnBegin& begin) {
        TurnGradient turn{begin,
                          {},
                          {},
                          std::vector<bool>(form_.carried),
                          std::vector<bool>(form_.carried),
                          std::vector<bool>(params_),
                          std::vector<bool>(form_.sliced),
                          std::vector<bool>(form_.carried),
                          std::vector<bool>(form_.carried),
                          std::vector<bool>(form_.carried)};
        Builder joint(context_);
        Copier copy(region_, joint);
        copy.copy_params();
        copy_forward(copy, begin.absent);
        const std::vector<NodeId> params(joint.params().begin(), joint.params().end());
        std::vector<std::pair<TurnParameter, NodeId>> given_places;  // what a turn gets that is no forward value
        const auto parameter = [&](TurnRole role, size_t index, NodeId like, std::string_view name) {
            const NodeId made = joint.parameter(joint.node(like).type, context_.name(name));
            given_places.push_back({{role, index}, made});
            return made;
        };
        std::vector<NodeId> results, cotangents, wrt, running;
        for (size_t k = 0; k < form_.carried; ++k) {
            if (!begin.given[k]) continue;
            results.push_back(copy(region_.results()[k]));
            cotangents.push_back(parameter(TurnRole::carry_cotangent, k, results.back(), "grad"));
        }
        for (size_t j = request_.stacks.size(); j-- > 0;) {  // the last stack is made last
            if (!request_.stacks[j]) continue;
            results.push_back(copy(region_.results()[form_.carried + j]));
            cotangents.push_back(parameter(TurnRole::stack_cotangent, j, results.back(), "grad"));
        }
        for (size_t k = 0; k < params_; ++k) {
            if (!request_.needs[k]) continue;
            wrt.push_back(params[k]);
            NodeId start;
            if (k >= first_captured_) start = parameter(TurnRole::captured_sum, k, params[k], "sum");
            else if (k < form_.carried && begin.starts[k])
                start = parameter(TurnRole::carry_start, k, params[k], "sum");
            else if (k >= form_.carried && !begin.slice_starts.empty() && begin.slice_starts[k - form_.carried])
                start = parameter(TurnRole::slice_start, k, params[k], "sum");
            running.push_back(start);
        }
        const std::vector<NodeId> gradients = reverse(joint, {results, cotangents, wrt, running, nullptr, {}, true});

        std::vector<NodeId> carries, sums, slices;
        for (size_t k = 0, w = 0; k < params_; ++k) {
            const bool fill = begin.fills && k < form_.carried && begin.given[k];
            NodeId gradient;
            if (request_.needs[k]) gradient = gradients[w++];
            if (!gradient && fill) gradient = emit_filled(joint, -0.0, joint.type(params[k]));
            if (!gradient) continue;
            if (k < form_.carried) {
                turn.carries[k] = true;
                turn.only_begun[k] = request_.needs[k] && gradient == running[w - 1];
                carries.push_back(gradient);
            } else if (k < first_captured_) {
                // A sum with cotangents of slices among its terms begins at +0.0.
                turn.slices[k - form_.carried] = true;
                const NodeId zero = joint.literal(0.0, joint.type(gradient).dtype);
                slices.push_back(form_.saved_at(k) ? gradient : joint.emit(op<"add">(), {gradient, zero}));
            } else if (gradient != running[w - 1]) {
                turn.sums[k] = true;
                sums.push_back(gradient);
            }
        }
        std::erase_if(given_places, [&](const auto& g) {  // a sum that goes through the turn as it is
            return g.first.role == TurnRole::captured_sum && !turn.sums[g.first.index];
        });
        std::vector<NodeId> all = carries;
        all.insert(all.end(), sums.begin(), sums.end());
        all.insert(all.end(), slices.begin(), slices.end());
        backward_half(joint, copy, given_places, all, carries.size(), turn);
        return turn;
    }

private:
    // What is nothing adds nothing: of such a sum the other term is left.
    void copy_forward(Copier& copy, const std::vector<bool>& absent) const {
        std::vector<bool> is_absent(region_.nodes.size());
        for (size_t k = 0; k < absent.size(); ++k)
            if (absent[k]) is_absent[region_.params()[k].index] = true;
        for (NodeId id : region_.body()) {
            const auto operands = region_.operands_of(id);
            if (!row(region_[id].op).absent_is_nothing || is_absent[operands[0].index] == is_absent[operands[1].index])
                copy.copy(id);
            else copy.map(id, copy(operands[is_absent[operands[0].index] ? 1 : 0]));
        }
    }
    // Backward's nodes, with parameters for what they read of forward.
    void backward_half(Builder& joint, Copier& forward, std::span<const std::pair<TurnParameter, NodeId>> given,
                       std::span<const NodeId> results, size_t carries, TurnGradient& turn) {
        std::vector<NodeId> kept;
        const GraphRef graph = joint.finish(results, {}, false, &kept);
        const Graph& g = *graph;
        enum : uint8_t { backward, inside, parameter };  // of each node: of backward, computed again, given
        std::vector<uint8_t> kind(g.nodes.size(), backward);
        std::vector<size_t> node_of(g.nodes.size());  // in body_
        for (NodeId id : region_.body())
            if (const NodeId at = kept[forward(id).index]) kind[at.index] = parameter, node_of[at.index] = id.index;
        for (size_t k = 0; k < params_; ++k) kind[g.params()[k].index] = parameter;
        if (request_.reads == TurnReads::views_again) {
            const std::vector<bool> again = made_again(g, first_captured_, kind);
            for (NodeId id : g.body())
                if (kind[id.index] == parameter && again[id.index]) kind[id.index] = inside;
        }
        // What is needed, from the end.
        std::vector<bool> needed(g.nodes.size());
        for (NodeId r : g.results()) needed[r.index] = true;
        for (size_t k = g.body().size(); k-- > 0;) {
            const NodeId id = g.body()[k];
            if (!needed[id.index] || kind[id.index] == parameter) continue;
            const auto read = g.operands_of(id);
            for (size_t o = 0; o < read.size(); ++o)
                if (row(g[id].op).memory != MemoryUse::replaces || o != replaced_view) needed[read[o].index] = true;
        }
        if (request_.reads == TurnReads::values) find_left(g, kept, forward, needed, turn);

        Builder builder(context_);
        Copier copy(g, builder);
        std::vector<std::pair<TurnParameter, NodeId>> places;
        for (const auto& [place, node] : given) places.push_back({place, kept[node.index]});
        std::vector<bool> is_left(g.nodes.size());
        for (size_t k = 0; k < form_.carried; ++k) {
            if (!turn.left[k]) continue;
            const NodeId value = left(kept, forward, k);  // none where the turn only hands on
            if (value) is_left[value.index] = true;
            places.push_back({{TurnRole::left_value, k}, value});
        }
        const auto is_given = [&](NodeId id) { return needed[id.index] && !is_left[id.index]; };
        for (size_t k = form_.carried; k < params_; ++k) {
            if (!is_given(g.params()[k])) continue;
            if (k >= first_captured_) places.push_back({{TurnRole::captured, k}, g.params()[k]});
            else if (request_.reads == TurnReads::views_again) places.push_back({{TurnRole::slice, k}, g.params()[k]});
            else places.push_back({{TurnRole::saved, region_.params()[k].index}, g.params()[k]});
        }
        for (size_t k = 0; k < form_.carried; ++k)
            if (is_given(g.params()[k]))
                places.push_back({{TurnRole::saved, region_.params()[k].index}, g.params()[k]});
        for (NodeId id : g.body())
            if (kind[id.index] == parameter && is_given(id))
                places.push_back({{TurnRole::saved, node_of[id.index]}, id});
        std::stable_sort(places.begin(), places.end(), [](const auto& a, const auto& b) {
            const auto rank = [](TurnRole r) {
                return is_carried(r) ? int(r) : int(TurnRole::captured_sum) + (is_sliced(r) ? 1 : 2);
            };
            return rank(a.first.role) < rank(b.first.role);
        });
        for (const auto& [place, node] : places) {
            turn.parameters.push_back(place);
            if (!node) {
                builder.parameter(g[g.params()[place.index]].type);
                continue;
            }
            Stamp stamp;
            stamp.origin = g.origins[node.index];
            Builder::StampScope scope(builder, stamp);
            copy.map(node, builder.parameter(g[node].type, g.names[node.index]));
        }
        for (const SizeSymbol& s : g.symbols) builder.symbol(NodeId::none(), defined_around, s.hint, s.name);
        builder.known_sizes().add(g.equalities);
        for (NodeId id : g.body()) {
            if (kind[id.index] == parameter || !needed[id.index]) continue;
            if (row(g[id].op).memory == MemoryUse::replaces) {
                const NodeId view = g.operand(id, replaced_view), base = copy(g.operand(id, replaced_base));
                copy.map(view, copy.view_from(base, id, copy.has(view) ? copy(view) : NodeId::none()));
            }
            copy.copy(id);
        }
        std::vector<NodeId> all;
        for (size_t r = 0; r <= g.results().size(); ++r) {
            if (r == carries)
                for (size_t k = 0; k < form_.carried; ++k)
                    if (turn.left[k]) all.push_back(copy(g.params()[k]));
            if (r < g.results().size()) all.push_back(copy(g.results()[r]));
        }
        turn.graph = builder.finish(all, g.name);
    }

    NodeId left(std::span<const NodeId> kept, Copier& forward, size_t carry) const {
        const NodeId value = region_.results()[carry];
        return is_literal(region_, value) ? NodeId::none() : kept[forward(value).index];
    }
    // Of which carries derivatives read both what a turn got and what it left. These are one value to two turns, whose
    // cotangent is one sum: what a turn got, it gives to the turn before, as what that has left.
    void find_left(const Graph& g, std::span<const NodeId> kept, Copier& forward, std::vector<bool>& needed,
                   TurnGradient& turn) const {
        const auto params = g.params();
        const auto is_read = [&](size_t k) {
            const NodeId value = left(kept, forward, k);
            return value && needed[value.index] && value != params[k] && is_float(g.type(value).dtype);
        };
        for (bool again = true; again;) {  // what one carry hands to another one lies between those that are read
            again = false;
            for (size_t p = 0; p < form_.carried; ++p) {
                const NodeId value = left(kept, forward, p);
                const size_t k = size_t(std::find(params.begin(), params.begin() + ptrdiff_t(form_.carried), value) -
                                        params.begin());
                if (k >= form_.carried || needed[value.index] || !needed[params[p].index] || !is_read(k)) continue;
                needed[value.index] = again = true;
            }
        }
        std::vector<bool> taken(g.nodes.size());
        for (size_t k = 0; k < form_.carried; ++k) {
            turn.reads_left[k] = is_read(k);
            turn.reads_got[k] = needed[params[k].index];
            if (request_.left.empty() || !request_.left[k]) continue;
            const NodeId value = left(kept, forward, k);
            if (value && taken[value.index]) continue;
            if (value) taken[value.index] = true;
            turn.left[k] = needed[params[k].index] = true;
        }
    }

    const TurnRequest& request_;
    const Graph& region_;
    Context& context_;
    const ScanForm& form_;
    const size_t params_, first_captured_;
};

}  // namespace

std::vector<bool> made_again(const Graph& g, size_t first_captured, std::span<const uint8_t> considered) {
    std::vector<bool> again(g.nodes.size()), is_invariant(g.nodes.size());  // made of what is captured alone
    for (size_t k = first_captured; k < g.params().size(); ++k) is_invariant[g.params()[k].index] = true;
    for (NodeId id : g.body()) {
        if (!considered.empty() && !considered[id.index]) continue;
        const auto read = g.operands_of(id);
        const Row& r = row(g[id].op);
        is_invariant[id.index] =
            !r.own_per_example && g[id].regions == 0 && g.type(id).is_tensor() &&
            std::all_of(read.begin(), read.end(), [&](NodeId o) { return is_literal(g, o) || is_invariant[o.index]; });
        again[id.index] = is_invariant[id.index] || r.lowering == Lowering::movement || is_at_hand(r.source);
    }
    return again;
}

GraphRef with_inner_results(const GraphRef& region, std::span<const size_t> results,
                            std::span<const size_t> parameters) {
    if (!has_isolated_regions(*region)) return region;
    const Joint joint = make_joint(*region, results, parameters, std::vector<bool>(parameters.size()), true);
    if (!joint.backward) return region;
    const Graph& g = *joint.graph;
    Builder builder(*g.context);
    Copier copy(g, builder);
    for (NodeId p : g.params().first(joint.inputs)) copy.copy_parameter(p);
    for (const SizeSymbol& s : g.symbols) builder.symbol(NodeId::none(), defined_around, s.hint, s.name);
    builder.known_sizes().add(g.equalities);
    std::vector<bool> is_forward(g.nodes.size());
    for (NodeId r : g.results().first(joint.outputs)) is_forward[r.index] = true;
    for (size_t k = g.body().size(); k-- > 0;)
        if (is_forward[g.body()[k].index])
            for (NodeId operand : g.operands_of(g.body()[k])) is_forward[operand.index] = true;
    std::vector<NodeId> read;  // by the derivative, of nodes with several results
    for (NodeId id : g.body()) {
        const bool is_read = !is_forward[id.index] && g[id].op == op<"get">() && is_forward[g.operand(id, 0).index];
        if (is_forward[id.index] || is_read) copy.copy(id);
        if (is_read) read.push_back(copy(id));
    }
    std::vector<NodeId> all;
    for (NodeId r : g.results().first(joint.outputs)) all.push_back(copy(r));
    all.insert(all.end(), read.begin(), read.end());
    return builder.finish(all, region->name);
}

TurnGradient turn_gradient(const TurnRequest& request, const TurnBegin& begin) {
    return TurnMaker(request).make(begin);
}

}  // namespace tenon
