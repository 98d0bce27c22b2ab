// Vectors of 256 bits, in which places are gathered whatever products are computed with.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace tenon::convolution {

template <class T>
struct Vector;
template <>
struct Vector<float> {
    using Type = __m256;
    using MaskLane = int32_t;
    static constexpr int64_t lanes = 8;
    static Type load(const float* p) { return _mm256_loadu_ps(p); }
    static Type load(const float* p, __m256i m) { return _mm256_maskload_ps(p, m); }
    static void store(float* p, Type v) { _mm256_storeu_ps(p, v); }
    static void store(float* p, __m256i m, Type v) { _mm256_maskstore_ps(p, m, v); }
    static __m256i first(int64_t n) {
        return _mm256_cmpgt_epi32(_mm256_set1_epi32(int(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    }
    static Type all(float x) { return _mm256_set1_ps(x); }
    static Type fma(Type a, Type b, Type c) { return _mm256_fmadd_ps(a, b, c); }
    static __m256 gather(const float* p, const int32_t* offsets, __m256i mask) {
        return _mm256_mask_i32gather_ps(_mm256_setzero_ps(), p,
                                        _mm256_load_si256(reinterpret_cast<const __m256i*>(offsets)),
                                        _mm256_castsi256_ps(mask), 4);
    }
    static __m256 either(__m256 a, __m256 b) { return _mm256_or_ps(a, b); }
    // The first of 0, 2, … 14, by loads that end with the last of them.
    static __m256 every_second(const float* p) {
        const __m256 mixed = _mm256_shuffle_ps(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 7), _MM_SHUFFLE(3, 1, 2, 0));
        return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(mixed), _MM_SHUFFLE(3, 1, 2, 0)));
    }
    static void transpose(__m256 (&v)[8]) {
        __m256 t[8], u[8];
        _Pragma("GCC unroll 4") for (int k = 0; k < 8; k += 2) {
            t[k] = _mm256_unpacklo_ps(v[k], v[k + 1]);
            t[k + 1] = _mm256_unpackhi_ps(v[k], v[k + 1]);
        }
        _Pragma("GCC unroll 2") for (int k = 0; k < 8; k += 4) _Pragma("GCC unroll 2") for (int j = 0; j < 2; ++j) {
            u[k + 2 * j] = _mm256_shuffle_ps(t[k + j], t[k + 2 + j], _MM_SHUFFLE(1, 0, 1, 0));
            u[k + 2 * j + 1] = _mm256_shuffle_ps(t[k + j], t[k + 2 + j], _MM_SHUFFLE(3, 2, 3, 2));
        }
        _Pragma("GCC unroll 4") for (int k = 0; k < 4; ++k) {
            v[k] = _mm256_permute2f128_ps(u[k], u[k + 4], 0x20);
            v[k + 4] = _mm256_permute2f128_ps(u[k], u[k + 4], 0x31);
        }
    }
};
template <>
struct Vector<double> {
    using Type = __m256d;
    using MaskLane = int64_t;
    static constexpr int64_t lanes = 4;
    static Type load(const double* p) { return _mm256_loadu_pd(p); }
    static Type load(const double* p, __m256i m) { return _mm256_maskload_pd(p, m); }
    static void store(double* p, Type v) { _mm256_storeu_pd(p, v); }
    static void store(double* p, __m256i m, Type v) { _mm256_maskstore_pd(p, m, v); }
    static __m256i first(int64_t n) {
        return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
    }
    static Type all(double x) { return _mm256_set1_pd(x); }
    static Type fma(Type a, Type b, Type c) { return _mm256_fmadd_pd(a, b, c); }
    static __m256d gather(const double* p, const int32_t* offsets, __m256i mask) {
        return _mm256_mask_i32gather_pd(_mm256_setzero_pd(), p,
                                        _mm_load_si128(reinterpret_cast<const __m128i*>(offsets)),
                                        _mm256_castsi256_pd(mask), 8);
    }
    static __m256d either(__m256d a, __m256d b) { return _mm256_or_pd(a, b); }
    static __m256d every_second(const double* p) {
        const __m256d mixed = _mm256_shuffle_pd(_mm256_loadu_pd(p), _mm256_loadu_pd(p + 3), 0b1010);  // 0 4 2 6
        return _mm256_permute4x64_pd(mixed, _MM_SHUFFLE(3, 1, 2, 0));
    }
    static void transpose(__m256d (&v)[4]) {
        const __m256d a = _mm256_unpacklo_pd(v[0], v[1]), b = _mm256_unpackhi_pd(v[0], v[1]),
                      c = _mm256_unpacklo_pd(v[2], v[3]), d = _mm256_unpackhi_pd(v[2], v[3]);
        v[0] = _mm256_permute2f128_pd(a, c, 0x20);
        v[1] = _mm256_permute2f128_pd(b, d, 0x20);
        v[2] = _mm256_permute2f128_pd(a, c, 0x31);
        v[3] = _mm256_permute2f128_pd(b, d, 0x31);
    }
};

}  // namespace tenon::convolution
