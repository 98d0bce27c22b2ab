#include "frontend/record/tape.h"

#include <algorithm>
#include <cassert>

#include "frontend/compile/graph_cache.h"
#include "frontend/record/tracer.h"
#include "frontend/replay/graph_replay.h"
#include "frontend/replay/packing.h"
#include "frontend/replay/tape_walk.h"

namespace tenon {

void Tape::record(const std::shared_ptr<CompiledGraph>& graph, std::vector<TapeEntry::Input> inputs,
                  std::span<const Tensor> outputs, std::span<TensorObject* const> results, Span span, MetaId meta) {
    assert(results.size() == graph->differentiable().size());
    assert(inputs.size() == graph->graph()->params().size() + graph->wrt().size() - graph->first_leaf());
    auto entry = make_ref<TapeEntry>();
    entry->position = take_position();
    entry->graph = graph;
    for (const Split::Saved& s : graph->saved()) {
        if (s.is_input) entry->saved.push_back({inputs[s.index].tensor, inputs[s.index].version});
        else entry->saved.push_back({outputs[s.index], outputs[s.index].storage->version});
    }
    entry->inputs = std::move(inputs);
    for (TapeEntry::Input& input : entry->inputs) input.after = input.tensor.storage->version;
    for (size_t k = 0; k < graph->wrt().size(); ++k) entry->edges.push_back(entry->input_of(k).edge);
    if (graph->is_op()) {
        // An op's formula names what is saved and no more, at any order: the other operands need not live on.
        SmallVector<uint8_t, 8> kept(entry->inputs.size(), 0);
        for (const Split::Saved& s : graph->saved()) {
            if (s.is_input) kept[s.index] = 1;
        }
        for (size_t k = 0; k < entry->inputs.size(); ++k) {
            if (!kept[k]) entry->inputs[k].tensor.storage = nullptr;
        }
    }
    entry->span = span;
    entry->meta = meta;
    for (size_t k = 0; k < results.size(); ++k) {
        TensorObject& result = *results[k];
        entry->outputs.push_back({result.dtype(), result.shape()});
        Autograd& autograd = result.make_autograd();
        autograd.requires_grad = true;
        autograd.entry = entry;
        autograd.output = static_cast<uint32_t>(k);
        autograd.in_graph = false;
        autograd.number = number_history();
    }
    if (!tracer_.backward.saved_hooks) return;
    if (graph->is_op()) pack_saved(tracer_, *entry);
    else to_pack_.push_back(std::move(entry));
}

void Tape::pack_pending() {
    for (const Ref<TapeEntry>& entry : std::exchange(to_pack_, {})) pack_saved(tracer_, *entry);
}

Ref<TapeEntry> Tape::record_custom(Ref<CustomCall> call, std::vector<Edge> edges,
                                   std::span<TensorObject* const> results, Span span, MetaId meta) {
    auto entry = make_ref<TapeEntry>();
    entry->position = take_position();
    entry->custom = std::move(call);
    entry->edges = std::move(edges);
    entry->span = span;
    entry->meta = meta;
    for (uint32_t k = 0; k < results.size(); ++k) {
        entry->outputs.push_back({});
        if (!results[k]) continue;
        entry->outputs.back() = {results[k]->dtype(), results[k]->shape()};
        results[k]->autograd = nullptr;  // of what was changed in place there was another
        Autograd& autograd = results[k]->make_autograd();
        autograd.requires_grad = true;
        autograd.entry = entry;
        autograd.output = k;
        autograd.number = number_history();
    }
    return entry;
}

void Tape::keep(const Edge& last, uint64_t since, const Storage& memory) {
    std::vector<TapeEntry*> found;
    const auto visit = [&](const Edge& edge) {
        TapeEntry* entry = edge.entry.get();
        if (entry && entry->position >= since && std::find(found.begin(), found.end(), entry) == found.end())
            found.push_back(entry);
    };
    visit(last);
    for (size_t k = 0; k < found.size(); ++k) {
        TapeEntry& entry = *found[k];
        std::vector<std::pair<Tensor, Tensor>> copies;  // one of what several refer to
        const auto keep_copy = [&](Tensor& tensor, uint32_t& version) {
            if (tensor.storage.get() != &memory || version != memory.version) return;
            const auto same = [&](const auto& copy) {
                return copy.first.offset == tensor.offset && copy.first.shape == tensor.shape &&
                       copy.first.strides == tensor.strides && copy.first.dtype == tensor.dtype;
            };
            auto copy = std::find_if(copies.begin(), copies.end(), same);
            if (copy == copies.end()) copy = copies.insert(copy, {tensor, tensor.clone()});
            tensor = copy->second;
            version = tensor.storage->version;
        };
        for (TapeEntry::Saved& saved : entry.saved) keep_copy(saved.tensor, saved.version);
        for (TapeEntry::Saved& shown : entry.shown_memory) keep_copy(shown.tensor, shown.version);
        for (TapeEntry::Input& input : entry.inputs) {
            if (input.tensor.storage) keep_copy(input.tensor, input.version);
        }
        for (const Edge& edge : entry.edges) visit(edge);
    }
}

const TapeEntry::Input& TapeEntry::input_of(size_t edge) const {
    if (edge < graph->first_leaf()) return inputs[graph->wrt()[edge]];
    return inputs[inputs.size() - graph->wrt().size() + edge];
}

Ref<TapeEntry> Tape::used_up(std::vector<Edge> edges, Span span) {
    auto entry = make_ref<TapeEntry>();
    entry->position = take_position();
    entry->span = span;
    entry->edges = std::move(edges);
    entry->freed = true;
    entry->outputs.resize(1);
    return entry;
}

Edge Tape::resolved(Edge edge) {
    while (edge.entry && !edge.entry->unfolded.empty()) edge = Edge(edge.entry->unfolded[edge.output]);
    return edge;
}

Edge Tape::op_of(Edge edge) {
    edge = resolved(std::move(edge));
    while (edge.entry && Walk::is_folded(*edge.entry) && !edge.entry->freed) {
        unfold(*edge.entry);
        edge = resolved(std::move(edge));
    }
    return edge;
}

// ---- unfolding ----------------------------------------------------------------------------------------------------
void Tape::unfold(TapeEntry& entry) {
    Dispatcher& dispatcher = tracer_.dispatcher();
    const Tracer::Pause pause(tracer_);  // what it computes is there already: no graph under capture needs it
    unpack_saved(tracer_, entry, true);
    struct Place {                       // the ops' entries stand where the graph's entry stood
        Tape& tape;
        Dispatcher& dispatcher;
        const uint64_t next;
        const Span span;
        ~Place() {
            tape.next_position_ = next;
            tape.step_ = apart;
            dispatcher.set_span(span);
        }
    } place{*this, dispatcher, next_position_, dispatcher.span()};
    next_position_ = entry.position - apart + 1;
    step_ = 1;
    dispatcher.set_span(entry.span);
    const Dispatcher::GradMode mode(dispatcher, true);
    std::vector<Edge> edges;
    for (const TensorRef& output : replay_outputs(dispatcher, entry)) edges.push_back(Edge::of(*output));
    for (size_t k = 0; k < edges.size(); ++k) {
        if (!edges[k].entry) continue;
        TapeEntry::Output& output = edges[k].entry->outputs[edges[k].output];
        if (entry.outputs[k].hooks) output.hooks = entry.outputs[k].hooks;
        if (entry.outputs[k].retained) output.retained = entry.outputs[k].retained;
    }
    entry.unfolded = std::move(edges);
    entry.clear();
    entry.inputs.clear();
    entry.edges.clear();
}

void Tape::backward(std::span<const Root> roots, const BackwardOptions& options, std::span<const TensorRef> only) {
    Dispatcher& dispatcher = tracer_.dispatcher();
    const Dispatcher::GradMode mode(dispatcher, options.create_graph);
    Walk walk(tracer_, options, Walk::Leaves::accumulate);
    for (const TensorRef& tensor : only) {
        dispatcher.settle_history(*tensor);
        walk.ask(Edge::of(*tensor));
    }
    walk.run(roots);
}

std::vector<TensorRef> Tape::gradients(std::span<const Root> roots, std::span<const TensorRef> wrt,
                                       const BackwardOptions& options) {
    const Dispatcher::GradMode mode(tracer_.dispatcher(), options.create_graph);
    Walk walk(tracer_, options, Walk::Leaves::give);
    std::vector<Edge> edges;
    for (const TensorRef& tensor : wrt) {
        tracer_.dispatcher().settle_history(*tensor);
        edges.push_back(Edge::of(*tensor));
        if (edges.back()) edges.back() = walk.ask(edges.back());
    }
    walk.run(roots);
    std::vector<TensorRef> found(wrt.size());
    for (size_t k = 0; k < wrt.size(); ++k) {
        if (edges[k]) found[k] = walk.result(edges[k]);
    }
    return found;
}

void accumulate_gradient(Dispatcher& dispatcher, Autograd& leaf, TensorRef gradient, bool keep_history) {
    if (!leaf.grad) {
        // A cotangent that others may hold too becomes a copy: `.grad` is written in place later.
        if (gradient->use_count() > 1) {
            if (keep_history) gradient = dispatcher.apply(op<"identity">(), {gradient});
            else if (gradient->is_symbolic()) gradient = dispatcher.apply(op<"detach">(), {gradient});
            else gradient = make_ref<TensorObject>(gradient->tensor.clone());
        }
        dispatcher.tracer().set_gradient(leaf, std::move(gradient));
        return;
    }
    if (keep_history) {
        dispatcher.tracer().set_gradient(leaf, dispatcher.apply(op<"add">(), {gradient, leaf.grad}));
        return;
    }
    const Dispatcher::GradMode mode(dispatcher, false);
    const TensorRef sum = dispatcher.apply(op<"add">(), {gradient, leaf.grad});
    dispatcher.write(*leaf.grad, *sum);
}

}  // namespace tenon
