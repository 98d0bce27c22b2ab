// Where hooks of tensors and of nodes of the tape hang. Each function gives the hooks to add to, or throws Error "gradient".
#pragma once

#include "frontend/history/hooks.h"
#include "frontend/record/tape.h"

namespace tenon {

/// The node that gives x, or that adds into its `.grad` where it is a leaf. Ends the graph under capture where that
/// computes x, and takes a captured graph that has given x apart into its ops.
Edge node_of(Tracer& tracer, TensorObject& x);

/// Of a tensor: called with its gradient.
Hooks& gradient_hooks(Tracer& tracer, TensorObject& x);
/// Of a leaf: called with it once `.grad` has been added to.
Hooks& accumulated_hooks(TensorObject& leaf);
/// Of a node: called with what it receives.
Hooks& hooks_before(const Edge& node);
/// Of a node: called with what it produces and what it has received.
Hooks& hooks_after(const Edge& node);
/// `.grad` of x, which is no leaf, is added to as well.
void retain_gradient(Tracer& tracer, TensorObject& x);

}  // namespace tenon
