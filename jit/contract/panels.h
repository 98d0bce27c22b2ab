// Where the operands of a product come from. A product reads them as panels: some lines (rows of a, columns of b) side by side,
// their elements one after the other, widened to what the product computes in. Who has elements in another order (patches of an
// image, say) writes a PanelSource and needs no copy of them in memory.
#pragma once

#include <cassert>
#include <cstdint>

#include "jit/contract/kernels.h"
#include "runtime/dtype.h"
#include "runtime/tensor.h"

namespace tenon::contract {

/// Element p of line i stands at data[i · line + p · step].
template <class E>
struct Lines {
    const E* data = nullptr;
    int64_t line = 0, step = 0;
    Lines at(int64_t i, int64_t p) const { return {data + i * line + p * step, line, step}; }
};

/// Rows of a panel that lie by themselves: element p of line i stands at data[offsets[p] + i]. There are `rows_ahead` more
/// offsets than elements, of rows that may be asked for early.
template <class T>
struct RowsApart {
    const T* data = nullptr;
    const int64_t* offsets = nullptr;
};

/// Which part of an operand: some lines of a matrix of the batch, and of each some elements.
struct Part {
    int64_t matrix, line, lines, begin, depth;
};

/// One operand, for all matrices of a batch. Asked by several threads at a time.
template <class T>
class PanelSource {
public:
    virtual ~PanelSource() = default;
    /// Panel after panel of `width` lines: element part.begin + p of line part.line + i goes to to[p · width + i] of its panel.
    /// What would be further lines of the last one gets numbers of any value. `width` is one of packed_widths<T>. Not asked where
    /// panels lie packed or apart.
    virtual void pack(const Part& /*part*/, int64_t /*width*/, T* /*to*/) const { assert(!"there is nothing to pack"); }
    /// The matrix itself, where its elements are T and lie somewhere; else no data. Small ones and those that are used once are
    /// read where they are.
    virtual Lines<T> in_place(int64_t /*matrix*/) const { return {}; }
    /// Whole lines of a matrix as panels of that width, all of them, where somebody has packed them; else null. `pack` left
    /// them there.
    virtual const T* packed(int64_t /*matrix*/, int64_t /*width*/) const { return nullptr; }
    /// Of b, of floats: the panel of that width from `line`, a multiple of it, on, as it lies; no data where it must be packed.
    /// So it is for all lines or for none. Elements of lines that are not there are not read.
    virtual RowsApart<T> apart(int64_t /*matrix*/, int64_t /*line*/, int64_t /*width*/) const { return {}; }
};

/// The widths of panels: rows and columns of the micro-kernels.
template <class T>
constexpr int64_t packed_widths[] = {6, 12, 64 / int64_t(sizeof(T)), 128 / int64_t(sizeof(T))};

/// Packs lines that lie in memory, whatever their strides; for sources that cut what they have into such lines.
template <class E, class T>
void pack_lines(const Lines<E>& from, int64_t lines, int64_t depth, int64_t width, T* to);

/// Where matrix k of a batch with `sizes` begins; `strides`: to the next one along each dimension.
inline int64_t strided_offset(int64_t k, const Dims& sizes, const Dims& strides) {
    int64_t offset = 0;
    for (size_t d = sizes.size(); d-- > 0; k /= sizes[d]) offset += k % sizes[d] * strides[d];
    return offset;
}

/// Matrices in memory with strides, a batch of any rank.
template <class E, class T>
class StridedSource final : public PanelSource<T> {
public:
    /// `strides`, in elements: to the next matrix along each dimension of the batch, which has `sizes`.
    StridedSource(Lines<E> first, const Dims& sizes, const Dims& strides)
        : first_(first), sizes_(sizes), strides_(strides) {}

    void pack(const Part& part, int64_t width, T* to) const override {
        const Lines<E> lines = matrix(part.matrix).at(part.line, part.begin);
        pack_lines(lines, part.lines, part.depth, width, to);
    }
    Lines<T> in_place(int64_t k) const override {
        if constexpr (sizeof(E) == sizeof(T)) {
            const Lines<E> lines = matrix(k);
            return {reinterpret_cast<const T*>(lines.data), lines.line, lines.step};
        } else return {};
    }
    const T* packed(int64_t, int64_t width) const override { return width == panel_width_ ? panels_ : nullptr; }
    /// Of a matrix that is the only one, or the same for all: its panels.
    void is_packed(const T* panels, int64_t width) { panels_ = panels, panel_width_ = width; }

private:
    Lines<E> matrix(int64_t k) const {
        return {first_.data + strided_offset(k, sizes_, strides_), first_.line, first_.step};
    }

    Lines<E> first_;
    Dims sizes_, strides_;
    const T* panels_ = nullptr;
    int64_t panel_width_ = 0;
};

}  // namespace tenon::contract
