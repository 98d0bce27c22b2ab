// scan, and map over tensors: a function turn by turn.
#pragma once

#include "frontend/values/builtin.h"

namespace tenon {

/// The built-in `scan(f, init, xs?; turns?, reverse?)`, (last, ys) with f(carried, x) -> (carried, y). Under capture the
/// function is traced once and is the region of one node (ir/regions.h), if it is pure and each turn leaves what it got;
/// otherwise, and without capture, it is called turn by turn, to the same bits.
Value scan(Evaluator& evaluator, Arguments& arguments);

/// Whether `map` goes over tensors: one, or a tuple or dict of them. A list is the host's.
bool maps_tensors(const Value& values);
/// The built-in `map(f, xs)` where xs are tensors: the stack of f(x) over their first dimension.
Value map_tensors(Evaluator& evaluator, Arguments& arguments);

}  // namespace tenon
