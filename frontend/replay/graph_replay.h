// Running a graph op by op through dispatch, so that each op is recorded: how higher orders go through a tape entry.
#pragma once

#include <span>
#include <vector>

#include "frontend/record/tape.h"
#include "frontend/record/tensor_dispatch.h"
#include "ir/graph.h"
#include "runtime/diagnostic.h"

namespace tenon {

struct ReplayOptions {
    bool effects = false;  ///< asserts and commits happen too
    bool stamps = false;   ///< nodes keep their own places, metadata and marks; otherwise those of the present call
    bool symbols = false;  ///< the graph's symbols are those of the graph under capture; otherwise sizes are constants
    bool own_sizes = false;  ///< its symbols are the sizes that its inputs have in the graph under capture
};

/// The graph's results; `inputs` beside its parameters, of their types.
std::vector<TensorRef> replay(Dispatcher& dispatcher, const Graph& graph, std::span<const TensorRef> inputs,
                              const ReplayOptions& options = {});

/// The graph's nodes as nodes of the graph under capture, over these values of it.
std::vector<TensorRef> append(Dispatcher& dispatcher, const GraphRef& graph, std::span<const TensorRef> inputs);

/// The results of an entry's graph computed once more, one a differentiable result, each op of it an entry of its own.
std::vector<TensorRef> replay_outputs(Dispatcher& dispatcher, const TapeEntry& entry);

/// The cotangents of those of an entry's edges that are wanted, each with a history; null where no path leads.
/// `present`: empty, or which cotangents there are; the others are not read.
std::vector<TensorRef> replay_gradients(Dispatcher& dispatcher, const Ref<TapeEntry>& entry,
                                        std::span<const TensorRef> cotangents, const std::vector<bool>& present,
                                        const std::vector<bool>& wanted);

/// Runs what the graph's results and asserts need, and gives the first node that fails, with its error; none where
/// nothing does. Nothing is written.
NodeId first_failure(Dispatcher& dispatcher, const Graph& graph, std::span<const TensorRef> inputs, Error& error);

}  // namespace tenon
