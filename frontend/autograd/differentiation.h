// backward, grad and vjp as a script means them: within the graph under capture where all of the history lies there,
// otherwise on the tape.
#pragma once

#include <span>
#include <vector>

#include "frontend/record/tape.h"
#include "frontend/record/tensor_dispatch.h"

namespace tenon {

/// Adds the gradient of `loss` into `.grad` of the leaves (of `only` alone where given). `cotangent` null: ones, for
/// which loss must have one element. Throws Error "gradient".
void backward(Tracer& tracer, const TensorRef& loss, const TensorRef& cotangent, const BackwardOptions& options,
              std::span<const TensorRef> only = {});

/// Thrown in a function under vmap, for a gradient of what the graph under capture around it computes: vmap ends that
/// graph, so that the history is known, and begins again.
struct OuterHistoryNeeded {};

/// The gradients of `loss` with respect to `wrt`; null where it does not depend on one. Throws OuterHistoryNeeded.
std::vector<TensorRef> gradients(Tracer& tracer, const TensorRef& loss, const TensorRef& cotangent,
                                 std::span<const TensorRef> wrt, const BackwardOptions& options);

/// Which of `values` have a history beside what leads to `own`, leaves that a functional derivative has made for itself.
/// Of null, false.
std::vector<bool> have_history_beside(Tracer& tracer, std::span<const TensorRef> values,
                                      std::span<const TensorRef> own);

}  // namespace tenon
