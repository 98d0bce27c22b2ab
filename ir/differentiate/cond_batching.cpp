// vmap of cond.
#include <algorithm>
#include <array>

#include "ir/differentiate/batching.h"
#include "ir/differentiate/regions.h"
#include "ir/row.h"

namespace tenon {

namespace {

std::vector<int> axes_of(const std::vector<bool>& batched) {
    std::vector<int> axes;
    for (bool is_batched : batched) axes.push_back(is_batched ? 0 : -1);
    return axes;
}

// One condition for all examples: it is a cond of whole batches.
NodeId for_all(Batching& b) {
    std::vector<bool> batched, differs(size_t(b.result_type().elements.size()));
    std::vector<NodeId> operands{b.operand(0)};
    for (size_t k = 1; k < b.operand_count(); ++k) {
        batched.push_back(b.batched(k));
        operands.push_back(b.operand(k));
    }
    const std::array<GraphRef, 2> sides{b.region(0), b.region(1)};
    for (const GraphRef& side : sides) {
        const std::vector<bool> differing = differs_per_example(*side, batched);
        for (size_t k = 0; k < differs.size(); ++k) differs[k] = differs[k] || differing[side->results()[k].index];
    }
    std::array<GraphRef, 2> whole;
    for (size_t s = 0; s < 2; ++s) whole[s] = batch_flat(*sides[s], {b.size(), axes_of(batched), axes_of(differs)});
    std::vector<NodeId> results = b.results_of(b.again(operands, b.attr(), whole));
    for (size_t k = 0; k < results.size(); ++k)
        if (!differs[k]) results[k] = b.expand(results[k], b.batch_of(b.type_of(results[k]).sizes));
    return b.emit(op<"tuple">(), results);
}

// Each example has its own: both sides are done, and one is chosen. A side gets its operands through a choice, too, whose
// other half no gradient goes through: so what the side not taken makes of a cotangent is chosen away.
NodeId for_each(Batching& b) {
    const std::vector<bool> batched(b.operand_count() - 1, true);
    const std::vector<int> in(batched.size(), 0), out(b.result_type().elements.size(), 0);
    std::array<std::vector<NodeId>, 2> sides;
    for (unsigned s = 0; s < 2; ++s) {
        std::vector<NodeId> operands;
        for (size_t k = 1; k < b.operand_count(); ++k)
            operands.push_back(guard(b.builder(), b.operand(0), s == 0, b.whole(k)));
        sides[s] = inline_graph(b.builder(), *batch_flat(*b.region(s), {b.size(), in, out}), operands);
    }
    std::vector<NodeId> results;
    for (size_t k = 0; k < out.size(); ++k)
        results.push_back(choose(b.builder(), b.operand(0), sides[0][k], sides[1][k]));
    return b.emit(op<"tuple">(), results);
}

}  // namespace

NodeId cond_batching(Batching& b) { return b.batched(0) ? for_each(b) : for_all(b); }

}  // namespace tenon
