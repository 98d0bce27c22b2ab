// specialise: symbols become the constants they are for this variant of a skeleton. Needs nothing; afterwards the kept
// symbols are numbered anew, in order, and every size, type and attribute is written with them.
#include <algorithm>
#include <cassert>

#include "ir/build/copier.h"
#include "ir/passes/passes.h"

namespace tenon {

GraphRef specialise(const Graph& g, std::span<const int64_t> values, std::span<const bool> keep,
                    std::span<const uint32_t> same) {
    assert(values.size() == g.symbols.size() && keep.size() == g.symbols.size());
    Context& context = *g.context;
    const auto is_first = [&](size_t k) { return same.empty() || same[k] == k; };
    std::vector<SizeId> sizes;
    for (size_t k = 0, next = 0; k < keep.size(); ++k)
        sizes.push_back(!keep[k]      ? context.constant(values[k])
                        : is_first(k) ? context.symbol(uint32_t(next++))
                                      : sizes[same[k]]);

    Substitution substitution(context, std::move(sizes));
    Builder builder(context);
    Copier copy(g, builder, &substitution);
    for (NodeId p : g.params()) copy.copy_parameter(p);
    for (size_t k = 0; k < keep.size(); ++k)
        if (keep[k] && is_first(k))
            builder.symbol(copy(g.symbols[k].definer), g.symbols[k].dim, values[k], g.symbols[k].name);
    copy.copy_body();
    return copy.finish();
}

GraphRef renumber_symbols(const GraphRef& g) {
    Context& context = *g->context;
    struct Place {
        uint32_t symbol;
        NodeId definer;
        int dim;
    };
    std::vector<Place> order;
    const auto is_met = [&](uint32_t k) {
        return std::any_of(order.begin(), order.end(), [&](const Place& place) { return place.symbol == k; });
    };
    for (NodeId p : g->params()) {
        const std::vector<SizeId>& sizes = g->type(p).sizes;
        for (size_t d = 0; d < sizes.size(); ++d)
            for (uint32_t k = 0; k < g->symbols.size(); ++k)
                if (sizes[d] == context.symbol(k) && !is_met(k)) order.push_back({k, p, int(d)});
    }
    bool is_same = order.size() == g->symbols.size();
    for (uint32_t k = 0; k < order.size(); ++k) is_same &= order[k].symbol == k;
    if (is_same) return g;

    std::vector<bool> used(g->symbols.size());
    for (NodeId id : g->body()) mark_symbols(*g, id, used);
    for (const Place& place : order) used[place.symbol] = false;
    assert(std::none_of(used.begin(), used.end(), [](bool missing) { return missing; }));
    std::vector<SizeId> sizes;
    for (const SizeSymbol& symbol : g->symbols) sizes.push_back(context.constant(symbol.hint));
    for (uint32_t k = 0; k < order.size(); ++k) sizes[order[k].symbol] = context.symbol(k);
    Substitution substitution(context, std::move(sizes));
    Builder builder(context);
    Copier copy(*g, builder, &substitution);
    for (NodeId p : g->params()) copy.copy_parameter(p);
    for (const Place& place : order) {
        const SizeSymbol& symbol = g->symbols[place.symbol];
        builder.symbol(copy(place.definer), place.dim, symbol.hint, symbol.name);
    }
    copy.copy_body();
    return copy.finish();
}

}  // namespace tenon
