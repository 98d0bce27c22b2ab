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

    TurnGradient make(const std::vector<bool>& given, const std::vector<bool>& starts, bool fills) {
        TurnGradient turn{given,
                          {},
                          {},
                          std::vector<bool>(form_.carried),
                          std::vector<bool>(params_),
                          std::vector<bool>(form_.sliced)};
        Builder joint(context_);
        Copier copy(region_, joint);
        copy.copy_params();
        copy.copy_body();
        const std::vector<NodeId> params(joint.params().begin(), joint.params().end());
        std::vector<std::pair<TurnParameter, NodeId>> given_places;  // what a turn gets that is no forward value
        const auto parameter = [&](TurnRole role, size_t index, NodeId like, std::string_view name) {
            const NodeId made = joint.parameter(joint.node(like).type, context_.name(name));
            given_places.push_back({{role, index}, made});
            return made;
        };
        std::vector<NodeId> results, cotangents, wrt, running;
        for (size_t k = 0; k < form_.carried; ++k) {
            if (!given[k]) continue;
            results.push_back(copy(region_.results()[k]));
            cotangents.push_back(parameter(TurnRole::carry_cotangent, k, results.back(), "grad"));
        }
        for (size_t j = 0; j < request_.stacks.size(); ++j) {
            if (!request_.stacks[j]) continue;
            results.push_back(copy(region_.results()[form_.carried + j]));
            cotangents.push_back(parameter(TurnRole::stack_cotangent, j, results.back(), "grad"));
        }
        for (size_t k = 0; k < params_; ++k) {
            if (!request_.needs[k]) continue;
            wrt.push_back(params[k]);
            NodeId start;
            if (k >= first_captured_) start = parameter(TurnRole::captured_sum, k, params[k], "sum");
            else if (k < form_.carried && starts[k]) start = parameter(TurnRole::carry_start, k, params[k], "sum");
            running.push_back(start);
        }
        const std::vector<NodeId> gradients = reverse(joint, {results, cotangents, wrt, running});

        std::vector<NodeId> carries, sums, slices;
        for (size_t k = 0, w = 0; k < params_; ++k) {
            const bool fill = fills && k < form_.carried && given[k];
            NodeId gradient;
            if (request_.needs[k]) gradient = gradients[w++];
            if (!gradient && fill) gradient = emit_filled(joint, -0.0, joint.type(params[k]));
            if (!gradient) continue;
            if (k < form_.carried) {
                turn.carries[k] = true;
                carries.push_back(gradient);
            } else if (k < first_captured_) {
                // A sum with cotangents of slices among its terms begins at +0.0.
                turn.slices[k - form_.carried] = true;
                const NodeId zero = joint.literal(0.0, joint.type(gradient).dtype);
                slices.push_back(joint.emit(op<"add">(), {gradient, zero}));
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
        turn.graph = backward_half(joint, copy, given_places, all, turn.parameters);
        return turn;
    }

private:
    // Backward's nodes, with parameters for what they read of forward.
    GraphRef backward_half(Builder& joint, Copier& forward, std::span<const std::pair<TurnParameter, NodeId>> given,
                           std::span<const NodeId> results, std::vector<TurnParameter>& parameters) {
        std::vector<NodeId> kept;
        const GraphRef graph = joint.finish(results, {}, false, &kept);
        const Graph& g = *graph;
        enum : uint8_t { backward, inside, parameter };  // of each node: of backward, computed again, given
        std::vector<uint8_t> kind(g.nodes.size(), backward);
        std::vector<size_t> node_of(g.nodes.size());  // in body_
        for (NodeId id : region_.body())
            if (const NodeId at = kept[forward(id).index]) kind[at.index] = parameter, node_of[at.index] = id.index;
        for (size_t k = 0; k < params_; ++k) kind[g.params()[k].index] = parameter;
        std::vector<bool> is_invariant(g.nodes.size());  // made of what is captured alone
        for (size_t k = first_captured_; k < params_; ++k) is_invariant[g.params()[k].index] = true;
        for (NodeId id : g.body()) {
            if (kind[id.index] != parameter) continue;
            const auto read = g.operands_of(id);
            const Row& r = row(g[id].op);
            is_invariant[id.index] = !r.own_per_example && g[id].regions == 0 && g.type(id).is_tensor() &&
                                     std::all_of(read.begin(), read.end(),
                                                 [&](NodeId o) { return is_literal(g, o) || is_invariant[o.index]; });
            const bool moves = r.lowering == Lowering::movement || is_at_hand(r.source);
            if (is_invariant[id.index] || moves) kind[id.index] = inside;
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

        Builder builder(context_);
        Copier copy(g, builder);
        std::vector<std::pair<TurnParameter, NodeId>> places;
        for (const auto& [place, node] : given) places.push_back({place, kept[node.index]});
        for (size_t k = form_.carried; k < params_; ++k)
            if (needed[g.params()[k].index])
                places.push_back({{k < first_captured_ ? TurnRole::slice : TurnRole::captured, k}, g.params()[k]});
        for (size_t k = 0; k < form_.carried; ++k)
            if (needed[g.params()[k].index])
                places.push_back({{TurnRole::saved, region_.params()[k].index}, g.params()[k]});
        for (NodeId id : g.body())
            if (kind[id.index] == parameter && needed[id.index])
                places.push_back({{TurnRole::saved, node_of[id.index]}, id});
        std::stable_sort(places.begin(), places.end(), [](const auto& a, const auto& b) {
            const auto rank = [](TurnRole r) { return is_carried(r) ? 0 : is_sliced(r) ? 1 : 2; };
            return rank(a.first.role) < rank(b.first.role);
        });
        for (const auto& [place, node] : places) {
            parameters.push_back(place);
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
        return copy.finish();
    }

    const TurnRequest& request_;
    const Graph& region_;
    Context& context_;
    const ScanForm& form_;
    const size_t params_, first_captured_;
};

}  // namespace

GraphRef with_inner_results(const GraphRef& region, std::span<const size_t> results,
                            std::span<const size_t> parameters) {
    if (!has_isolated_regions(*region)) return region;
    const Joint joint = make_joint(*region, results, parameters, false);
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

TurnGradient turn_gradient(const TurnRequest& request, const std::vector<bool>& given, const std::vector<bool>& starts,
                           bool fills) {
    return TurnMaker(request).make(given, starts, fills);
}

}  // namespace tenon
