// attention, with functions of the script for scores and masks.
#pragma once

#include "frontend/values/builtin.h"

namespace tenon {

/// The built-in `attention(q, k, v; mask?, causal?, score?, dropout?, scale?)`. A function is traced once, on one pair of a
/// query and a key, and is a region of the node `flex_attention` (ir/regions.h); without any, and without dropout, the node
/// is `attention`.
Value attention(Evaluator& evaluator, Arguments& arguments);

}  // namespace tenon
