// Tensors from host data and back, and the ops whose shapes depend on data: they end a graph.
#pragma once

#include <optional>

#include "frontend/record/tensor_dispatch.h"
#include "frontend/values/value.h"

namespace tenon::ops {

/// A tensor from a number or from nested lists and tuples of numbers (and tensors of one shape). Without a dtype: bool,
/// i64 or f32, after what the lists hold. Throws Error "shape" for ragged lists.
TensorRef make_tensor(Dispatcher& d, const Value& value, std::optional<DType> dtype);

/// Nested lists of host numbers; a number for a 0-dim tensor.
Value to_list(Dispatcher& d, TensorObject& x);
/// The only element.
Value to_number(Dispatcher& d, TensorObject& x);
/// The host number that a symbolic value stands for; any other value as it is. The graph depends on it from now on: reading
/// an element that is not computed yet ends the graph.
Value settled(Dispatcher& d, const Value& value);
int64_t settled_int(Dispatcher& d, const Value& value);

/// The positions at which a 1-dim mask is true, i64.
TensorRef true_positions(Dispatcher& d, const TensorRef& mask);
/// [n, rank]: the positions of elements that are not 0.
TensorRef nonzero(Dispatcher& d, const TensorRef& x);
/// x with the slices at `index` along `dim` replaced; of positions that occur twice the last one counts.
TensorRef put(Dispatcher& d, const TensorRef& x, const TensorRef& index, const TensorRef& value, int64_t dim);

}  // namespace tenon::ops
