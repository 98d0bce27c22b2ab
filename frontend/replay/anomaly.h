// `detect_anomaly`: a backward that says which op's gradient is the first that is no number, or infinite.
#pragma once

#include <span>

#include "frontend/record/tape.h"

namespace tenon {

/// Throws Error "gradient" where one of the gradients that the entry has produced has such an element: its place is that
/// of the op in the script, with that of the backward beside it. `received`: what the entry got, which was finite.
void check_finite(Tracer& tracer, const TapeEntry& entry, std::span<const TensorRef> produced, Span backward);
/// The same of what a backward begins with.
void check_finite(Tracer& tracer, const TensorRef& cotangent, Span backward);

}  // namespace tenon
