// specialise: symbols become the constants they are for this variant of a skeleton, and what the skeleton's equalities
// say that they are. Needs nothing; afterwards the symbols that stay free are numbered anew, in order, every size, type
// and attribute is written with them, and equalities are left only where no symbol could be taken out of them.
#include <algorithm>
#include <cassert>

#include "ir/build/copier.h"
#include "ir/passes/passes.h"

namespace tenon {

GraphRef specialise(const Graph& g, std::span<const int64_t> values, const std::vector<bool>& keep) {
    assert(values.size() == g.symbols.size() && keep.size() == g.symbols.size());
    Context& context = *g.context;
    std::vector<SizeId> sizes;
    for (uint32_t k = 0; k < keep.size(); ++k)
        sizes.push_back(keep[k] ? context.symbol(k) : context.constant(values[k]));
    SolvedSizes solved = solve(context, std::move(sizes), g.equalities);

    std::vector<SizeId> numbered(keep.size());  // free symbols by their new numbers
    std::vector<uint32_t> free;
    for (uint32_t k = 0; k < keep.size(); ++k) {
        if (solved.sizes[k] != context.symbol(k)) continue;
        numbered[k] = context.symbol(uint32_t(free.size()));
        free.push_back(k);
    }
    for (SizeId& size : solved.sizes) size = context.substitute(size, numbered);
    for (SizeEquality& e : solved.left)
        e = {context.substitute(e.left, numbered), context.substitute(e.right, numbered)};

    Substitution substitution(context, std::move(solved.sizes));
    Builder builder(context);
    Copier copy(g, builder, &substitution);
    for (NodeId p : g.params()) copy.copy_parameter(p);
    for (uint32_t k : free) builder.symbol(copy(g.symbols[k].definer), g.symbols[k].dim, values[k], g.symbols[k].name);
    builder.known_sizes().add(solved.left);
    copy.copy_body();
    return verified(PassId::specialise, copy.finish());
}

GraphRef renumber_symbols(const GraphRef& g) {
    Context& context = *g->context;
    for (const SizeSymbol& symbol : g->symbols)
        if (symbol.dim == defined_around) return g;  // a region has the numbers of the graph around it
    struct Place {
        uint32_t symbol;
        NodeId definer;
        int dim;
    };
    std::vector<Place> order;
    std::vector<bool> is_met(g->symbols.size());
    for (NodeId p : g->params()) {
        const std::vector<SizeId>& sizes = g->type(p).sizes;
        for (size_t d = 0; d < sizes.size(); ++d) {
            const auto k = context.symbol_number(sizes[d]);
            if (!k || is_met[*k]) continue;
            is_met[*k] = true;
            order.push_back({*k, p, int(d)});
        }
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
    for (const SizeEquality& e : g->equalities) {  // what is said of a symbol that is gone is not known any more
        const auto is_known = [&](SizeId size) {
            const std::vector<uint32_t> named = context.symbols_of(size);
            return std::all_of(named.begin(), named.end(), [&](uint32_t k) { return is_met[k]; });
        };
        if (!is_known(e.left) || !is_known(e.right)) continue;
        const SizeEquality renumbered{substitution(e.left), substitution(e.right)};
        builder.known_sizes().add({&renumbered, 1});
    }
    copy.copy_body();
    return verified(PassId::renumber_symbols, copy.finish());
}

}  // namespace tenon
