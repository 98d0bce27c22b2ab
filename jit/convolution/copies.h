// Copies of what a convolution reads, with the zeros around it, so that every tap lies inside. They cost a part of the patches,
// as many as there are taps, and what is gathered from them lies in runs.
#pragma once

#include "jit/contract/product.h"
#include "jit/convolution/direct_product.h"

namespace tenon::convolution {

/// Whether taps reach outside, and there are enough of them for a copy to pay.
bool worth_a_copy(const Patches& patches);

/// How many elements a copy of so many channels has.
int64_t elements_of_copy(const Patches& patches, int64_t channels);

/// Writes the channels of every example to `to`, and makes the patches those of the copy.
template <class T>
void copy_with_zeros(Patches& patches, int64_t channels, const T* source, T* to, ThreadPool& pool);

/// The same with the channels last, a multiple of Vector<T>::lanes.
template <class T>
void copy_channels_last(Patches& patches, int64_t channels, const T* source, T* to, ThreadPool& pool);

/// Patches by taps as PatchTaps has them, of a copy whose channels are last; but line t · channels + c is tap t of channel c.
template <class T>
class ChannelsLastTaps final : public contract::PanelSource<T> {
public:
    /// `copy` is what copy_channels_last has made, product.patches those of the copy.
    ChannelsLastTaps(const ColumnProduct<T>& product, const T* copy)
        : product_(product), patches_(product.patches), copy_(copy) {}
    void pack(const contract::Part& part, int64_t width, T* to) const override;

private:
    const ColumnProduct<T>& product_;
    const Patches& patches_;
    const T* const copy_;
};

/// Where the product of these lines goes: to kernels, whose taps lie side by side.
template <class T>
class KernelsOfTaps final : public contract::Target<T> {
public:
    KernelsOfTaps(const ColumnProduct<T>& product) : product_(product) {}
    void store(const contract::Block& block, const T* from, int64_t row) const override;

private:
    const ColumnProduct<T>& product_;
};

}  // namespace tenon::convolution
