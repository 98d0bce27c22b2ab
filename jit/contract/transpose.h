// Lines of neighbours into vectors across the lines, in registers: for packing, and for what is used too seldom to be packed.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "runtime/dtype.h"

namespace tenon::contract {

namespace detail {

// Half a vector of elements, widened.
inline __m128i bytes4(const void* p) {
    int32_t word;
    std::memcpy(&word, p, 4);
    return _mm_cvtsi32_si128(word);
}
inline __m128i bytes8(const void* p) { return _mm_loadl_epi64(static_cast<const __m128i*>(p)); }
inline __m128 four(__m128i words) { return _mm_castsi128_ps(words); }

inline __m256 joined(__m128 low, __m128 high) { return _mm256_insertf128_ps(_mm256_castps128_ps256(low), high, 1); }
inline __m256d joined(__m128d low, __m128d high) { return _mm256_insertf128_pd(_mm256_castpd128_pd256(low), high, 1); }

}  // namespace detail

inline __m128 half_vector(const float* p) { return _mm_loadu_ps(p); }
inline __m128 half_vector(const int32_t* p) { return _mm_loadu_ps(reinterpret_cast<const float*>(p)); }
inline __m128 half_vector(const Half* p) { return _mm_cvtph_ps(detail::bytes8(p)); }
inline __m128 half_vector(const BFloat16* p) {
    return detail::four(_mm_slli_epi32(_mm_cvtepu16_epi32(detail::bytes8(p)), 16));
}
inline __m128 half_vector(const int16_t* p) { return detail::four(_mm_cvtepi16_epi32(detail::bytes8(p))); }
inline __m128 half_vector(const int8_t* p) { return detail::four(_mm_cvtepi8_epi32(detail::bytes4(p))); }
inline __m128 half_vector(const uint8_t* p) { return detail::four(_mm_cvtepu8_epi32(detail::bytes4(p))); }
inline __m128d half_vector(const double* p) { return _mm_loadu_pd(p); }
inline __m128d half_vector(const int64_t* p) { return _mm_loadu_pd(reinterpret_cast<const double*>(p)); }

template <size_t size>
struct Transposed;
template <>
struct Transposed<4> {
    static constexpr int lanes = 8, count = 4;
    __m256 rows[count];
};
template <>
struct Transposed<8> {
    static constexpr int lanes = 4, count = 2;
    __m256d rows[count];
};

/// Whether equal elements of lines, so many elements apart, stand in the same set of the first cache: more than eight such lines
/// drive each other out while they are read side by side.
template <class E>
bool share_a_set(int64_t line) {
    return line * int64_t(sizeof(E)) % 4096 == 0;
}

/// Half a vector of elements of as many lines as a vector has lanes: row q of the result has the q-th element of all lines, where
/// line(i) is where those of line i are.
template <class T, class Line>
inline Transposed<sizeof(T)> transposed(Line line) {
    using detail::joined;
    if constexpr (sizeof(T) == 4) {
        const __m256 a = joined(half_vector(line(0)), half_vector(line(4))),
                     b = joined(half_vector(line(1)), half_vector(line(5))),
                     c = joined(half_vector(line(2)), half_vector(line(6))),
                     d = joined(half_vector(line(3)), half_vector(line(7)));
        const __m256d ab = _mm256_castps_pd(_mm256_unpacklo_ps(a, b)), cd = _mm256_castps_pd(_mm256_unpacklo_ps(c, d)),
                      ab2 = _mm256_castps_pd(_mm256_unpackhi_ps(a, b)),
                      cd2 = _mm256_castps_pd(_mm256_unpackhi_ps(c, d));
        return {{_mm256_castpd_ps(_mm256_unpacklo_pd(ab, cd)), _mm256_castpd_ps(_mm256_unpackhi_pd(ab, cd)),
                 _mm256_castpd_ps(_mm256_unpacklo_pd(ab2, cd2)), _mm256_castpd_ps(_mm256_unpackhi_pd(ab2, cd2))}};
    } else {
        const __m256d a = joined(half_vector(line(0)), half_vector(line(2))),
                      b = joined(half_vector(line(1)), half_vector(line(3)));
        return {{_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b)}};
    }
}

}  // namespace tenon::contract
