// Calls of hooks by a backward. Whatever a hook gives in the place of a cotangent is of the cotangent's shape and dtype;
// none leaves it as it is. Throws Error "gradient" for anything else, and what the hook throws.
#pragma once

#include <span>
#include <utility>

#include "frontend/history/hooks.h"
#include "frontend/record/tracer.h"
#include "frontend/values/tensor_object.h"

namespace tenon {

/// Of a tensor: each is called with the cotangent that the one before has left.
void call_tensor_hooks(Tracer& tracer, const Hooks& hooks, TensorRef& cotangent);
/// Before a node: each is called with a tuple of the cotangents that the node receives, none where there is none.
void call_hooks_before(Tracer& tracer, const Hooks& hooks, std::span<TensorRef> received);
/// After a node: with what it has produced, one an operand, and what it had received.
void call_hooks_after(Tracer& tracer, const Hooks& hooks, std::span<TensorRef> produced,
                      std::span<const TensorRef> received);
/// Once the `.grad` of a leaf has been added to: with the leaf.
void call_hooks_accumulated(Tracer& tracer, const Hooks& hooks, TensorObject& leaf);

/// What came to a leaf is complete: its hooks around adding it into `.grad`. `gradient` becomes null.
void accumulate_with_hooks(Tracer& tracer, Autograd& leaf, TensorRef& gradient, bool keep_history);

/// One backward, as long as it lives. Functions that hooks leave for its end (`on_backward_end`) are called by finish().
class BackwardEnd {
public:
    explicit BackwardEnd(Tracer& tracer) : tracer_(tracer), outer_(std::exchange(tracer.backward.end, this)) {}
    ~BackwardEnd() { tracer_.backward.end = outer_; }
    BackwardEnd(const BackwardEnd&) = delete;
    BackwardEnd& operator=(const BackwardEnd&) = delete;
    void add(Value function) { functions_.push_back(std::move(function)); }
    void finish();

private:
    Tracer& tracer_;
    BackwardEnd* const outer_;
    Values functions_;
};

}  // namespace tenon
