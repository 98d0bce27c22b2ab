// Functions with a gradient of their own as parts of the graph under capture.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "frontend/record/tracer.h"
#include "frontend/values/tensor_object.h"
#include "runtime/function_ref.h"

namespace tenon {

/// The gradients of `wrt`, of their types; null where there is none.
using OwnBackward = FunctionRef<std::vector<TensorRef>(const TensorRef& cotangent)>;

/// `value` of the graph under capture, with a history of its own: backward is run once, on a cotangent without elements, and
/// becomes the gradient of the node that is appended. Nothing, and `why`, where it cannot be a region; then the graph may have
/// ended.
std::optional<TensorRef> append_with_gradient(Tracer& tracer, const TensorRef& value, std::span<const TensorRef> wrt,
                                              OwnBackward backward, std::string& why);

}  // namespace tenon
