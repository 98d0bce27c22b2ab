#include "ir/passes/batch.h"

#include "ir/passes/passes.h"

namespace tenon {

GraphRef batch(const Graph& graph, const BatchRequest& request) {
    return verified(PassId::batch, batch_flat(*inline_calls(graph), request));
}

}  // namespace tenon
