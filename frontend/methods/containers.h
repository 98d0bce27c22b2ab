// What sorting of host sequences means.
#pragma once

#include "frontend/values/value.h"

namespace tenon {

class Evaluator;

/// Sorts in place, stable; `key` is a function, or none.
void sort_values(Evaluator& evaluator, Values& values, const Value& key, bool descending);

}  // namespace tenon
