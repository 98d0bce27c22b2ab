#include "ir/passes/batch.h"

#include "ir/differentiate/regions.h"
#include "ir/passes/passes.h"

namespace tenon {

GraphRef batch(const Graph& graph, const BatchRequest& request) {
    const GraphRef flat = inline_calls(graph);
    // What scans save of turns would be one for each example, also where it is one for all.
    const GraphRef settled = settle_turns(*flat);
    return verified(PassId::batch, batch_flat(settled ? *settled : *flat, request));
}

}  // namespace tenon
