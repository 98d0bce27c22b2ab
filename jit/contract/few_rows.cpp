#include "jit/contract/few_rows.h"

#include <algorithm>
#include <cassert>

#include "jit/contract/transpose.h"
#include "runtime/interrupt.h"

namespace tenon::contract {

namespace {

inline __m256 everywhere(float x) { return _mm256_set1_ps(x); }
inline __m256d everywhere(double x) { return _mm256_set1_pd(x); }
inline __m256 multiply_add(__m256 a, __m256 b, __m256 c) { return _mm256_fmadd_ps(a, b, c); }
inline __m256d multiply_add(__m256d a, __m256d b, __m256d c) { return _mm256_fmadd_pd(a, b, c); }
inline void store(float* to, __m256 v) { _mm256_storeu_ps(to, v); }
inline void store(double* to, __m256d v) { _mm256_storeu_pd(to, v); }
inline __m256 load(const float* from) { return _mm256_loadu_ps(from); }
inline __m256d load(const double* from) { return _mm256_loadu_pd(from); }

// So many vectors of columns, or fewer columns than lanes: chains of one go on while the elements of the next are on their way.
// A cache line of each line is used up before those of others, which may stand in the same set of the cache.
template <class T, int rows, int vectors, bool partial>
void few_rows(int64_t columns, int64_t k, const Lines<T>& a, const Lines<T>& b, T* c, int64_t c_row) {
    using Block = Transposed<sizeof(T)>;
    using V = decltype(everywhere(T()));
    constexpr int lanes = Block::lanes, half = Block::count;
    constexpr int64_t line = 64 / int64_t(sizeof(T));
    const auto at = [&](int g, int64_t p) {
        return [from = b.data + g * lanes * b.line + p, step = b.line, columns](int i) {
            return from + (partial ? std::min<int64_t>(i, columns - 1) : i) * step;
        };
    };
    V sums[rows][vectors];
    _Pragma("GCC unroll 8") for (int i = 0; i < rows; ++i) {
        _Pragma("GCC unroll 4") for (int g = 0; g < vectors; ++g) sums[i][g] = everywhere(T(0));
    }
    const int64_t whole = k / half * half;
    for (int64_t begin = 0; begin < whole; begin += line) {
        const int64_t end = std::min(begin + line, whole);
        _Pragma("GCC unroll 4") for (int g = 0; g < vectors; ++g) {
            for (int64_t p = begin; p < end; p += half) {
                const Block block = transposed<T>(at(g, p));
                _Pragma("GCC unroll 4") for (int q = 0; q < half; ++q) {
                    _Pragma("GCC unroll 8") for (int i = 0; i < rows; ++i) sums[i][g] =
                        multiply_add(everywhere(a.data[i * a.line + (p + q) * a.step]), block.rows[q], sums[i][g]);
                }
            }
        }
    }
    _Pragma("GCC unroll 8") for (int i = 0; i < rows; ++i) {
        _Pragma("GCC unroll 4") for (int g = 0; g < vectors; ++g) {
            T across[lanes];
            for (int64_t p = whole; p < k; ++p) {
                for (int r = 0; r < lanes; ++r) across[r] = *at(g, p)(r);
                sums[i][g] = multiply_add(everywhere(a.data[i * a.line + p * a.step]), load(across), sums[i][g]);
            }
            T* const to = c + i * c_row + g * lanes;
            store(partial ? across : to, sums[i][g]);
            if (partial) std::copy(across, across + columns, to);
        }
    }
}

template <class T, int rows, int vectors>
void all_columns(int64_t columns, int64_t k, const Lines<T>& a, const Lines<T>& b, T* c, int64_t c_row) {
    constexpr int64_t lanes = Transposed<sizeof(T)>::lanes;
    int64_t j = 0;
    if (!share_a_set<T>(b.line))
        for (; j + vectors * lanes <= columns; j += vectors * lanes) {
            check_interrupt();
            few_rows<T, rows, vectors, false>(vectors * lanes, k, a, b.at(j, 0), c + j, c_row);
        }
    for (; j + lanes <= columns; j += lanes) {
        check_interrupt();
        few_rows<T, rows, 1, false>(lanes, k, a, b.at(j, 0), c + j, c_row);
    }
    if (j < columns) few_rows<T, rows, 1, true>(columns - j, k, a, b.at(j, 0), c + j, c_row);
}

}  // namespace

template <class T>
void multiply_few_rows(int64_t rows, int64_t columns, int64_t k, const Lines<T>& a, const Lines<T>& b, T* c,
                       int64_t c_row) {
    assert(rows > 0 && rows <= most_few_rows && b.step == 1);
    constexpr void (*by_rows[])(int64_t, int64_t, const Lines<T>&, const Lines<T>&, T*, int64_t) = {
        all_columns<T, 1, 4>, all_columns<T, 2, 2>};
    by_rows[rows - 1](columns, k, a, b, c, c_row);
}

template void multiply_few_rows(int64_t, int64_t, int64_t, const Lines<float>&, const Lines<float>&, float*, int64_t);
template void multiply_few_rows(int64_t, int64_t, int64_t, const Lines<double>&, const Lines<double>&, double*,
                                int64_t);

}  // namespace tenon::contract
