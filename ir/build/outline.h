// Turns the call ranges of a flat body into `call` nodes with regions: the form that listings show.
#pragma once
#include <span>
#include <vector>

#include "ir/build/builder.h"
#include "ir/liveness.h"

namespace tenon {

GraphRef outline(const Graph& graph, std::span<const NodeId> params, std::span<const NodeId> body,
                 std::span<const NodeId> results, const std::vector<CallRange>& calls, const Liveness& live);

}  // namespace tenon
