// Which items of a host sequence an index or a slice means.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "frontend/values/value.h"

namespace tenon {

/// The position an index means, counted from the end where negative. Throws Error "index" that names `what` ("list").
size_t position_in(int64_t index, size_t size, std::string_view what);

struct SliceBounds {
    int64_t start, step, count;
};
/// Which positions of `size` items a slice takes: bounds are clamped as in Python. Throws Error "type", "value".
SliceBounds bounds_of(const SliceObject& slice, size_t size);

}  // namespace tenon
