// What values are where the symbols of a graph have values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "ir/graph.h"
#include "runtime/tensor.h"

namespace tenon {

/// Saturated: what is too much for 64 bits is too much for the allocator.
size_t bytes_of(const Graph&, TypeId, std::span<const int64_t> symbols);
/// What the kernels rely on: who runs a graph sees to it.
bool sizes_are_as_promised(const Graph&, std::span<const int64_t> symbols);
/// What lies in an arena, row-major, as a tensor of the same shape as the other.
Tensor borrowed(std::byte* elements, const Tensor& other);

}  // namespace tenon
