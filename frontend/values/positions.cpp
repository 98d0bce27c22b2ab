#include "frontend/values/positions.h"

#include <algorithm>

#include <fmt/format.h>

#include "frontend/values/errors.h"
#include "runtime/diagnostic.h"

namespace tenon {

size_t position_in(int64_t index, size_t size, std::string_view what) {
    int64_t count = static_cast<int64_t>(size);
    int64_t position = index < 0 ? index + count : index;
    if (position < 0 || position >= count) {
        throw_error("index",
                    count == 0 ? fmt::format("index {} of an empty {}", index, what)
                               : fmt::format("index {} is out of range for a {} of {} item{}", index, what, count,
                                             count == 1 ? "" : "s"),
                    count == 0 ? "" : fmt::format("valid indices are {} to {}", -count, count - 1));
    }
    return static_cast<size_t>(position);
}

SliceBounds bounds_of(const SliceObject& slice, size_t size) {
    auto part = [](const Value& value, int64_t otherwise) {
        if (value.is_none()) return otherwise;
        if (!value.is_int())
            throw_error("type", fmt::format("the parts of a slice are ints, found {}", with_article(value.kind())));
        return value.as_int();
    };
    int64_t count = static_cast<int64_t>(size), step = part(slice.step, 1);
    if (step == 0) throw_error("value", "the step of a slice is 0", "leave it out, or write 1");
    auto clamp = [&](int64_t bound) {
        if (bound < 0) bound += count;
        return step > 0 ? std::clamp<int64_t>(bound, 0, count) : std::clamp<int64_t>(bound, -1, count - 1);
    };
    int64_t start = slice.start.is_none() ? (step > 0 ? 0 : count - 1) : clamp(part(slice.start, 0));
    int64_t stop = slice.stop.is_none() ? (step > 0 ? count : -1) : clamp(part(slice.stop, 0));
    return {start, step, RangeObject(start, stop, step).size()};
}

}  // namespace tenon
