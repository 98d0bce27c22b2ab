// Vectors of AVX2, as micro_kernel.inc computes with them.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace tenon::contract::avx2 {

template <class T>
struct Vector;

constexpr int most_rows = 6, register_tiles[] = {8, 4, 4};  // 12 sums

struct Masks32 {
    using Mask = __m256i;
    static constexpr int lanes = 8;
    static Mask first(int64_t n) {
        return _mm256_cmpgt_epi32(_mm256_set1_epi32(int(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    }
    static __m256 add(__m256 a, __m256 b) { return _mm256_add_ps(a, b); }
    static __m256i add(__m256i a, __m256i b) { return _mm256_add_epi32(a, b); }
};
struct Masks64 {
    using Mask = __m256i;
    static constexpr int lanes = 4;
    static Mask first(int64_t n) { return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3)); }
    static __m256d add(__m256d a, __m256d b) { return _mm256_add_pd(a, b); }
    static __m256i add(__m256i a, __m256i b) { return _mm256_add_epi64(a, b); }
};
template <>
struct Vector<float> : Masks32 {
    using Type = __m256;
    static Type load(const float* p) { return _mm256_loadu_ps(p); }
    static Type load(const float* p, Mask m) { return _mm256_maskload_ps(p, m); }
    static void store(float* p, Type v) { _mm256_storeu_ps(p, v); }
    static void store(float* p, Mask m, Type v) { _mm256_maskstore_ps(p, m, v); }
    static Type all(float x) { return _mm256_set1_ps(x); }
    static Type multiply_add(Type a, Type b, Type c) { return _mm256_fmadd_ps(a, b, c); }
};
template <>
struct Vector<double> : Masks64 {
    using Type = __m256d;
    static Type load(const double* p) { return _mm256_loadu_pd(p); }
    static Type load(const double* p, Mask m) { return _mm256_maskload_pd(p, m); }
    static void store(double* p, Type v) { _mm256_storeu_pd(p, v); }
    static void store(double* p, Mask m, Type v) { _mm256_maskstore_pd(p, m, v); }
    static Type all(double x) { return _mm256_set1_pd(x); }
    static Type multiply_add(Type a, Type b, Type c) { return _mm256_fmadd_pd(a, b, c); }
};
template <>
struct Vector<uint32_t> : Masks32 {
    using Type = __m256i;
    static Type load(const uint32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
    static Type load(const uint32_t* p, Mask m) { return _mm256_maskload_epi32(reinterpret_cast<const int*>(p), m); }
    static void store(uint32_t* p, Type v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
    static void store(uint32_t* p, Mask m, Type v) { _mm256_maskstore_epi32(reinterpret_cast<int*>(p), m, v); }
    static Type all(uint32_t x) { return _mm256_set1_epi32(int(x)); }
    static Type multiply_add(Type a, Type b, Type c) { return _mm256_add_epi32(_mm256_mullo_epi32(a, b), c); }
};
template <>
struct Vector<uint64_t> : Masks64 {
    using Type = __m256i;
    static Type load(const uint64_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
    static Type load(const uint64_t* p, Mask m) {
        return _mm256_maskload_epi64(reinterpret_cast<const long long*>(p), m);
    }
    static void store(uint64_t* p, Type v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
    static void store(uint64_t* p, Mask m, Type v) { _mm256_maskstore_epi64(reinterpret_cast<long long*>(p), m, v); }
    static Type all(uint64_t x) { return _mm256_set1_epi64x(int64_t(x)); }
    static Type multiply_add(Type a, Type b, Type c) {  // by halves: there is no product of 64 bits
        const Type crosswise = _mm256_add_epi64(_mm256_mul_epu32(_mm256_srli_epi64(a, 32), b),
                                                _mm256_mul_epu32(a, _mm256_srli_epi64(b, 32)));
        return _mm256_add_epi64(c, _mm256_add_epi64(_mm256_mul_epu32(a, b), _mm256_slli_epi64(crosswise, 32)));
    }
};

}  // namespace tenon::contract::avx2
