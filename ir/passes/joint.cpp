// joint: forward and backward in one graph. Needs inlined calls (it inlines them itself); afterwards the results are
// the graph's own, then one cotangent per reached value of `wrt`.
#include "ir/build/copier.h"
#include "ir/differentiate/gradient.h"
#include "ir/differentiate/regions.h"
#include "ir/passes/passes.h"

namespace tenon {

Joint make_joint(const Graph& source, std::span<const size_t> results, std::span<const size_t> wrt, bool running) {
    return make_joint(source, results, wrt, std::vector<bool>(wrt.size(), running));
}

Joint make_joint(const Graph& source, std::span<const size_t> results, std::span<const size_t> wrt,
                 const std::vector<bool>& running, bool inside_region) {
    const GraphRef flat = inline_calls(source);
    Context& context = *flat->context;
    Builder builder(context);
    Copier copy(*flat, builder);
    copy.copy_params();
    copy.copy_body();

    Joint joint;
    joint.inputs = flat->params().size();
    joint.outputs = flat->results().size();
    joint.results.assign(results.begin(), results.end());
    joint.wrt.assign(wrt.begin(), wrt.end());

    std::vector<NodeId> outputs, differentiated, cotangents, inputs, sums;
    for (NodeId r : flat->results()) outputs.push_back(copy(r));
    for (size_t k : results) {
        differentiated.push_back(outputs[k]);
        cotangents.push_back(builder.parameter(builder.node(outputs[k]).type, context.name("grad")));
    }
    for (size_t k = 0; k < wrt.size(); ++k) {
        inputs.push_back(wrt[k] < joint.inputs ? builder.params()[wrt[k]] : outputs[wrt[k] - joint.inputs]);
        sums.push_back(running[k] ? builder.parameter(builder.node(inputs.back()).type, context.name("sum"))
                                  : NodeId());
    }
    const size_t forward = builder.size();
    const std::vector<NodeId> gradients =
        reverse(builder, {differentiated, cotangents, inputs, sums, nullptr, {}, inside_region});
    for (size_t k = 0; k < gradients.size(); ++k) {
        const bool reached = gradients[k] && gradients[k] != sums[k];
        joint.reached.push_back(reached);
        if (reached) outputs.push_back(gradients[k]);
    }
    std::vector<NodeId> kept, image;
    GraphRef graph = builder.finish(outputs, flat->name, false, &kept);
    NodeId derived;
    for (size_t id = forward; id < kept.size() && !derived; ++id)
        if (!builder.is_literal(NodeId(uint32_t(id)))) derived = kept[id];
    if (const GraphRef merged = derived ? merge_regions(*graph, derived, &image) : nullptr) {
        for (NodeId& id : kept)
            if (id) id = image[id.index];
        graph = merged;
    }
    joint.graph = verified(PassId::joint, graph);
    std::vector<bool> is_forward(joint.graph->nodes.size());
    for (size_t id = 0; id < forward && id < kept.size(); ++id)
        if (kept[id]) is_forward[kept[id].index] = true;
    for (size_t id = forward; id < kept.size() && !joint.backward; ++id)
        if (kept[id] && !is_forward[kept[id].index] && !builder.is_literal(NodeId(uint32_t(id))))
            joint.backward = kept[id];
    return joint;
}

}  // namespace tenon
