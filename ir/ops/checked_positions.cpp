#include "ir/checked_positions.h"

#include "ir/row.h"

namespace tenon {

bool CheckedPositions::may_fail(NodeId id) {
    const Op o = graph_[id].op;
    if (!row(o).may_fail) return false;
    const bool indexed = o == op<"take">() || o == op<"take_add">() || o == op<"gather">() || o == op<"scatter_add">();
    if (!indexed) return true;
    NodeId positions = graph_.operand(id, 1);
    while (row(graph_[positions].op).memory == MemoryUse::names) positions = graph_.operand(positions, 0);
    const Type& whole = graph_.type(graph_.operand(id, 0));
    int64_t axis = graph_.attributes(id).integer("axis");
    if (axis < 0) axis += int64_t(whole.rank());
    return known_.emplace(positions.index, whole.sizes[size_t(axis)]).second;
}

}  // namespace tenon
