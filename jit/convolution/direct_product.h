// Products of so few rows, or of so small groups, that packing would cost more than it brings: depthwise convolutions above
// all. Columns, or groups, fill the vectors. Each element is the chain that a packed product gives.
#pragma once

#include "jit/contract/product.h"
#include "jit/convolution/patches.h"

namespace tenon::convolution {

/// Kernels as rows: of group g and row m, the factor of tap t in channel c is at
/// data[g·group + m·row + c·channel + patches.taps[t].place·place].
template <class T>
struct Kernels {
    const T* data;
    int64_t group, row, channel, place;
};

/// result(g, m, column) = Σ kernels(g, m, c, t) · patches(g, c, t, column) over c, then t. `groups` many, each with `rows` rows
/// and `channels` channels of its own; row m of group g is g·rows + m rows of `result_row` elements on.
template <class T>
struct PatchProduct {
    int64_t groups, rows, channels;
    Patches patches;
    const T* source;
    Kernels<T> kernels;
    T* result;
    int64_t result_row;
    Targets targets;
};

/// result(g, m, c, place) = Σ factors(g, m, column) · patches(g, c, t, column) over the columns. The result and the factors
/// are contiguous: [groups, rows, channels, places of the kernel], [examples, groups, rows, places].
template <class T>
struct ColumnProduct {
    int64_t groups, rows, channels;
    Patches patches;
    const T* source;
    const T* factors;
    T* result;
};

constexpr int64_t few_rows = 3, few_channels = 4;  // of a group, for columns in the lanes
constexpr int64_t small_group = 16;                // rows times channels, for groups in the lanes
constexpr int64_t worth_a_lane_each = 4;           // so many groups

/// Whether columns are to fill the lanes.
inline bool are_few(int64_t rows, int64_t channels) { return rows <= few_rows && channels <= few_channels; }

template <class T>
void multiply_directly(const PatchProduct<T>& product, const contract::Means& means);
template <class T>
void multiply_directly(const ColumnProduct<T>& product, const contract::Means& means);

}  // namespace tenon::convolution
