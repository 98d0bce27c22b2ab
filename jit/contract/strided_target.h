// Results that lie in memory with strides.
#pragma once

#include <algorithm>

#include "jit/contract/product.h"
#include "jit/routines/routines.h"

namespace tenon::contract {

/// Matrices one after the other, `matrix` elements apart; element (i, j) of one at i · row + j · column.
template <class E, class T>
class StridedTarget final : public Target<T> {
public:
    StridedTarget(E* data, int64_t matrix, int64_t row, int64_t column, InstructionSet set)
        : data_(data), matrix_(matrix), row_(row), column_(column) {
        if constexpr (sizeof(E) < sizeof(T) && std::is_same_v<T, float>)
            round_ = find_cast(DType::f32, dtype_of<E>, set);
    }

    void store(const Block& block, const T* from, int64_t row) const override {
        E* const first = data_ + block.matrix * matrix_ + block.row * row_ + block.column * column_;
        for (int64_t i = 0; i < block.rows; ++i, from += row) {
            E* const to = first + i * row_;
            if (column_ == 1 && round_) (*round_)(to, from, block.columns);
            else if (column_ == 1) std::transform(from, from + block.columns, to, [](T x) { return E(x); });
            else
                for (int64_t j = 0; j < block.columns; ++j) to[j * column_] = E(from[j]);
        }
    }
    typename Target<T>::Rows in_place(int64_t matrix) const override {
        if constexpr (sizeof(E) == sizeof(T)) {
            if (column_ == 1) return {reinterpret_cast<T*>(data_ + matrix * matrix_), row_};
        }
        return {};
    }

    typename Target<T>::Added added(int64_t matrix) const override {
        if (!added_) return {};
        return {added_ + strided_offset(matrix, *sizes_, *added_strides_), added_line_};
    }
    /// To each element (i, j) of a matrix is added what stands at data[i · line + j], for the matrix that `strides` lead to along
    /// each dimension of the batch, which has `sizes`. Both outlive this.
    void adds(const T* data, int64_t line, const Dims& sizes, const Dims& strides) {
        added_ = data, added_line_ = line, sizes_ = &sizes, added_strides_ = &strides;
    }

private:
    E* data_;
    int64_t matrix_, row_, column_;
    const T* added_ = nullptr;
    int64_t added_line_ = 0;
    const Dims *sizes_ = nullptr, *added_strides_ = nullptr;
    const Routine* round_ = nullptr;  // f32 to f16 or bf16
};

}  // namespace tenon::contract
