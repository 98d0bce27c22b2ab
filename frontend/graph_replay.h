// Running a graph op by op through dispatch, so that each op is recorded: how higher orders go through a tape entry.
#pragma once

#include <span>
#include <vector>

#include "frontend/tape.h"
#include "frontend/tensor_dispatch.h"
#include "ir/graph.h"

namespace tenon {

/// The graph's results; `inputs` beside its parameters, of their types. With `effects`, asserts and commits happen too.
std::vector<TensorRef> replay(Dispatcher& dispatcher, const Graph& graph, std::span<const TensorRef> inputs, bool effects = false);

/// The cotangents of an entry's edges, each with a history; null where no path leads.
std::vector<TensorRef> replay_gradients(Dispatcher& dispatcher, const TapeEntry& entry, std::span<const TensorRef> cotangents);

}    // namespace tenon
