// What indexing and sorting of host sequences mean.
#pragma once

#include <cstdint>
#include <string_view>

#include "frontend/values/value.h"

namespace tenon {

class Evaluator;

/// The position an index means, counted from the end where negative. Throws Error "index" that names `what` ("list").
size_t position_in(int64_t index, size_t size, std::string_view what);

struct SliceBounds {
    int64_t start, step, count;
};
/// Which positions of `size` items a slice takes: bounds are clamped as in Python. Throws Error "type", "value".
SliceBounds bounds_of(const SliceObject& slice, size_t size);

/// Sorts in place, stable; `key` is a function, or none.
void sort_values(Evaluator& evaluator, Values& values, const Value& key, bool descending);

}  // namespace tenon
