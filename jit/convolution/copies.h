// Copies of what a convolution reads, with the zeros around it, so that every tap lies inside. They cost a part of the patches,
// as many as there are taps, and what is gathered from them lies in runs.
#pragma once

#include <algorithm>

#include "jit/contract/product.h"
#include "jit/convolution/direct_product.h"
#include "runtime/interrupt.h"

namespace tenon::convolution {

/// Calls f(k) for each k below `count`, many at a time where each is of few elements.
template <class F>
void for_each_of(ThreadPool& pool, int64_t count, int64_t elements, F f) {
    constexpr int64_t tile_elements = 1 << 15;
    const int64_t together = std::max<int64_t>(tile_elements / std::max<int64_t>(elements, 1), 1);
    pool.parallel_for((count + together - 1) / together, [&](int64_t tile) {
        check_interrupt();
        for (int64_t k = tile * together; k < std::min(count, (tile + 1) * together); ++k) f(k);
    });
}

constexpr size_t enough_taps = 4;                    // for a copy to pay
constexpr int64_t most_elements = int64_t{1} << 26;  // of a channel's copy, of which 32 bits hold the differences

/// Whether taps reach outside, and there are enough of them for a copy to pay.
bool worth_a_copy(const Patches& patches);

/// How many elements a copy of so many channels has.
int64_t elements_of_copy(const Patches& patches, int64_t channels);

/// A matrix of rows and columns, both contiguous, becomes one of columns and rows.
template <class T>
void transpose(const T* from, int64_t rows, int64_t columns, T* to);

/// Writes the channels of every example to `to`, and makes the patches those of the copy.
template <class T>
void copy_with_zeros(Patches& patches, int64_t channels, const T* source, T* to, ThreadPool& pool);

/// The same with the channels last, in blocks of so many, of which each has all places of all examples: a multiple of
/// Vector<T>::lanes.
template <class T>
void copy_channels_last(Patches& patches, int64_t channels, int64_t block, const T* source, T* to, ThreadPool& pool);

/// Patches by taps of a copy whose channels are last. Line (b · taps + t) · block + c is tap t of channel b · block + c, its elements
/// are those of all columns. A matrix a group. Where blocks are as wide as panels, these are read where they lie.
template <class T>
class ChannelsLastTaps final : public contract::PanelSource<T> {
public:
    /// `copy` is what copy_channels_last has made, product.patches those of the copy; blocks are of one group.
    ChannelsLastTaps(const ColumnProduct<T>& product, const T* copy, int64_t block);
    void pack(const contract::Part& part, int64_t width, T* to) const override;
    contract::RowsApart<T> apart(int64_t matrix, int64_t line, int64_t width) const override;

private:
    const T* line(int64_t matrix, int64_t line) const;

    const ColumnProduct<T>& product_;
    const T* const copy_;
    const int64_t block_;
    std::vector<int64_t> places_;  // of columns in a block
};

/// Where the product of these lines goes: to kernels, whose taps lie side by side.
template <class T>
class KernelsOfTaps final : public contract::Target<T> {
public:
    KernelsOfTaps(const ColumnProduct<T>& product, int64_t block) : product_(product), block_(block) {}
    void store(const contract::Block& block, const T* from, int64_t row) const override;

private:
    const ColumnProduct<T>& product_;
    const int64_t block_;
};

}  // namespace tenon::convolution
