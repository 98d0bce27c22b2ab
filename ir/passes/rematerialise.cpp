// rematerialise: backward computes again what is cheaper to compute than to keep. Needs split; afterwards elementwise
// and movement values whose operands are saved anyway are no longer saved, and `saved` says what still is. Metadata and origins go with the recomputed node. Values of reductions, contractions and random ops stay saved.
#include <algorithm>
#include <string>

#include "ir/build/copier.h"
#include "ir/passes/passes.h"

namespace tenon {

namespace {

// A few cycles an element: less than the memory traffic of saving and loading one.
bool cheap(const Graph& g, NodeId id) {
    const Row& r = row(g[id].op);
    if (r.lowering == Lowering::scalar) return r.cost == 1;
    return r.lowering == Lowering::movement || r.source != Source::none;
}

class Rematerialiser {
public:
    Rematerialiser(const Split& split, Decisions& decisions)
        : split_(split), forward_(*split.forward), backward_(*split.backward), decisions_(decisions),
          available_(forward_.nodes.size(), false) {
        shown_.resize(backward_.symbols.size());
        for (NodeId p : backward_.params().first(split.saved.size() + split.cotangents)) {
            const std::vector<bool> shows = shown_by(p);
            for (size_t symbol = 0; symbol < shows.size(); ++symbol) shown_[symbol] += shows[symbol];
        }
    }

    Split run() {
        // Only what is kept anyway is at hand: another input may be written before backward reads it.
        std::vector<bool> keep(split_.saved.size(), true);
        for (size_t k = 0; k < keep.size(); ++k)
            available_[split_.saved[k].is_input ? forward_.params()[split_.saved[k].index].index : value(k).index] =
                true;
        // In forward order: a value goes when all it reads is an input or stays saved, or was itself dropped before.
        bool any = false;
        for (size_t k = 0; k < keep.size(); ++k) {
            if (split_.saved[k].is_input || split_.saved[k].index < split_.results) continue;
            const NodeId id = value(k);
            if (!cheap(forward_, id) || (forward_[id].flags & recompute_flag)) {
                const NodeId maker = forward_[id].op == op<"get">() ? forward_.operand(id, 0) : id;
                decide(DecisionKind::saved, id,
                       std::string(row(forward_[maker].op).name) + " costs more than keeping its result");
                continue;
            }
            const auto operands = forward_.operands_of(id);
            const bool at_hand = std::all_of(operands.begin(), operands.end(), [&](NodeId o) {
                return available_[o.index] || forward_[o].op == op<"constant">() || forward_[o].op == op<"tensor">();
            });
            std::vector<bool> named(forward_.symbols.size());
            mark_symbols(forward_, id, named);
            const std::vector<bool> shows = shown_by(backward_.params()[k]);
            bool is_shown = true;  // by others in backward: the sizes that it is made with
            for (size_t symbol = 0; symbol < named.size(); ++symbol)
                is_shown &= !named[symbol] || shown_[symbol] > uint32_t(shows[symbol]);
            if (!at_hand || !is_shown) {
                decide(DecisionKind::saved, id, "what it is computed from is not kept");
                continue;
            }
            for (size_t symbol = 0; symbol < shows.size(); ++symbol) shown_[symbol] -= shows[symbol];
            keep[k] = false;
            any = true;
            decide(DecisionKind::recomputed, id, "one pass over values that are kept anyway");
        }
        if (!any) return split_;
        return rebuild(keep);
    }

private:
    // The symbols that a parameter of backward has as a size.
    std::vector<bool> shown_by(NodeId parameter) const {
        std::vector<bool> shows(backward_.symbols.size());
        for (SizeId size : backward_.type(parameter).sizes) {
            if (const auto symbol = backward_.context->symbol_number(size)) shows[*symbol] = true;
        }
        return shows;
    }
    NodeId value(size_t k) const { return forward_.results()[split_.saved[k].index]; }
    void decide(DecisionKind what, NodeId id, std::string reason) {
        decisions_.push_back({what, std::string(forward_.name_of(id)), std::move(reason), forward_.origins[id.index]});
    }

    Split rebuild(const std::vector<bool>& keep) {
        Context& context = *forward_.context;
        Split out;
        out.results = split_.results;
        out.cotangents = split_.cotangents;

        std::vector<bool> input(forward_.params().size(), false);
        for (const Split::Saved& saved : split_.saved)
            if (saved.is_input) input[saved.index] = true;

        Builder builder(context);
        std::vector<NodeId> from_forward(forward_.nodes.size());
        std::vector<NodeId> results(forward_.results().begin(), forward_.results().begin() + ptrdiff_t(split_.results));
        Copier copy(backward_, builder);
        for (size_t p = 0; p < input.size(); ++p) {
            if (!input[p]) continue;
            const NodeId id = forward_.params()[p];
            Stamp stamp;
            stamp.origin = forward_.origins[id.index];
            Builder::StampScope scope(builder, stamp);
            from_forward[id.index] = builder.parameter(forward_[id].type, forward_.names[id.index]);
            out.saved.push_back({true, p});
        }
        for (size_t k = 0; k < keep.size(); ++k) {
            if (split_.saved[k].is_input || !keep[k]) continue;
            const NodeId id = value(k);
            Stamp stamp{forward_.origins[id.index], forward_.metas[id.index], 0};
            Builder::StampScope scope(builder, stamp);
            from_forward[id.index] = builder.parameter(forward_[id].type, forward_.names[id.index]);
            size_t index = split_.saved[k].index;
            if (index >= split_.results) {
                index = results.size();
                results.push_back(id);
            }
            out.saved.push_back({false, index});
        }
        for (size_t k = 0; k < keep.size(); ++k)
            if (const NodeId id = split_.saved[k].is_input ? forward_.params()[split_.saved[k].index] : value(k);
                from_forward[id.index])
                copy.map(backward_.params()[k], from_forward[id.index]);
        for (size_t k = split_.saved.size(); k < backward_.params().size(); ++k)
            copy.copy_parameter(backward_.params()[k]);
        symbols(builder, copy);
        builder.known_sizes().add(backward_.equalities);

        Copier again(forward_, builder);  // the dropped values, in forward order
        for (uint32_t i = 0; i < from_forward.size(); ++i)
            if (from_forward[i]) again.map(NodeId(i), from_forward[i]);
        for (size_t k = 0; k < keep.size(); ++k) {
            if (keep[k]) continue;
            const NodeId made = again.copy(value(k));
            builder.set_flags(made, uint8_t(builder.node(made).flags | recomputed_flag));
            copy.map(backward_.params()[k], made);
        }
        copy.copy_body();
        out.backward = verified(PassId::rematerialise, copy.finish());
        out.forward = with_results(results);
        return out;
    }
    void symbols(Builder& builder, Copier& copy) {
        for (uint32_t k = 0; k < backward_.symbols.size(); ++k) {
            const SizeSymbol& s = backward_.symbols[k];
            if (s.definer && copy.has(s.definer)) {
                builder.symbol(copy(s.definer), s.dim, s.hint, s.name);
                continue;
            }
            NodeId definer;
            int dim = -1;
            for (NodeId p : builder.params())
                for (size_t d = 0; d < builder.type(p).sizes.size() && !definer; ++d)
                    if (builder.type(p).sizes[d] == backward_.context->symbol(k)) {
                        definer = p;
                        dim = int(d);
                    }
            builder.symbol(definer, dim, s.hint, s.name);
        }
    }
    GraphRef with_results(std::span<const NodeId> results) {
        Builder builder(*forward_.context);
        Copier copy(forward_, builder);
        copy.copy_params();
        copy.copy_body();
        std::vector<NodeId> out;
        for (NodeId r : results) out.push_back(copy(r));
        return verified(PassId::rematerialise, builder.finish(out, forward_.name));
    }

    const Split& split_;
    const Graph &forward_, &backward_;
    Decisions& decisions_;
    std::vector<bool> available_;  // forward values that backward can have
    std::vector<uint32_t> shown_;  // by symbol: how many parameters of backward show it, without running sums
};

}  // namespace

Split rematerialise(const Split& split, Decisions& decisions) {
    Split made = Rematerialiser(split, decisions).run();
    made.forward = renumber_symbols(made.forward);
    made.backward = renumber_symbols(made.backward);
    return made;
}

}  // namespace tenon
