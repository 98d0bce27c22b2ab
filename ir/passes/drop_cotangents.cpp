#include "ir/passes/drop_cotangents.h"

#include <algorithm>

#include "ir/build/copier.h"
#include "ir/passes/passes.h"
#include "ir/row.h"

namespace tenon {

GraphRef drop_cotangents(const Graph& half, std::span<const size_t> absent_params, size_t first_running,
                         std::vector<bool>& reached) {
    Builder builder(*half.context);
    Copier copy(half, builder);
    copy.copy_params();
    std::vector<bool> absent(half.nodes.size(), false);
    for (size_t k : absent_params) absent[half.params()[k].index] = true;
    for (NodeId id : half.body()) {
        const auto operands = half.operands_of(id);
        const auto missing = std::count_if(operands.begin(), operands.end(), [&](NodeId o) { return absent[o.index]; });
        if (missing == 0) {
            copy.copy(id);
        } else if (row(half[id].op).absent_is_nothing && missing == 1) {
            copy.map(id, copy(absent[operands[0].index] ? operands[1] : operands[0]));
        } else {
            absent[id.index] = true;
        }
    }
    std::vector<NodeId> results, running;  // running sums, as they are
    for (size_t k = first_running; k < half.params().size(); ++k) running.push_back(copy(half.params()[k]));
    reached.clear();
    for (NodeId result : half.results()) {
        const bool is_reached =
            !absent[result.index] && std::find(running.begin(), running.end(), copy(result)) == running.end();
        reached.push_back(is_reached);
        if (is_reached) results.push_back(copy(result));
    }
    return verified(PassId::drop_cotangents, builder.finish(results, half.name));
}

std::vector<bool> reads_saved(const Graph& half, size_t saved, const std::vector<bool>& present) {
    std::vector<size_t> absent;
    for (size_t r = 0; r < present.size(); ++r) {
        if (!present[r]) absent.push_back(saved + r);
    }
    std::vector<bool> reached;
    const GraphRef rest = drop_cotangents(half, absent, saved + present.size(), reached);
    std::vector<bool> is_read(rest->nodes.size());
    for (NodeId id : rest->results()) is_read[id.index] = true;
    for (NodeId id : rest->body()) {
        for (NodeId operand : rest->operands_of(id)) is_read[operand.index] = true;
    }
    std::vector<bool> reads;
    for (size_t k = 0; k < saved; ++k) reads.push_back(is_read[rest->params()[k].index]);
    return reads;
}

}  // namespace tenon
