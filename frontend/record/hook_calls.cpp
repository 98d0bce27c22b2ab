#include "frontend/record/hook_calls.h"

#include <fmt/format.h>

#include "frontend/record/capture_aside.h"
#include "frontend/record/tape.h"
#include "frontend/record/tensor_dispatch.h"
#include "frontend/record/tracer.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

// The hook's own lines have other places; what the backward goes on with has the backward's.
Value call(Tracer& tracer, const Value& hook, std::span<const Value> arguments) {
    Dispatcher& d = tracer.dispatcher();
    const Span span = d.span();
    const CaptureAside aside(tracer);
    Value result = tracer.services.call(hook, arguments, {});
    d.set_span(span);
    return result;
}

Value as_value(const TensorRef& tensor) { return tensor ? Value(tensor) : Value(); }

Value as_tuple(std::span<const TensorRef> tensors) {
    Values items;
    for (const TensorRef& tensor : tensors) items.push_back(as_value(tensor));
    return make_tuple(std::move(items));
}

void replace(TensorRef& cotangent, const Value& given) {
    if (given.is_none()) return;
    if (!given.is_tensor()) {
        throw_error("gradient",
                    fmt::format("a hook gives a gradient or none, but this one gave {}", with_article(given.kind())));
    }
    TensorRef tensor = given.ref<TensorObject>();
    if (cotangent && (tensor->shape() != cotangent->shape() || tensor->dtype() != cotangent->dtype())) {
        throw_error("gradient", fmt::format("a hook must give a gradient of the type that it got, {}, but it gave {}",
                                            describe_type(*cotangent), describe_type(*tensor)));
    }
    cotangent = std::move(tensor);
}

// A node's hook gives a tuple of as many as it may replace; where that is one, the tensor itself will do.
void replace_all(std::span<TensorRef> cotangents, const Value& given) {
    if (given.is_none()) return;
    if (given.is_tensor() && cotangents.size() == 1) return replace(cotangents[0], given);
    const Values* items = items_of(given);
    if (!items || items->size() != cotangents.size()) {
        throw_error("gradient", fmt::format("a hook of this node gives none or a tuple of {}, but this one gave {}",
                                            cotangents.size() == 1 ? "one gradient"
                                                                   : fmt::format("{} gradients", cotangents.size()),
                                            items ? fmt::format("{} of {}", with_article(given.kind()), items->size())
                                                  : with_article(given.kind())));
    }
    for (size_t k = 0; k < cotangents.size(); ++k) {
        if ((*items)[k].is_none()) cotangents[k] = nullptr;
        else replace(cotangents[k], (*items)[k]);
    }
}

}  // namespace

void call_tensor_hooks(Tracer& tracer, const Hooks& hooks, TensorRef& cotangent) {
    for (const Value& hook : hooks.functions()) {
        const Value arguments[] = {as_value(cotangent)};
        replace(cotangent, call(tracer, hook, arguments));
    }
}

void call_hooks_before(Tracer& tracer, const Hooks& hooks, std::span<TensorRef> received) {
    for (const Value& hook : hooks.functions()) {
        const Value arguments[] = {as_tuple(received)};
        replace_all(received, call(tracer, hook, arguments));
    }
}

void call_hooks_after(Tracer& tracer, const Hooks& hooks, std::span<TensorRef> produced,
                      std::span<const TensorRef> received) {
    for (const Value& hook : hooks.functions()) {
        const Value arguments[] = {as_tuple(produced), as_tuple(received)};
        replace_all(produced, call(tracer, hook, arguments));
    }
}

void call_hooks_accumulated(Tracer& tracer, const Hooks& hooks, TensorObject& leaf) {
    for (const Value& hook : hooks.functions()) {
        const Value arguments[] = {Value(TensorRef(&leaf))};
        if (!call(tracer, hook, arguments).is_none())
            throw_error("gradient", "a hook that is called after accumulation gives nothing",
                        "it may change `.grad` of the tensor that it gets");
    }
}

void accumulate_with_hooks(Tracer& tracer, Autograd& leaf, TensorRef& gradient, bool keep_history) {
    const LeafHooks* const hooks = leaf.hooks.get();
    if (hooks && hooks->before) call_hooks_before(tracer, *hooks->before, {&gradient, 1});
    if (!gradient) return;
    const TensorRef received = hooks && hooks->after ? gradient : TensorRef();
    accumulate_gradient(tracer.dispatcher(), leaf, std::exchange(gradient, {}), keep_history);
    if (hooks && hooks->accumulated && leaf.owner) call_hooks_accumulated(tracer, *hooks->accumulated, *leaf.owner);
    if (hooks && hooks->after) call_hooks_after(tracer, *hooks->after, {}, {&received, 1});
}

void BackwardEnd::finish() {
    for (size_t k = 0; k < functions_.size(); ++k) {  // one may leave another
        const Value function = functions_[k];
        call(tracer_, function, {});
    }
}

}  // namespace tenon
