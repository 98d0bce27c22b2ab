// cond and while_loop: control flow on tensors' values.
#pragma once

#include "frontend/values/builtin.h"

namespace tenon {

/// The built-in `cond(c, f, g, *arguments)`: f(…) where c is true, else g(…). Under capture both are traced once and are
/// the regions of one node (ir/regions.h), if they are pure and give the same types; otherwise, and without capture, c is
/// asked for and the one function is called. What it gives are tensors of their own on every engine.
Value cond(Evaluator& evaluator, Arguments& arguments);
/// The built-in `while_loop(condition, body, init; max_turns?)`: what is carried after body(carried) as long as
/// condition(carried) holds. Under capture one node, as cond; its gradient needs `max_turns:`.
Value while_loop(Evaluator& evaluator, Arguments& arguments);

}  // namespace tenon
