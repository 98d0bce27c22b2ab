#include "frontend/record/capture_trace.h"

#include <cassert>

#include <fmt/format.h>

#include "runtime/diagnostic.h"

namespace tenon {

void Capture::Trace::begin(std::span<const Input> inputs, bool outer_tensors_are_constants) {
    assert(capture_.is_empty());
    capture_.tracing_ = true;
    constants_ = outer_tensors_are_constants;
    capture_.site_ = {};
    for (const Input& given : inputs) {
        TensorObject& x = *given.tensor;
        if (capture_.is_admitted(x)) continue;  // given twice: one input
        tracer_.dispatcher().settle_history(x);
        const uint32_t input = capture_.add_input(x.tensor, Edge::of(x), given.name);
        capture_.inputs_[input].base = x.base ? x.base : TensorRef(&x);
        capture_.inputs_[input].storage = static_cast<uint32_t>(capture_.storages_.size());
        capture_.inputs_[input].value = static_cast<uint32_t>(capture_.values_.size());
        const Edge& edge = capture_.inputs_[input].edge;
        capture_.storages_.push_back({.current = capture_.inputs_[input].node,
                                      .input = input,
                                      .has_history = bool(edge.entry),
                                      .leaf = edge.leaf});
        capture_.values_.push_back({.storage = capture_.inputs_[input].storage});
        if (x.tensor.storage && !capture_.memory_.find(x.tensor.storage.get()))
            capture_.memory_.add(x.tensor.storage.get(), input);
        capture_.adopt(x, capture_.inputs_[input].value);
    }
}

void Capture::Trace::admit_all(std::span<const TensorRef> results) {
    std::vector<TensorObject*> all;
    for (const TensorRef& result : results) all.push_back(result.get());
    capture_.admit(all);
}

GraphRef Capture::Trace::end(std::span<const TensorRef> results, std::string_view name, bool outline,
                             std::vector<size_t>* requires_grad) {
    assert(capture_.tracing_);
    admit_all(results);
    const Holding holding(capture_);
    std::vector<NodeId> nodes;
    for (const TensorRef& result : results) nodes.push_back(capture_.node(*result));
    capture_.commit_dirty();
    if (requires_grad) {
        for (size_t k = 0; k < capture_.inputs_.size(); ++k) {
            if (capture_.inputs_[k].edge) requires_grad->push_back(k);
        }
    }
    GraphRef graph = builder_.finish(nodes, tracer_.context().name(name), outline);
    capture_.abandon();
    return graph;
}

void Capture::Trace::abandon() {
    constants_ = example_ = false;
    outside_ = nullptr;
    examples_ = 1;
}

void Capture::Trace::refuse_break(std::string_view reason, Span at) const {
    Diagnostic diagnostic;
    diagnostic.kind = "graph";
    diagnostic.span = at;
    if (region_) {
        diagnostic.message = reason;
        throw Error(std::move(diagnostic));
    }
    diagnostic.message = fmt::format("the {} function cannot be one graph: {}", example_ ? "mapped" : "traced", reason);
    diagnostic.help = example_
                          ? "vmap runs it once for all examples: choose with where(c, a, b), or move this out of it"
                          : "trace refuses breaks; move this out of the function, or call the function without trace";
    throw Error(std::move(diagnostic));
}

}  // namespace tenon
