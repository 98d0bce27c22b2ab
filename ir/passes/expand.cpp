// expand: composite rows become what stands for them (Row::expansion). Their gradients are formulas of their own, so it
// comes after all differentiation; what they are made of is known to whatever chooses what is kept, and to fusion.
#include <algorithm>

#include "ir/build/copier.h"
#include "ir/passes/passes.h"
#include "ir/row.h"

namespace tenon {

GraphRef expand(const GraphRef& graph) {
    const Graph& g = *graph;
    const auto is_composite = [&](NodeId id) { return row(g[id].op).lowering == Lowering::composite; };
    if (std::none_of(g.body().begin(), g.body().end(), is_composite)) return graph;
    Builder builder(*g.context);
    Copier copy(g, builder);
    copy.copy_params();
    for (NodeId id : g.body()) {
        if (!is_composite(id)) {
            copy.copy(id);
            continue;
        }
        Builder::StampScope scope(builder, copy.stamp_of(id));
        std::vector<NodeId> operands;
        for (NodeId o : g.operands_of(id)) operands.push_back(copy(o));
        const NodeId made = row(g[id].op).expansion(builder, operands, g.attributes(id));
        builder.set_name(made, g.names[id.index]);
        copy.map(id, made);
    }
    return verified(PassId::expand, copy.finish());
}

}  // namespace tenon
