// Copies in which the elements under each tap lie in runs, whatever the stride: products read them where they lie and pack nothing.
// A plane holds every s-th element of the source along a dimension of stride s, zeros around them; so from place to place of the
// result is from element to element of a plane. Rows of a plane are longer than those of the result: a product computes what would
// lie between its rows too, and nobody stores that.
#pragma once

#include "jit/contract/product.h"
#include "jit/convolution/direct_product.h"

namespace tenon::convolution {

/// How the planes of a channel lie, and the columns of an example over them.
class Planes {
public:
    /// `patches`: prepared.
    Planes(const Patches& patches, int64_t channels);

    /// Whether a product does better over columns like these than over packed patches.
    bool are_worth_it() const;
    /// Columns of an example, those between rows included.
    int64_t columns() const { return columns_; }
    /// Calls f(place, column, count) for the runs of columns from `begin` to `end` that are places of the result.
    template <class F>
    void each_run(int64_t begin, int64_t end, F f) const;

    bool are_source() const { return is_source_; }  ///< nothing is to be copied
    int64_t elements() const { return patches_.examples * example_; }
    /// Writes the planes of all examples to `to`.
    template <class T>
    void copy(const T* source, T* to, ThreadPool& pool) const;

    int64_t channel() const { return channel_; }
    int64_t example() const { return example_; }
    int64_t tap(size_t t) const { return taps_[t]; }  ///< where its first element is in a channel

private:
    using Phase = std::array<int64_t, 3>;  // where a plane's elements begin, below the stride

    template <class T>
    void copy_plane(const Phase& phase, const T* channel, T* to) const;

    const Patches& patches_;
    const int64_t channels_;
    bool is_source_;
    std::array<int64_t, 3> least_{}, sizes_{};  // of a plane: its first element, in strides; elements, zeros included
    int64_t row_ = 0;                           // from row to row: zeros at the end of one may begin the next
    int64_t columns_ = 0, plane_ = 0, channel_ = 0, example_ = 0;
    std::vector<Phase> phases_;
    std::vector<int64_t> taps_;
};

/// Line j is column j of an example; a matrix for each example and group. Elements as PatchColumns has them.
template <class T>
class PlaneColumns final : public contract::PanelSource<T> {
public:
    PlaneColumns(const PatchProduct<T>& product, const Planes& planes, const T* data);
    contract::RowsApart<T> apart(int64_t matrix, int64_t line, int64_t width) const override;

private:
    const Planes& planes_;
    const T* const data_;
    const int64_t groups_, group_;
    std::vector<int64_t> offsets_;
};

/// Where the product of these lines goes.
template <class T>
class PlaneImage final : public contract::Target<T> {
public:
    PlaneImage(const PatchProduct<T>& product, const Planes& planes) : product_(product), planes_(planes) {}
    void store(const contract::Block& block, const T* from, int64_t row) const override;
    typename contract::Target<T>::Rows in_place(int64_t matrix) const override;

private:
    T* first(int64_t matrix) const;
    const PatchProduct<T>& product_;
    const Planes& planes_;
};

}  // namespace tenon::convolution
