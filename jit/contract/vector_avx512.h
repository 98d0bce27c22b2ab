// Vectors of AVX-512, as micro_kernel.inc computes with them.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace tenon::contract::avx512 {

template <class T>
struct Vector;

constexpr int most_rows = 12, register_tiles[] = {8, 8, 8};  // 24 sums; vectors for 1, 2 and 3 rows

template <int count, class Bits>
struct Masks {
    using Mask = Bits;
    static constexpr int lanes = count;
    static Mask first(int64_t n) { return Mask((1u << n) - 1); }
    static __m512 add(__m512 a, __m512 b) { return _mm512_add_ps(a, b); }
    static __m512d add(__m512d a, __m512d b) { return _mm512_add_pd(a, b); }
    static __m512i add(__m512i a, __m512i b) {
        return count == 16 ? _mm512_add_epi32(a, b) : _mm512_add_epi64(a, b);
    }
};
template <>
struct Vector<float> : Masks<16, __mmask16> {
    using Type = __m512;
    static Type load(const float* p) { return _mm512_loadu_ps(p); }
    static Type load(const float* p, Mask m) { return _mm512_maskz_loadu_ps(m, p); }
    static void store(float* p, Type v) { _mm512_storeu_ps(p, v); }
    static void store(float* p, Mask m, Type v) { _mm512_mask_storeu_ps(p, m, v); }
    static Type all(float x) { return _mm512_set1_ps(x); }
    static Type multiply_add(Type a, Type b, Type c) { return _mm512_fmadd_ps(a, b, c); }
};
template <>
struct Vector<double> : Masks<8, __mmask8> {
    using Type = __m512d;
    static Type load(const double* p) { return _mm512_loadu_pd(p); }
    static Type load(const double* p, Mask m) { return _mm512_maskz_loadu_pd(m, p); }
    static void store(double* p, Type v) { _mm512_storeu_pd(p, v); }
    static void store(double* p, Mask m, Type v) { _mm512_mask_storeu_pd(p, m, v); }
    static Type all(double x) { return _mm512_set1_pd(x); }
    static Type multiply_add(Type a, Type b, Type c) { return _mm512_fmadd_pd(a, b, c); }
};
template <>
struct Vector<uint32_t> : Masks<16, __mmask16> {
    using Type = __m512i;
    static Type load(const uint32_t* p) { return _mm512_loadu_si512(p); }
    static Type load(const uint32_t* p, Mask m) { return _mm512_maskz_loadu_epi32(m, p); }
    static void store(uint32_t* p, Type v) { _mm512_storeu_si512(p, v); }
    static void store(uint32_t* p, Mask m, Type v) { _mm512_mask_storeu_epi32(p, m, v); }
    static Type all(uint32_t x) { return _mm512_set1_epi32(int(x)); }
    static Type multiply_add(Type a, Type b, Type c) { return _mm512_add_epi32(_mm512_mullo_epi32(a, b), c); }
};
template <>
struct Vector<uint64_t> : Masks<8, __mmask8> {
    using Type = __m512i;
    static Type load(const uint64_t* p) { return _mm512_loadu_si512(p); }
    static Type load(const uint64_t* p, Mask m) { return _mm512_maskz_loadu_epi64(m, p); }
    static void store(uint64_t* p, Type v) { _mm512_storeu_si512(p, v); }
    static void store(uint64_t* p, Mask m, Type v) { _mm512_mask_storeu_epi64(p, m, v); }
    static Type all(uint64_t x) { return _mm512_set1_epi64(int64_t(x)); }
    static Type multiply_add(Type a, Type b, Type c) { return _mm512_add_epi64(_mm512_mullo_epi64(a, b), c); }
};

}  // namespace tenon::contract::avx512
