// A few rows times a panel of columns, held in registers: what every matrix product of f32 and f64 is made of. Each element is
// one chain of fma over ascending k, so its bits depend on nothing else.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace tenon::contract {

template <class T>
struct Vector;
template <>
struct Vector<float> {
    using Type = __m256;
    using Mask = __m256i;
    static constexpr int lanes = 8;
    static Mask first(int64_t n) {
        return _mm256_cmpgt_epi32(_mm256_set1_epi32(int(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    }
    static Type load(const float* p) { return _mm256_loadu_ps(p); }
    static Type load(const float* p, Mask m) { return _mm256_maskload_ps(p, m); }
    static void store(float* p, Type v) { _mm256_storeu_ps(p, v); }
    static void store(float* p, Mask m, Type v) { _mm256_maskstore_ps(p, m, v); }
    static Type all(float x) { return _mm256_set1_ps(x); }
    static Type fma(Type a, Type b, Type c) { return _mm256_fmadd_ps(a, b, c); }
};
template <>
struct Vector<double> {
    using Type = __m256d;
    using Mask = __m256i;
    static constexpr int lanes = 4;
    static Mask first(int64_t n) { return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3)); }
    static Type load(const double* p) { return _mm256_loadu_pd(p); }
    static Type load(const double* p, Mask m) { return _mm256_maskload_pd(p, m); }
    static void store(double* p, Type v) { _mm256_storeu_pd(p, v); }
    static void store(double* p, Mask m, Type v) { _mm256_maskstore_pd(p, m, v); }
    static Type all(double x) { return _mm256_set1_pd(x); }
    static Type fma(Type a, Type b, Type c) { return _mm256_fmadd_pd(a, b, c); }
};

// A matrix as it lies: element (i, j) stands at data[i·row + j·column].
template <class T>
struct Matrix {
    const T* data;
    int64_t row, column;
    Matrix at(int64_t i, int64_t j) const { return {data + i * row + j * column, row, column}; }
    Matrix transposed() const { return {data, column, row}; }
};

constexpr int64_t micro_rows = 6, micro_vectors = 2;  // 12 sums, and 3 registers for what they are made of
template <class T>
constexpr int64_t panel_columns = micro_vectors * Vector<T>::lanes;

enum class Operands : uint8_t {
    as_they_lie,
    packed
};  // packed: element (i, p) at i + p·micro_rows, a whole panel of b

// c[rows, columns] = a b for at most micro_rows rows and some vectors of columns; `partial`: the last vector is not full, and
// `mask` has its lanes. Row p of b stands at b + p·ldb. With `continues`, the sums go on from what is in c. Unrolled, so that
// they stay in registers.
template <class T, int rows, int vectors, bool partial, Operands operands>
void micro_kernel(int64_t k, const Matrix<T>& a, const T* b, int64_t ldb, T* c, int64_t ldc,
                  typename Vector<T>::Mask mask, bool continues) {
    using V = Vector<T>;
    constexpr bool packed = operands == Operands::packed;
    const int64_t a_row = packed ? 1 : a.row, a_column = packed ? micro_rows : a.column;
    const int64_t b_row = packed ? panel_columns<T> : ldb;
    typename V::Type sums[rows][vectors];
    _Pragma("GCC unroll 8") for (int i = 0; i < rows; ++i) {
        _Pragma("GCC unroll 8") for (int j = 0; j < vectors; ++j) {
            const T* const from = c + i * ldc + j * V::lanes;
            if (!continues) sums[i][j] = V::all(T(0));
            else sums[i][j] = partial && j == vectors - 1 ? V::load(from, mask) : V::load(from);
        }
    }
    const T* left = a.data;
    for (int64_t p = 0; p < k; ++p, left += a_column, b += b_row) {
        typename V::Type right[vectors];
        _Pragma("GCC unroll 8") for (int j = 0; j < vectors; ++j) {
            const T* const from = b + j * V::lanes;
            right[j] = partial && !packed && j == vectors - 1 ? V::load(from, mask) : V::load(from);
        }
        _Pragma("GCC unroll 8") for (int i = 0; i < rows; ++i) {
            const typename V::Type x = V::all(left[i * a_row]);
            _Pragma("GCC unroll 8") for (int j = 0; j < vectors; ++j) sums[i][j] = V::fma(x, right[j], sums[i][j]);
        }
    }
    _Pragma("GCC unroll 8") for (int i = 0; i < rows; ++i) {
        _Pragma("GCC unroll 8") for (int j = 0; j < vectors; ++j) {
            T* const to = c + i * ldc + j * V::lanes;
            if (partial && j == vectors - 1) V::store(to, mask, sums[i][j]);
            else V::store(to, sums[i][j]);
        }
    }
}

template <class T>
using MicroKernel = void (*)(int64_t, const Matrix<T>&, const T*, int64_t, T*, int64_t, typename Vector<T>::Mask, bool);

template <class T, int vectors, bool partial, Operands operands>
constexpr MicroKernel<T> micro_kernels_of[micro_rows] = {
    micro_kernel<T, 1, vectors, partial, operands>, micro_kernel<T, 2, vectors, partial, operands>,
    micro_kernel<T, 3, vectors, partial, operands>, micro_kernel<T, 4, vectors, partial, operands>,
    micro_kernel<T, 5, vectors, partial, operands>, micro_kernel<T, 6, vectors, partial, operands>};

// By rows, from 1, for a panel of so many columns.
template <class T, Operands operands>
const MicroKernel<T>* micro_kernels(int64_t columns) {
    const bool partial = columns % Vector<T>::lanes != 0;
    if (columns > Vector<T>::lanes)
        return partial ? micro_kernels_of<T, 2, true, operands> : micro_kernels_of<T, 2, false, operands>;
    return partial ? micro_kernels_of<T, 1, true, operands> : micro_kernels_of<T, 1, false, operands>;
}

}  // namespace tenon::contract
