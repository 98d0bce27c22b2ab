// A product of matrices, blocks of which are packed as the micro-kernel reads them (Goto and van de Geijn, "Anatomy of
// High-Performance Matrix Multiplication", 2008): a panel of b stays in the first cache while a block of a, which stays in the
// second, passes by. Sums go on from block to block of k, so that every element is the one chain of fma that the contract asks
// for, however the blocks are cut.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstring>

#include "jit/contract/micro_kernel.h"
#include "runtime/interrupt.h"

namespace tenon::contract {

template <class T>
struct Blocks {  // in elements: of f32, a block of a is 192 KB, a panel of b 32 KB, a block of b 2 MB
    static constexpr int64_t k = 512;
    static constexpr int64_t rows = (192 << 10) / int64_t(sizeof(T)) / k / micro_rows * micro_rows;
    static constexpr int64_t columns = (2 << 20) / int64_t(sizeof(T)) / k;

    static constexpr int64_t group = 4 * panel_columns<T>;  // panels that are packed one after the other
    static_assert(rows > 0 && columns % group == 0);

    static int64_t a_elements(int64_t m, int64_t depth) {  // a multiple of 64 bytes
        const int64_t groups = (std::min(rows, m) + micro_rows - 1) / micro_rows;
        return (groups * micro_rows * std::min(k, depth) + 15) / 16 * 16;
    }
    static int64_t b_elements(int64_t depth, int64_t n) {
        const int64_t panels = (std::min(columns, n) + panel_columns<T> - 1) / panel_columns<T>;
        return panels * panel_columns<T> * std::min(k, depth);
    }
};

// Rows of a, micro_rows at a time: of each group the columns one after the other.
template <class T>
void pack_rows(const Matrix<T>& a, int64_t m, int64_t k, T* to) {
    for (int64_t i = 0; i < m; i += micro_rows, to += micro_rows * k) {
        const Matrix<T> group = a.at(i, 0);
        const int64_t rows = std::min(micro_rows, m - i);
        if (rows == micro_rows && group.row == 1) {
            for (int64_t p = 0; p < k; ++p)
                std::memcpy(to + p * micro_rows, group.data + p * group.column, micro_rows * sizeof(T));
        } else if (rows == micro_rows && group.column == 1) {
            for (int64_t p = 0; p < k; ++p)
                for (int64_t r = 0; r < micro_rows; ++r) to[p * micro_rows + r] = group.data[r * group.row + p];
        } else {
            for (int64_t p = 0; p < k; ++p)
                for (int64_t r = 0; r < rows; ++r)
                    to[p * micro_rows + r] = group.data[r * group.row + p * group.column];
        }
    }
}

// A panel of b, row by row, zeros where it has fewer columns.
template <class T>
void pack_panel(const Matrix<T>& b, int64_t k, int64_t columns, T* to) {
    constexpr int64_t width = panel_columns<T>, line = 64 / int64_t(sizeof(T));
    if (columns < width) std::fill(to, to + k * width, T(0));
    if (b.column == 1 && columns == width) {  // so many that the copy is two moves
        for (int64_t p = 0; p < k; ++p) std::memcpy(to + p * width, b.data + p * b.row, width * sizeof(T));
        return;
    }
    if (b.column == 1) {
        for (int64_t p = 0; p < k; ++p) std::memcpy(to + p * width, b.data + p * b.row, size_t(columns) * sizeof(T));
        return;
    }
    for (int64_t first = 0; first < k; first += line)  // a line of each column at a time
        for (int64_t q = 0; q < columns; ++q)
            for (int64_t p = first; p < std::min(k, first + line); ++p)
                to[p * width + q] = b.data[p * b.row + q * b.column];
}

/// c[m, n] = a[m, k] b[k, n], k not 0; `packed_a` and `packed_b` have room for what Blocks says, 64-byte aligned.
template <class T>
void packed_product(int64_t m, int64_t k, int64_t n, const Matrix<T>& a, const Matrix<T>& b, T* c, int64_t ldc,
                    T* packed_a, T* packed_b) {
    assert(k > 0 && "c would not be written");
    using B = Blocks<T>;
    constexpr int64_t width = panel_columns<T>, group = B::group;
    constexpr int64_t often = 128;  // columns for which rows that lie as rows are worth packing
    const bool packs_a = a.column != 1 || n > often;
    for (int64_t column = 0; column < n; column += B::columns) {
        const int64_t columns = std::min(B::columns, n - column);
        for (int64_t first = 0; first < k; first += B::k) {
            const int64_t depth = std::min(B::k, k - first);
            for (int64_t row = 0; row < m; row += B::rows) {
                check_interrupt();
                const int64_t rows = std::min(B::rows, m - row);
                if (packs_a) pack_rows(a.at(row, first), rows, depth, packed_a);
                for (int64_t j = 0; j < columns; j += width) {
                    const int64_t wide = std::min(width, columns - j);
                    // Where all rows are one block, a panel is read but once: its group has the same place as the one before.
                    T* const panel = packed_b + (m > B::rows ? j : j % group) * depth;
                    if (row == 0 && j % group == 0)
                        for (int64_t q = 0; q < std::min(group, columns - j); q += width)
                            pack_panel(b.at(first, column + j + q), depth, std::min(width, columns - j - q),
                                       panel + q * depth);
                    const MicroKernel<T>* const kernels = packs_a ? micro_kernels<T, Operands::packed>(wide)
                                                                  : micro_kernels<T, Operands::as_they_lie>(wide);
                    const auto mask = Vector<T>::first(wide % Vector<T>::lanes);
                    for (int64_t i = 0; i < rows; i += micro_rows) {
                        const Matrix<T> left =
                            packs_a ? Matrix<T>{packed_a + i * depth, 1, micro_rows} : a.at(row + i, first);
                        kernels[std::min(micro_rows, rows - i) - 1](
                            depth, left, panel, width, c + (row + i) * ldc + column + j, ldc, mask, first > 0);
                    }
                }
            }
        }
    }
}

}  // namespace tenon::contract
