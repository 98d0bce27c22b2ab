// Tensors as text, the way PyTorch users expect them.
#pragma once

#include <span>
#include <string>

#include "runtime/tensor.h"

namespace tenon {

/// "tensor([[1., 2.],\n        [3., 4.]])": 4 decimals, scientific where magnitudes differ by more than a thousand,
/// columns aligned, lines of 80, above 1000 elements three from each end. A dtype other than f32, i64, bool is a
/// suffix, followed by `suffixes` ("requires_grad=true").
std::string to_string(const Tensor& tensor, std::span<const std::string> suffixes = {});

}  // namespace tenon
