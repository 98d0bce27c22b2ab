// Freezing: the live part of what a builder made, renumbered and named canonically.
#pragma once
#include <span>
#include <vector>

#include "ir/graph.h"
#include "ir/liveness.h"

namespace tenon {

// `kept` (optional) receives for each node its id in the frozen graph, none when dropped.
GraphRef freeze(const Graph& from, std::span<const NodeId> params, std::span<const NodeId> body,
                std::span<const NodeId> results, const Liveness& live, std::vector<NodeId>* kept);

}  // namespace tenon
