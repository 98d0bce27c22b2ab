// Capture: graphs that are handed out instead of being run.
#include <cassert>

#include <fmt/format.h>

#include "frontend/record/capture.h"
#include "runtime/diagnostic.h"

namespace tenon {

void Capture::begin_trace(std::span<const TraceInput> inputs, bool outer_tensors_are_constants) {
    assert(is_empty());
    tracing_ = true;
    constants_ = outer_tensors_are_constants;
    site_ = {};
    for (const TraceInput& given : inputs) {
        TensorObject& x = *given.tensor;
        if (x.capture_serial_ == serial_) continue;  // given twice: one input
        tracer_.dispatcher().settle_history(x);
        const uint32_t input = add_input(x.tensor, Edge::of(x), given.name);
        inputs_[input].base = x.base ? x.base : TensorRef(&x);
        inputs_[input].storage = static_cast<uint32_t>(storages_.size());
        inputs_[input].value = static_cast<uint32_t>(values_.size());
        const Edge& edge = inputs_[input].edge;
        storages_.push_back(
            {.current = inputs_[input].node, .input = input, .has_history = bool(edge.entry), .leaf = edge.leaf});
        values_.push_back({.storage = inputs_[input].storage});
        if (x.tensor.storage && !memory_.find(x.tensor.storage.get())) memory_.add(x.tensor.storage.get(), input);
        adopt(x, inputs_[input].value);
    }
}

void Capture::admit_results(std::span<const TensorRef> results) {
    std::vector<TensorObject*> all;
    for (const TensorRef& result : results) all.push_back(result.get());
    admit(all);
}

GraphRef Capture::end_trace(std::span<const TensorRef> results, std::string_view name, bool outline,
                            std::vector<size_t>* requires_grad) {
    assert(tracing_);
    admit_results(results);
    const Holding holding(*this);
    std::vector<NodeId> nodes;
    for (const TensorRef& result : results) nodes.push_back(node(*result));
    commit_dirty();
    if (requires_grad) {
        for (size_t k = 0; k < inputs_.size(); ++k) {
            if (inputs_[k].edge) requires_grad->push_back(k);
        }
    }
    GraphRef graph = builder_.finish(nodes, tracer_.context().name(name), outline);
    abandon();
    return graph;
}

// What a look has changed is as it was before, and so is what an interrupt has left half done.
void Capture::abandon() {
    journal_.undo_all();
    clear();
    open_calls_.clear();
    checkpoint_depth_ = 0;
    tracing_ = constants_ = example_ = false;
    outside_ = nullptr;
    examples_ = 1;
}

void Capture::refuse_break(std::string_view reason, Span at) const {
    Diagnostic diagnostic;
    diagnostic.kind = "graph";
    diagnostic.message = fmt::format("the {} function cannot be one graph: {}", example_ ? "mapped" : "traced", reason);
    diagnostic.span = at;
    diagnostic.help = example_
                          ? "vmap runs it once for all examples: choose with where(c, a, b), or move this out of it"
                          : "trace refuses breaks; move this out of the function, or call the function without trace";
    throw Error(std::move(diagnostic));
}

}  // namespace tenon
