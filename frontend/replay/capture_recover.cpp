// Capture: a run that failed. What precedes the failing node has happened, what follows it has not, as if the ops had
// run one by one: no input is written before a graph is through, so the graph up to that node runs in its place.
#include <algorithm>
#include <cassert>

#include "frontend/record/capture_differentiation.h"
#include "frontend/record/capture_overwritten.h"
#include "frontend/replay/graph_replay.h"
#include "jit/machine.h"
#include "runtime/diagnostic.h"

namespace tenon {

void Capture::fail_run(Error error) {
    // Where nothing fails op by op (the memory did not suffice) nothing has happened.
    const uint32_t failing = find_failure(error).value_or(0);
    journal_.undo_after(failing);
    truncate(failing);
    try {
        run(plan_flush(), "an error", error.diagnostic.span, true);
    } catch (Error&) {  // what cannot be computed stays without elements, and says so when it is used
    }
    throw error;
}

// The first op of the script that fails, in the script's order, with its error: kernels run in another.
std::optional<uint32_t> Capture::find_failure(Error& error) {
    std::vector<NodeId> kept;
    const GraphRef graph = builder_.finish(fallible_, {}, false, &kept);
    std::vector<TensorRef> inputs;
    for (const Input& input : inputs_) inputs.push_back(make_ref<TensorObject>(input.tensor));
    const Tracer::Pause pause(tracer_);
    int64_t& eager = tracer_.machine().counters().eager;
    const int64_t counted = eager;
    const NodeId failing = first_failure(tracer_.dispatcher(), *graph, inputs, error);
    eager = counted;
    if (!failing) return std::nullopt;
    const std::span<const NodeId> body = builder_.body();
    for (uint32_t at = 0; at < body.size(); ++at) {
        if (kept[body[at].index] == failing) return at;
    }
    return std::nullopt;
}

// Ids of what is computed ascend as before, so that the range stays one; parameters have the first ids now.
void Capture::Operation::renumber(const Builder& builder, std::span<const NodeId> image) {
    Operation moved;
    for (uint32_t id = first; id < std::min<size_t>(end, image.size()); ++id) {
        if (!image[id] || builder.node(image[id]).op == op<"param">()) continue;
        if (!moved.end) moved.first = image[id].index;
        moved.end = image[id].index + 1;
    }
    *this = moved;
}

// Forgets the failing node and all that was captured after it. Inputs stay, though nothing may use them now.
void Capture::truncate(uint32_t failing) {
    overwritten_->take_back(failing);
    differentiation_->take_back(failing);
    for (TensorObject *x = ring_.next_, *next = nullptr; x != &ring_; x = next) {
        next = x->next_;
        if (values_[x->capture_value_].made > failing) x->unlink();
    }
    std::erase_if(rewritten_, [](const TensorRef& x) { return !x->autograd || !x->autograd->in_graph; });

    const std::vector<NodeId> image = builder_.truncate(failing);
    auto move = [&](NodeId& id) { id = id ? image[id.index] : id; };
    for (Input& input : inputs_) move(input.node);
    differentiation_->renumber(image);
    overwritten_->renumber(image);
    for (NodeId& id : fallible_) move(id);
    std::erase_if(fallible_, [](NodeId id) { return !id; });
    for (ViewValue& view : values_) {
        move(view.chain);
        if (!view.chain) view.chain_version = none;
    }
    for (StorageValue& storage : storages_) {
        move(storage.current);
        move(storage.leaf_node);
        move(storage.as_leaf);
        if (!storage.as_leaf) storage.as_leaf_version = none;
        storage.written_by.renumber(builder_, image);
        storage.output = none;
        storage.dirty = storage.input != none && storage.current != inputs_[storage.input].node;
    }
}

// A graph that no call will come back to.
std::shared_ptr<CompiledGraph> Capture::compile_once(const Plan& plan) {
    name_inputs();
    const GraphRef skeleton = builder_.finish(plan.results, tracer_.context().name(site_.name), true);
    CompileSettings settings = tracer_.compile_settings();
    settings.memory = {};  // of a part of what was to keep within it
    auto compiled = std::make_shared<CompiledGraph>(tracer_.graph_cache(), settings,
                                                    without_symbols(*skeleton, builder_.known_sizes().hints()),
                                                    plan.differentiable, plan.wrt, CompiledGraph::Purpose::capture);
    overwritten_->note_named(*compiled, plan);
    return compiled;
}

}  // namespace tenon
