// What a flush is about to run, worked out once for all its steps.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "frontend/record/capture.h"
#include "frontend/record/tape.h"

namespace tenon {

struct Capture::Plan {
    std::vector<NodeId> results;
    std::vector<size_t> differentiable;  // results through which cotangents may come
    std::vector<TensorObject*> owners;   // beside them: whose history they are
    struct Consumed {                    // a captured backward has used up its history
        TensorRef of;
        std::vector<Edge> edges;        // where gradients through it would go: before this graph,
        std::vector<TensorRef> values;  // or to others of its values
    };
    std::vector<Consumed> consumed;  // in the order of the graph
    struct Leaf {
        Ref<Autograd> leaf;
        size_t result;  // one of its values, which others here are computed from
    };
    std::vector<Leaf> leaves;  // that this graph has made
    std::vector<size_t> wrt;   // inputs that require a gradient, then leaves: see CompiledGraph
    bool empty = false;        // nothing to run
};

/// A captured graph with its sizes as they are now; nodes keep their names.
GraphRef without_symbols(const Graph& graph, std::span<const int64_t> values);

}  // namespace tenon
