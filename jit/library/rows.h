// The functions behind library rows, one file a family. Included by library*.cpp and jit/convolution only.
#pragma once

#include <algorithm>

#include "jit/library/library.h"

namespace tenon::library {

void matmul(const LibraryCall& call);
extern const PreparingFunctions packed_matmul;
void conv(const LibraryCall& call);  // jit/convolution
void conv_input_gradient(const LibraryCall& call);
void conv_weight_gradient(const LibraryCall& call);
void take(const LibraryCall& call);
void take_add(const LibraryCall& call);
void gather(const LibraryCall& call);
void scatter_add(const LibraryCall& call);
void random_normal(const LibraryCall& call);
void argsort(const LibraryCall& call);
void sort(const LibraryCall& call);
void argmax(const LibraryCall& call);
void argmin(const LibraryCall& call);
void max_along(const LibraryCall& call);
void min_along(const LibraryCall& call);
void cumsum(const LibraryCall& call);
void recurrence(const LibraryCall& call);

/// A tensor seen along one axis: outer × size × inner elements.
struct AxisView {
    int64_t outer = 1, size = 1, inner = 1;
    AxisView(std::span<const int64_t> shape, int64_t axis) : size(shape[size_t(axis)]) {
        for (size_t d = 0; d < shape.size(); ++d)
            (int64_t(d) < axis ? outer : int64_t(d) > axis ? inner : ignored_) *= shape[d];
    }

private:
    int64_t ignored_ = 1;
};

/// Calls work(begin, end) for ranges that make up 0 … count − 1, on several threads where there is enough to do: each of
/// them takes as long as so many elements copied. What is done for one may not depend on another.
template <class Work>
void in_ranges(const LibraryCall& call, int64_t count, int64_t elements_each, Work work) {
    constexpr int64_t enough = 16384;  // a few microseconds
    const int64_t each = std::max<int64_t>(enough / std::max<int64_t>(elements_each, 1), 1),
                  ranges = (count + each - 1) / each;
    if (ranges <= 1) return work(int64_t{0}, count);
    call.pool.parallel_for(ranges, [&](int64_t k) { work(k * each, std::min(count, (k + 1) * each)); });
}

}  // namespace tenon::library
