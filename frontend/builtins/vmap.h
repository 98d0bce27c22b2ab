// vmap: a function of one example, mapped over a batch.
#pragma once

#include "frontend/values/builtin.h"

namespace tenon {

/// The built-in `vmap(f; in_dims?, out_dims?)`: a function whose calls trace f on one example, turn its graph into that
/// of the whole batch (ir/differentiate/batching.h), and run that as part of whatever is under way: at once, captured, differentiated.
Value vmap(Evaluator& evaluator, Arguments& arguments);

}  // namespace tenon
