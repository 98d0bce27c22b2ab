// `explain(f, args…)`: what capture and the compiler did with one call, each with a why and a place.
#pragma once

#include "frontend/values/builtin.h"

namespace tenon {

/// The built-in: f, *arguments; **keywords. A record that prints as tests/graphs/explain.model shows; `.graphs` are the
/// graphs as captured, `.all` is everything, however long, `.json` the same for machines.
Value explain(Evaluator& evaluator, Arguments& arguments);

}  // namespace tenon
