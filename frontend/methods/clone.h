// Copies of values.
#pragma once

#include "frontend/values/value.h"

namespace tenon {

class Evaluator;

/// A copy of a value and all it holds, what is shared stays shared.
Value clone(Evaluator& evaluator, const Value& value);

}  // namespace tenon
