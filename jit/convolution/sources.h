// The operands of convolutions as panels, and their results as images: what jit/contract's products are made of and go to.
#pragma once

#include "jit/contract/product.h"
#include "jit/convolution/direct_product.h"

namespace tenon::convolution {

/// Patches by columns: line j is column j, its elements are those of each channel under each tap, taps side by side. A matrix a
/// group; where examples are apart, a matrix for each example and group, its lines the places of that example.
template <class T>
class PatchColumns final : public contract::PanelSource<T> {
public:
    PatchColumns(const PatchProduct<T>& product, bool examples_apart)
        : product_(product), patches_(product.patches), apart_(examples_apart) {}
    void pack(const contract::Part& part, int64_t width, T* to) const override;

private:
    const PatchProduct<T>& product_;
    const Patches& patches_;
    const bool apart_;
};

/// Patches by taps: line c · taps + t is tap t of channel c, its elements are those of all columns. A matrix a group.
template <class T>
class PatchTaps final : public contract::PanelSource<T> {
public:
    PatchTaps(const ColumnProduct<T>& product) : product_(product), patches_(product.patches) {}
    void pack(const contract::Part& part, int64_t width, T* to) const override;

private:
    const ColumnProduct<T>& product_;
    const Patches& patches_;
};

/// Kernels by rows: line m is row m, its elements the factors of each channel under each tap. A matrix a group, over and over.
template <class T>
class KernelRows final : public contract::PanelSource<T> {
public:
    KernelRows(const PatchProduct<T>& product) : product_(product) {}
    void pack(const contract::Part& part, int64_t width, T* to) const override;
    const T* packed(int64_t matrix, int64_t width) const override;
    /// For matrices that are many: packs them all, by all threads, for whatever the product is cut into.
    void pack_all(const contract::Means& means, Workspace& workspace);

private:
    const PatchProduct<T>& product_;
    int64_t width_ = 0, group_ = 0;  // of what is packed: elements
    T* panels_ = nullptr;
};

/// Line m is row m of the factors, its elements those of all columns. A matrix a group.
template <class T>
class FactorRows final : public contract::PanelSource<T> {
public:
    FactorRows(const ColumnProduct<T>& product) : product_(product) {}
    void pack(const contract::Part& part, int64_t width, T* to) const override;

private:
    const ColumnProduct<T>& product_;
};

/// Where a PatchProduct goes.
template <class T>
class Image final : public contract::Target<T> {
public:
    Image(const PatchProduct<T>& product, bool examples_apart)
        : product_(product), apart_(examples_apart), in_order_(are_in_order(product.patches, product.targets)) {}
    void store(const contract::Block& block, const T* from, int64_t row) const override;
    typename contract::Target<T>::Rows in_place(int64_t matrix) const override;

private:
    T* first(int64_t matrix) const;
    const PatchProduct<T>& product_;
    const bool apart_;
    bool in_order_;
};

}  // namespace tenon::convolution
