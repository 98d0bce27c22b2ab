// What a walk over the tape does at an entry: its backward run, or appended to the graph under capture; and the structure
// that captured walks are found by.
#include "frontend/replay/tape_walk.h"

namespace tenon {

// The structure of this walk: which entries it goes through, of what kinds, how they lead to one another, which of
// their results were asked for, and what hangs on them. No identities of tensors, no sizes, no values.
uint64_t Tape::Walk::key(std::span<const Edge> roots) const {
    std::vector<const State*> order;
    for (const auto& [entry, state] : states_) order.push_back(&state);
    std::sort(order.begin(), order.end(),
              [](const State* a, const State* b) { return a->entry->position > b->entry->position; });
    std::unordered_map<const void*, uint64_t> numbers;
    for (const State* state : order) numbers.emplace(state->entry.get(), numbers.size());
    uint64_t hash = 0x9E3779B97F4A7C15ull;
    const auto mix = [&hash](uint64_t value) {
        hash = (hash ^ value) * 0xBF58476D1CE4E5B9ull;
        hash ^= hash >> 29;
    };
    const auto mix_hooks = [&](const Ref<Hooks>& hooks) { mix(hooks ? hooks->size() : 0); };
    const auto mix_edge = [&](const Edge& edge) {
        if (!edge || !wanted(edge)) return mix(0);
        if (edge.entry) return mix(2 + 2 * (numbers.at(edge.entry.get()) << 16 | edge.output));
        const auto [number, is_first] = numbers.try_emplace(edge.leaf.get(), numbers.size());
        mix(1 + 2 * number->second);
        if (!is_first) return;
        mix(accumulates_ ? 1 + bool(edge.leaf->grad) : 0);
        if (const LeafHooks* hooks = edge.leaf->hooks.get()) {
            for (const Ref<Hooks>* each : {&hooks->gradient, &hooks->before, &hooks->accumulated, &hooks->after})
                mix_hooks(*each);
        }
    };
    for (const Edge& root : roots) mix_edge(root);
    for (const State* state : order) {
        const TapeEntry& entry = *state->entry;
        mix(kind_for_key(entry));
        for (uint32_t k = 0; k < entry.outputs.size(); ++k) {
            mix(state->needed[k] + 2 * is_asked({state->entry, k, {}}) + 4 * bool(entry.outputs[k].retained));
            mix_hooks(entry.outputs[k].hooks);
        }
        mix_hooks(entry.hooks.before);
        mix_hooks(entry.hooks.after);
        for (const Edge& edge : entry.edges) mix_edge(edge);
    }
    return hash;
}

// Hooks of a node see a cotangent an operand, none of those that need none.
void Tape::Walk::call_after(const TapeEntry& entry, std::vector<TensorRef>& produced,
                            std::span<const TensorRef> received) {
    std::vector<TensorRef> by_operand(operand_count(entry));
    for (size_t k = 0; k < produced.size(); ++k) by_operand[operand_of(entry, k)] = produced[k];
    call_hooks_after(tracer_, *entry.hooks.after, by_operand, received);
    for (size_t k = 0; k < produced.size(); ++k) produced[k] = by_operand[operand_of(entry, k)];
}
// Where a result has no cotangent something of its type stands for it, which nothing reads.
void Tape::Walk::fill_absent(const TapeEntry& entry, std::span<TensorRef> cotangents) {
    for (size_t k = 0; k < cotangents.size(); ++k) {
        if (cotangents[k]) continue;
        const auto& [dtype, shape, hooks, retained] = entry.outputs[k];
        cotangents[k] = options_.captured && !options_.by_ops()
                            ? tracer_.capture().backward().stand_in(dtype, shape)
                            : make_ref<TensorObject>(Tensor::zeros(tracer_.allocator(), dtype, shape));
    }
}
std::vector<TensorRef> Tape::Walk::run_half(const TapeEntry& entry, std::span<const TensorRef> cotangents,
                                            const std::vector<bool>& present, bool continues) {
    std::vector<Tensor> saved, incoming, running, found;
    for (const TapeEntry::Saved& s : entry.saved) saved.push_back(s.tensor);
    for (const TensorRef& cotangent : cotangents) incoming.push_back(d_.elements(*cotangent, "backward"));
    for (size_t k = 0; continues && k < entry.edges.size(); ++k) {
        const Tensor& input = entry.input_of(k).tensor;
        const TensorRef sum = is_first_use(entry, k) ? sum_of(entry.edges[k]) : TensorRef();
        running.push_back(sum ? sum->tensor : Tensor::full(tracer_.allocator(), input.dtype, input.shape, -0.0));
    }
    entry.graph->backward(saved, incoming, present, running, found);
    std::vector<TensorRef> gradients;
    for (Tensor& gradient : found)
        gradients.push_back(gradient.defined() ? make_ref<TensorObject>(std::move(gradient)) : TensorRef());
    return gradients;
}
// The same, its nodes appended to the graph under capture.
std::vector<TensorRef> Tape::Walk::append_half(const TapeEntry& entry, std::span<const TensorRef> cotangents,
                                               const std::vector<bool>& present, bool continues) {
    const StandsAt place(d_, entry);
    CaptureBackward& backward = tracer_.capture().backward();
    std::vector<TensorRef> arguments;
    const CompiledGraph::BackwardPart part = entry.graph->backward_part(continues, present);
    for (const CompiledGraph::BackwardPart::Saved& saved : part.saved) {
        if (saved.is_saved) {
            const TensorRef unpacked = unpacked_in_graph(entry, saved.index);
            arguments.push_back(unpacked ? unpacked : backward.saved(entry.saved[saved.index].tensor));
        } else {
            const Tensor& input = entry.inputs[saved.index].tensor;
            arguments.push_back(backward.stand_in(input.dtype, input.shape));
        }
    }
    arguments.insert(arguments.end(), cotangents.begin(), cotangents.end());
    for (size_t k = 0; continues && k < entry.edges.size(); ++k) {
        const Tensor& input = entry.input_of(k).tensor;
        const TensorRef sum = is_first_use(entry, k) ? sum_of(entry.edges[k]) : TensorRef();
        if (sum) {
            arguments.push_back(sum);
            continue;
        }
        const TensorRef like = backward.stand_in(input.dtype, input.shape);
        arguments.push_back(d_.apply(op<"full">(), {Arg::literal(-0.0, input.dtype)}, d_.sizes_attr(d_.sizes(*like))));
    }
    if (!entry.graph->graph()->symbols.empty()) tracer_.capture().set_dynamic(true);  // as they were before
    const std::vector<TensorRef> found = append(d_, part.graph, arguments);
    std::vector<TensorRef> gradients(entry.edges.size());
    for (size_t k = 0, next = 0; k < gradients.size(); ++k) {
        if (part.reached[k]) gradients[k] = found[next++];
    }
    return gradients;
}

}  // namespace tenon
