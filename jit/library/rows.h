// The functions behind library rows, one file a family. Included by library*.cpp and jit/convolution only.
#pragma once

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
void random(const LibraryCall& call);
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

}  // namespace tenon::library
