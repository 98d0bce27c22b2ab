#include "frontend/autograd/differentiation.h"

#include <fmt/format.h>

#include "frontend/ops/tensor_ops.h"
#include "frontend/record/capture_aside.h"
#include "frontend/record/capture_differentiation.h"
#include "frontend/record/capture_trace.h"
#include "frontend/record/hook_calls.h"
#include "frontend/record/tracer.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

void check(const TensorRef& loss, const TensorRef& cotangent) {
    if (!loss->requires_grad()) {
        throw_error("gradient",
                    fmt::format("this {} does not depend on anything that requires a gradient", describe_type(*loss)),
                    "make a leaf with `requires_grad: true` or a `param`, and compute outside of `no_grad`");
    }
    if (!cotangent && loss->tensor.numel() != 1) {
        throw_error("gradient", fmt::format("a gradient is of one number, but this is {}", describe_type(*loss)),
                    "reduce it with sum() or mean(), or give `grad:`, the cotangent of each element");
    }
    if (cotangent && (cotangent->shape() != loss->shape() || cotangent->dtype() != loss->dtype())) {
        throw_error("gradient", fmt::format("the cotangent must be of the value's type {}, but it is {}",
                                            describe_type(*loss), describe_type(*cotangent)));
    }
}

// Where the history of `loss` lies in the graph under capture, else null: then the graph has ended. Of that graph are
// then the cotangent and what is differentiated with respect to, too.
Capture* capture_of(Tracer& tracer, const TensorRef& loss, const TensorRef& cotangent, std::span<const TensorRef> wrt) {
    if (!tracer.capturing()) return nullptr;
    if (tracer.backward.detects_anomaly && !tracer.capture().tracing()) {  // op by op
        tracer.flush();
        return nullptr;
    }
    std::vector<TensorObject*> all{loss.get()};
    if (cotangent) all.push_back(cotangent.get());
    for (const TensorRef& x : wrt) all.push_back(x.get());
    tracer.capture().admit(all);
    const Capture::Differentiation::Cotangent root{*loss, cotangent.get()};
    if (tracer.capture().differentiation().holds_history({&root, 1}, wrt)) return &tracer.capture();
    tracer.flush();
    return nullptr;
}

// Whether the backward that comes is one of its own, captured and compiled.
bool is_compiled(Tracer& tracer) {
    const bool is_asked_for =
        tracer.backward.mode == CompiledBackward::automatic || tracer.backward.mode == CompiledBackward::dynamic;
    if (!is_asked_for || tracer.backward.detects_anomaly || tracer.options().engine == Engine::eager) return false;
    return !(tracer.capturing() && tracer.capture().tracing());
}

BackwardOptions captured(BackwardOptions options) {
    options.captured = true;
    return options;
}

// What the tape begins with.
Tape::Root root_of(Tracer& tracer, const TensorRef& loss, const TensorRef& cotangent) {
    Dispatcher& d = tracer.dispatcher();
    TensorRef start = cotangent;
    d.settle_history(*loss);
    if (!start && tracer.capturing())
        start = ops::full(d, ops::Term::literal(1.0), loss->dtype(), Sizes(loss->rank(), Size(1)));
    if (!start) start = make_ref<TensorObject>(Tensor::full(tracer.allocator(), loss->dtype(), loss->shape(), 1.0));
    return {Edge::of(*loss), start, d.span()};
}

}  // namespace

void backward(Tracer& tracer, const TensorRef& loss, const TensorRef& cotangent, const BackwardOptions& options,
              std::span<const TensorRef> only) {
    if (tracer.capturing() && tracer.capture().trace().in_example()) {
        throw_error("vmap", "backward adds into `.grad`, which has no place for a gradient of each example",
                    "vmap(grad(f)) returns them");
    }
    check(loss, cotangent);
    BackwardEnd end(tracer);
    if (is_compiled(tracer)) {
        captured_backward(tracer, [&] {
            const Tape::Root root = root_of(tracer, loss, cotangent);
            tracer.tape().backward({&root, 1}, captured(options), only);
            end.finish();
        });
        return;
    }
    if (Capture* capture = capture_of(tracer, loss, cotangent, {})) {
        const Capture::Differentiation::Cotangent root{*loss, cotangent.get()};
        const Dispatcher::GradMode mode(tracer.dispatcher(), options.create_graph);
        capture->differentiation().backward({&root, 1}, options, only);
        return end.finish();
    }
    tracer.capture().differentiation().note_backward();
    const Tracer::Pause pause(tracer);  // the tape's engine runs op by op
    const Tape::Root root = root_of(tracer, loss, cotangent);
    tracer.tape().backward({&root, 1}, options, only);
    end.finish();
}

std::vector<TensorRef> gradients(Tracer& tracer, const TensorRef& loss, const TensorRef& cotangent,
                                 std::span<const TensorRef> wrt, const BackwardOptions& options) {
    check(loss, cotangent);
    if (cotangent && tracer.capturing() && tracer.capture().trace().has_outer_history(*loss)) {
        // What was computed outside of a function under vmap: its history is replayed for the cotangents of all examples.
        const Edge edge = Edge::of(*loss);
        if (!edge.entry) throw OuterHistoryNeeded{};
        const Tape::Root root{edge, cotangent, tracer.dispatcher().span()};
        BackwardOptions replayed = options;
        replayed.replay = true;
        return tracer.tape().gradients({&root, 1}, wrt, replayed);
    }
    BackwardEnd end(tracer);
    if (is_compiled(tracer)) {
        std::vector<TensorRef> found;
        captured_backward(tracer, [&] {
            const Tape::Root root = root_of(tracer, loss, cotangent);
            found = tracer.tape().gradients({&root, 1}, wrt, captured(options));
            end.finish();
        });
        return found;
    }
    if (Capture* capture = capture_of(tracer, loss, cotangent, wrt)) {
        const Capture::Differentiation::Cotangent root{*loss, cotangent.get()};
        const Dispatcher::GradMode mode(tracer.dispatcher(), options.create_graph);
        std::vector<TensorRef> found = capture->differentiation().gradients({&root, 1}, wrt, options);
        end.finish();
        return found;
    }
    tracer.capture().differentiation().note_backward();
    const Tracer::Pause pause(tracer);  // the tape's engine runs op by op
    const Tape::Root root = root_of(tracer, loss, cotangent);
    std::vector<TensorRef> found = tracer.tape().gradients({&root, 1}, wrt, options);
    end.finish();
    for (TensorRef& gradient : found) {  // a cotangent that was given and is its own gradient
        if (gradient && gradient->requires_grad() && !options.create_graph)
            gradient = ops::detach(tracer.dispatcher(), gradient);
    }
    return found;
}

std::vector<bool> have_history_beside(Tracer& tracer, std::span<const TensorRef> values,
                                      std::span<const TensorRef> own) {
    HistoryBeside history(own);
    std::vector<bool> has(values.size());
    std::vector<TensorRef> captured;
    std::vector<size_t> places;
    for (size_t k = 0; k < values.size(); ++k) {
        if (!values[k] || !values[k]->requires_grad()) continue;
        const TensorObject& base = values[k]->base ? *values[k]->base : *values[k];
        const bool in_graph = values[k]->is_symbolic() || (base.autograd && base.autograd->in_graph);
        if (tracer.capturing() && in_graph) {
            captured.push_back(values[k]);
            places.push_back(k);
        } else {
            tracer.dispatcher().settle_history(*values[k]);
            has[k] = history.leads(Edge::of(*values[k]));
        }
    }
    if (captured.empty()) return has;
    std::vector<TensorObject*> all;
    for (const TensorRef& value : captured) all.push_back(value.get());
    tracer.capture().admit(all);
    const std::vector<bool> found = tracer.capture().differentiation().have_history(captured, history);
    for (size_t k = 0; k < places.size(); ++k) has[places[k]] = found[k];
    return has;
}

}  // namespace tenon
