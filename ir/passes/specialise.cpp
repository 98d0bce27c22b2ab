// specialise: symbols become the constants they are for this variant of a skeleton. Needs nothing; afterwards the kept
// symbols are numbered anew, in order, and every size, type and attribute is written with them.
#include <cassert>

#include "ir/copier.h"
#include "ir/passes.h"

namespace tenon {

GraphRef specialise(const Graph& g, std::span<const int64_t> values, std::span<const bool> keep) {
    assert(values.size() == g.symbols.size() && keep.size() == g.symbols.size());
    Context& context = *g.context;
    std::vector<SizeId> sizes;
    for (size_t k = 0, next = 0; k < keep.size(); ++k)
        sizes.push_back(keep[k] ? context.symbol(uint32_t(next++)) : context.constant(values[k]));

    Substitution substitution(context, std::move(sizes));
    Builder builder(context);
    Copier copy(g, builder, &substitution);
    for (NodeId p : g.params()) copy.copy_parameter(p);
    for (size_t k = 0; k < keep.size(); ++k)
        if (keep[k]) builder.symbol(copy(g.symbols[k].definer), g.symbols[k].dim, values[k], g.symbols[k].name);
    copy.copy_body();
    return copy.finish();
}

}  // namespace tenon
