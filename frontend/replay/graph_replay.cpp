#include "frontend/replay/graph_replay.h"

#include "frontend/replay/replay.h"

#include <algorithm>
#include <cassert>
#include <unordered_map>
#include <unordered_set>

#include "frontend/compile/graph_cache.h"
#include "frontend/record/capture.h"
#include "frontend/record/capture_backward.h"
#include "frontend/record/saved_values.h"
#include "frontend/record/tracer.h"
#include "ir/build/substitution.h"
#include "ir/passes/drop_cotangents.h"
#include "ir/row.h"
#include "jit/literal.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

std::vector<TensorRef> inputs_of(Tracer& tracer, const TapeEntry& entry) {
    CaptureBackward* const backward =
        tracer.capturing() && tracer.capture().backward().is_under_way() ? &tracer.capture().backward() : nullptr;
    std::vector<TensorRef> inputs;
    for (const TapeEntry::Input& input : std::span(entry.inputs).first(entry.graph->joint()->inputs)) {
        if (backward && input.value().storage) {
            inputs.push_back(backward->saved(input.value(), input.edge));
            continue;
        }
        auto tensor = make_ref<TensorObject>(input.value());
        if (input.edge.leaf) {
            tensor->autograd = input.edge.leaf;
        } else if (input.edge.entry) {
            Autograd& autograd = tensor->make_autograd();
            autograd.requires_grad = true;
            autograd.entry = input.edge.entry;
            autograd.output = input.edge.output;
        }
        inputs.push_back(std::move(tensor));
    }
    return inputs;
}

bool is_changed(const TapeEntry::Input& input) {
    return input.tensor.storage && input.tensor.storage->version != input.version;
}

void check_inputs(const Dispatcher& dispatcher, const TapeEntry& entry, const Graph& graph, const Replay& replay) {
    for (size_t k = 0; k < entry.graph->joint()->inputs; ++k) {
        const TapeEntry::Input& input = entry.inputs[k];
        if (replay.needs(graph.params()[k]) && is_changed(input))
            throw_overwritten(describe_type(input.tensor), entry.span, dispatcher.last_write(*input.tensor.storage));
    }
}

}  // namespace

std::vector<TensorRef> replay(Dispatcher& dispatcher, const Graph& source, std::span<const TensorRef> inputs,
                              const ReplayOptions& options) {
    const GraphRef graph = inline_calls(source);
    Replay replay(dispatcher, *graph, inputs, options);
    for (NodeId id : graph->results()) replay.want(id);
    replay.plan();
    replay.run();
    std::vector<TensorRef> results;
    for (NodeId id : graph->results()) results.push_back(replay.value(id));
    return results;
}

std::vector<TensorRef> append(Dispatcher& dispatcher, const GraphRef& graph, std::span<const TensorRef> inputs) {
    std::vector<TensorObject*> all;
    for (const TensorRef& input : inputs) all.push_back(input.get());
    dispatcher.tracer().capture().admit(all);
    return replay(dispatcher, *graph, inputs, {.own_sizes = true});
}

NodeId first_failure(Dispatcher& dispatcher, const Graph& graph, std::span<const TensorRef> inputs, Error& error) {
    const Dispatcher::GradMode mode(dispatcher, false);
    const Span span = dispatcher.span();
    const NodeId failing = Replay(dispatcher, graph, inputs).run_until_failure(error);
    dispatcher.set_span(span);
    return failing;
}

namespace {

// What the graph has saved for its backward half or left in its inputs, and nobody has written since.
void know_what_is_left(Replay& replay, const TapeEntry& entry) {
    const Graph &graph = *entry.graph->joint()->graph, &backward = *entry.graph->lean()->backward;
    std::unordered_map<uint32_t, NodeId> named;  // names are those of the joint in its halves
    for (NodeId id : graph.body()) named.emplace(graph.names[id.index].index, id);
    const std::span<const Split::Saved> saved = entry.graph->saved();
    for (size_t k = 0; k < saved.size(); ++k) {
        const Tensor& tensor = entry.saved[k].tensor;
        if (saved[k].is_input || tensor.storage->version != entry.saved[k].version) continue;
        const auto found = named.find(backward.names[backward.params()[k].index].index);
        if (found != named.end()) replay.know(found->second, tensor);
    }
    // And what it has left in its inputs.
    for (NodeId id : graph.body()) {
        if (row(graph[id].op).effect != Effect::commits) continue;
        const auto param = std::find(graph.params().begin(), graph.params().end(), graph.operand(id, 0));
        const TapeEntry::Input& input = entry.inputs[static_cast<size_t>(param - graph.params().begin())];
        if (input.tensor.storage->version == input.after) replay.know(graph.operand(id, 1), input.tensor);
    }
}

}  // namespace

std::vector<TensorRef> replay_outputs(Dispatcher& dispatcher, const TapeEntry& entry) {
    const Joint& joint = *entry.graph->joint();
    const Graph& graph = *joint.graph;
    std::vector<TensorRef> inputs = inputs_of(dispatcher.tracer(), entry);
    inputs.resize(graph.params().size());  // no cotangents: nothing here depends on them
    Replay replay(dispatcher, graph, inputs);
    for (size_t k = entry.graph->first_leaf(); k < joint.wrt.size(); ++k)
        replay.make_leaf(joint.wrt_node(k), entry.input_of(k).edge.leaf);
    for (size_t result : joint.results) {
        replay.want(graph.results()[result]);
        replay.make_leaf(graph.results()[result], {});
    }
    replay.plan();
    for (size_t k = 0; k < joint.inputs; ++k) {
        // Where it is known what it was, which ops miss it is known beside (`lost`, `shown`).
        const TapeEntry::Input& input = entry.inputs[k];
        if (is_changed(input) && !input.before.defined())
            replay.mark_gone(graph.params()[k], dispatcher.last_write(*input.tensor.storage));
    }
    for (const TapeEntry::Lost& lost : entry.lost) replay.mark_gone(lost.value, lost.op, lost.write);
    for (size_t k = 0; k < entry.shown_memory.size(); ++k) {
        const TapeEntry::Saved& memory = entry.shown_memory[k];
        const TapeEntry::Lost& lost = (*entry.shown)[k].as_lost;
        if (memory.tensor.storage->version != memory.version)
            replay.mark_gone(lost.value, lost.op, dispatcher.last_write(*memory.tensor.storage));
        else replay.mark_shown((*entry.shown)[k], memory);
    }
    for (uint32_t id = 0; id < entry.used_up.size(); ++id) {
        if (entry.used_up[id]) replay.mark_used_up(NodeId(id));
    }
    know_what_is_left(replay, entry);
    replay.run();
    std::vector<TensorRef> outputs;
    for (size_t result : joint.results) outputs.push_back(replay.value(graph.results()[result]));
    return outputs;
}

std::vector<TensorRef> replay_gradients(Dispatcher& dispatcher, const Ref<TapeEntry>& entry,
                                        std::span<const TensorRef> cotangents, const std::vector<bool>& present,
                                        const std::vector<bool>& wanted) {
    const Joint& joint = *entry->graph->joint();
    std::vector<size_t> absent;
    for (size_t k = 0; k < present.size(); ++k) {
        if (!present[k]) absent.push_back(joint.inputs + k);
    }
    std::vector<bool> left(joint.graph->results().size(), true);
    const GraphRef rest =
        absent.empty() ? joint.graph : drop_cotangents(*joint.graph, absent, joint.graph->params().size(), left);
    const Graph& graph = *rest;
    std::vector<TensorRef> arguments = inputs_of(dispatcher.tracer(), *entry);
    arguments.insert(arguments.end(), cotangents.begin(), cotangents.end());
    Replay replay(dispatcher, graph, arguments);
    // The entry's own results stand for themselves: what goes through a gradient formula into one is one cotangent with
    // what goes into it from elsewhere.
    const std::span<const Split::Saved> saved = entry->graph->saved();
    for (size_t k = 0; k < saved.size(); ++k) {
        if (saved[k].is_input || saved[k].index >= joint.outputs) continue;
        const auto found = std::find(joint.results.begin(), joint.results.end(), saved[k].index);
        auto result = make_ref<TensorObject>(entry->saved[k].tensor);
        if (found != joint.results.end()) {  // else it is no float
            Autograd& autograd = result->make_autograd();
            autograd.requires_grad = true;
            autograd.entry = entry;
            autograd.output = static_cast<uint32_t>(found - joint.results.begin());
        }
        replay.give(graph.results()[saved[k].index], std::move(result));
    }
    std::vector<NodeId> results(joint.wrt.size());  // null: no path leads there, or nobody wants it
    for (size_t k = 0, next = joint.outputs, at = joint.outputs; k < joint.wrt.size(); ++k) {
        if (!joint.reached[k] || !left[next++]) continue;
        const NodeId result = graph.results()[at++];
        if (!wanted[k]) continue;
        results[k] = result;
        replay.want(result);
    }
    replay.plan();
    check_inputs(dispatcher, *entry, graph, replay);
    replay.run();
    std::vector<TensorRef> gradients(joint.wrt.size());
    for (size_t k = 0; k < results.size(); ++k) {
        if (results[k]) gradients[k] = replay.value(results[k]);
    }
    return gradients;
}

}  // namespace tenon
