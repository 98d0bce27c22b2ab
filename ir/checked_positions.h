// Which of a graph's nodes may fail at run time (Row::may_fail), where those that come before them have not: positions that
// one node has found to lie within a dimension are within it for all that come after.
#pragma once
#include <set>
#include <utility>

#include "ir/graph.h"

namespace tenon {

class CheckedPositions {
public:
    explicit CheckedPositions(const Graph& graph) : graph_(graph) {}

    /// To be asked of the nodes in the order in which they run.
    bool may_fail(NodeId);

private:
    const Graph& graph_;
    std::set<std::pair<uint32_t, SizeId>> known_;  // positions, and the size that they are below
};

}  // namespace tenon
