// What the sides of a branch, or the turns of a loop, give in one place: trees that differ in their tensors alone.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "frontend/values/structure.h"
#include "frontend/values/tensor_object.h"
#include "frontend/values/value.h"

namespace tenon {

/// The tensors among the leaves, in order.
std::vector<TensorRef> tensors_of(const Value& tree);
/// The tree with other tensors in their places; takes them off `next`.
Value with_tensors(const Value& tree, std::span<const TensorRef>& next);
/// What else differs, "an int on the one side and a tensor on the other"; empty where nothing does.
std::string what_differs(const Value& yes, const Value& no);

}  // namespace tenon
