#include "frontend/autograd/tape_hooks.h"

#include <fmt/format.h>

#include "frontend/compile/graph_cache.h"
#include "frontend/record/tensor_dispatch.h"
#include "frontend/record/tracer.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

Hooks& made(Ref<Hooks>& hooks) {
    if (!hooks) hooks = make_ref<Hooks>();
    return *hooks;
}

void check(const TensorObject& x, std::string_view what) {
    if (x.requires_grad()) return;
    throw_error("gradient",
                fmt::format("{} needs a tensor that requires a gradient, but this {} does not", what, describe_type(x)),
                "x.requires_grad_() makes it a leaf");
}

// The edge to a value that is no leaf, once its graph has run.
Edge edge_of(Tracer& tracer, TensorObject& x, std::string_view what) {
    if (tracer.capturing() && (x.is_symbolic() || (x.autograd && x.autograd->in_graph) || x.is_behind()))
        tracer.graph_break(what, tracer.dispatcher().span());
    tracer.dispatcher().settle_history(x);
    return Edge::of(x);
}

// All results of an entry that are this value: one of a captured graph may be several of its results.
template <class Visit> void each_result(const Edge& edge, Visit visit) {
    TapeEntry& entry = *edge.entry;
    visit(entry.outputs[edge.output]);
    if (!entry.graph || !entry.graph->joint()) return;
    const Joint& joint = *entry.graph->joint();
    const auto node = [&](size_t k) { return joint.graph->results()[joint.results[k]]; };
    for (uint32_t k = 0; k < entry.outputs.size(); ++k) {
        if (k != edge.output && node(k) == node(edge.output)) visit(entry.outputs[k]);
    }
}

}  // namespace

Edge node_of(Tracer& tracer, TensorObject& x) {
    check(x, "a node of the tape");
    if (x.is_leaf()) return {{}, 0, x.autograd};
    return tracer.tape().op_of(edge_of(tracer, x, "a node of the tape"));
}

Hooks& gradient_hooks(Tracer& tracer, TensorObject& x) {
    check(x, "a hook");
    if (x.is_leaf()) return made(x.autograd->make_hooks().gradient);
    const Edge edge = tracer.tape().resolved(edge_of(tracer, x, "a hook of a value"));
    Hooks& hooks = made(edge.entry->outputs[edge.output].hooks);
    each_result(edge, [&](TapeEntry::Output& output) { output.hooks = Ref<Hooks>(&hooks); });
    return hooks;
}

Hooks& accumulated_hooks(TensorObject& leaf) {
    check(leaf, "a hook after accumulation");
    if (!leaf.is_leaf()) {
        throw_error("gradient", "only a leaf's `.grad` is added to, but this tensor is computed from others",
                    "register_hook calls a function with the gradient of any tensor");
    }
    return made(leaf.autograd->make_hooks().accumulated);
}

Hooks& hooks_before(const Edge& node) {
    return made(node.leaf ? node.leaf->make_hooks().before : node.entry->hooks.before);
}
Hooks& hooks_after(const Edge& node) {
    return made(node.leaf ? node.leaf->make_hooks().after : node.entry->hooks.after);
}

void retain_gradient(Tracer& tracer, TensorObject& x) {
    check(x, "retain_grad");
    if (x.is_leaf()) return;  // it has one anyway
    const Edge edge = tracer.tape().resolved(edge_of(tracer, x, "retain_grad"));
    each_result(edge, [&](TapeEntry::Output& output) { output.retained = x.autograd; });
}

}  // namespace tenon
