// The vector algebra on SIMD registers: Pack<T, N> is N lanes of T. Instantiated in one namespace an instruction set,
// so that no function compiled for AVX-512 can be linked into what runs without it.
//
// Files of this folder that include it must not call anything inline from elsewhere that is not always inlined: such a
// function, compiled here for AVX-512, could be the copy the linker keeps.
#pragma once
#include <immintrin.h>

#include <cstdint>
#include <type_traits>

#include "ir/scalar/algebra.h"

#pragma GCC diagnostic ignored "-Wpsabi"  // vectors wider than a register are passed between inlined functions only

#ifdef __AVX512F__
#define TENON_ISA avx512
#else
#define TENON_ISA avx2
#endif
#define TENON_INLINE [[gnu::always_inline]] inline

namespace tenon::TENON_ISA {

#ifdef __AVX512F__
constexpr int vector_bytes = 64;
#else
constexpr int vector_bytes = 32;
#endif

template <class T, int N>
struct VectorOf {
    using Type [[gnu::vector_size(sizeof(T) * N)]] = T;
};
template <class T, int N> using Vector = typename VectorOf<T, N>::Type;

// All bits of a lane, of the width of I, or none.
template <class I, int N>
struct PackMask {
    Vector<I, N> value;

    TENON_INLINE friend PackMask operator&(PackMask a, PackMask b) { return {a.value & b.value}; }
    TENON_INLINE friend PackMask operator|(PackMask a, PackMask b) { return {a.value | b.value}; }
    TENON_INLINE friend PackMask operator^(PackMask a, PackMask b) { return {a.value ^ b.value}; }
    TENON_INLINE friend PackMask operator!(PackMask a) { return {~a.value}; }

    TENON_INLINE bool any() const {
        if constexpr (sizeof(value) == 16) {
            return _mm_movemask_epi8((__m128i)value) != 0;
        } else if constexpr (sizeof(value) == 32) {
            return _mm256_movemask_epi8((__m256i)value) != 0;
        } else {
            I all = 0;
            for (int i = 0; i < N; ++i) all |= value[i];
            return all != 0;
        }
    }
};

template <class T, int N>
struct Pack {
    using Element = T;
    template <class U> using With = Pack<U, N>;
    using Integer = typename scalar::IntegerOf<T>::Type;
    using Mask = PackMask<Integer, N>;

    Vector<T, N> value;

    TENON_INLINE static Pack splat(T c) {
        Pack pack;
        for (int i = 0; i < N; ++i) pack.value[i] = c;
        return pack;
    }
    TENON_INLINE static Pack load(const T* p) {
        Pack pack;
        __builtin_memcpy(&pack.value, p, sizeof pack.value);
        return pack;
    }
    TENON_INLINE void store(T* p) const { __builtin_memcpy(p, &value, sizeof value); }

    TENON_INLINE friend Pack operator+(Pack a, Pack b) {
        return {(Vector<T, N>)((Wrapping)a.value + (Wrapping)b.value)};
    }
    TENON_INLINE friend Pack operator-(Pack a, Pack b) {
        return {(Vector<T, N>)((Wrapping)a.value - (Wrapping)b.value)};
    }
    TENON_INLINE friend Pack operator*(Pack a, Pack b) {
        return {(Vector<T, N>)((Wrapping)a.value * (Wrapping)b.value)};
    }
    TENON_INLINE friend Pack operator-(Pack a) { return {(Vector<T, N>)(-(Wrapping)a.value)}; }
    TENON_INLINE friend Pack operator/(Pack a, Pack b) { return {a.value / b.value}; }
    TENON_INLINE friend Pack quotient(Pack a, Pack b) { return {a.value / b.value}; }
    TENON_INLINE friend Pack operator&(Pack a, Pack b) { return {a.value & b.value}; }
    TENON_INLINE friend Pack operator|(Pack a, Pack b) { return {a.value | b.value}; }
    TENON_INLINE friend Pack operator^(Pack a, Pack b) { return {a.value ^ b.value}; }
    TENON_INLINE friend Pack operator~(Pack a) { return {~a.value}; }
    TENON_INLINE friend Mask operator<(Pack a, Pack b) { return {a.value < b.value}; }
    TENON_INLINE friend Mask operator<=(Pack a, Pack b) { return {a.value <= b.value}; }
    TENON_INLINE friend Mask operator>(Pack a, Pack b) { return {a.value > b.value}; }
    TENON_INLINE friend Mask operator>=(Pack a, Pack b) { return {a.value >= b.value}; }
    TENON_INLINE friend Mask operator==(Pack a, Pack b) { return {a.value == b.value}; }
    TENON_INLINE friend Mask operator!=(Pack a, Pack b) { return {a.value != b.value}; }

    TENON_INLINE friend Pack like(Pack, T c) { return splat(c); }
    TENON_INLINE friend Pack select(Mask m, Pack a, Pack b) { return {m.value ? a.value : b.value}; }
    TENON_INLINE friend Pack shift_left(Pack a, int n) { return {(Vector<T, N>)((Wrapping)a.value << n)}; }
    TENON_INLINE friend Pack shift_right(Pack a, int n) { return {a.value >> n}; }
    TENON_INLINE friend Pack shift_left(Pack a, Pack n) {
        return {(Vector<T, N>)((Wrapping)a.value << (Wrapping)n.value)};
    }
    TENON_INLINE friend Pack shift_right(Pack a, Pack n) { return {a.value >> n.value}; }
    TENON_INLINE friend Pack<Integer, N> bits(Pack a) { return {(Vector<Integer, N>)a.value}; }
    TENON_INLINE friend auto float_bits(Pack a) {
        using F = std::conditional_t<sizeof(T) == 4, float, double>;
        return Pack<F, N>{(Vector<F, N>)a.value};
    }
    TENON_INLINE friend Pack abs(Pack a) {
        auto magnitude = (Vector<Integer, N>)a.value & ~Pack<Integer, N>::splat(scalar::Format<T>::sign_bit).value;
        return {(Vector<T, N>)magnitude};
    }

private:
    template <class U, bool = std::is_integral_v<U>> struct WrappingOf {
        using Type = std::make_unsigned_t<U>;
    };
    template <class U> struct WrappingOf<U, false> {
        using Type = U;
    };
    using Wrapping = Vector<typename WrappingOf<T>::Type, N>;
};

// A lane at a time, which g++ turns into the instruction for all lanes, whatever the width.
template <class T, int N, class F>
TENON_INLINE Pack<T, N> each_lane(F f) {
    Pack<T, N> result;
    for (int i = 0; i < N; ++i) result.value[i] = f(i);
    return result;
}

#define TENON_LANES(name, builtin)                                                             \
    template <class T, int N>                                                                  \
    TENON_INLINE Pack<T, N> name(Pack<T, N> a) {                                               \
        if constexpr (sizeof(T) == 4) {                                                        \
            return each_lane<T, N>([&](int i) { return __builtin_##builtin##f(a.value[i]); }); \
        } else {                                                                               \
            return each_lane<T, N>([&](int i) { return __builtin_##builtin(a.value[i]); });    \
        }                                                                                      \
    }
TENON_LANES(sqrt, sqrt)
TENON_LANES(floor, floor)
TENON_LANES(ceil, ceil)
TENON_LANES(trunc, trunc)
TENON_LANES(round_even, nearbyint)
#undef TENON_LANES

// By name where there is an instruction of the width: g++ 12 does not find it in long definitions.
template <class T, int N>
TENON_INLINE Pack<T, N> fma(Pack<T, N> a, Pack<T, N> b, Pack<T, N> c) {
    constexpr bool single = sizeof(T) == 4;
    constexpr int bytes = N * int(sizeof(T));
    if constexpr (single && bytes == 16) {
        return {(Vector<T, N>)_mm_fmadd_ps((__m128)a.value, (__m128)b.value, (__m128)c.value)};
    } else if constexpr (single && bytes == 32) {
        return {(Vector<T, N>)_mm256_fmadd_ps((__m256)a.value, (__m256)b.value, (__m256)c.value)};
    } else if constexpr (bytes == 32) {
        return {(Vector<T, N>)_mm256_fmadd_pd((__m256d)a.value, (__m256d)b.value, (__m256d)c.value)};
#ifdef __AVX512F__
    } else if constexpr (single && bytes == 64) {
        return {(Vector<T, N>)_mm512_fmadd_ps((__m512)a.value, (__m512)b.value, (__m512)c.value)};
    } else if constexpr (bytes == 64) {
        return {(Vector<T, N>)_mm512_fmadd_pd((__m512d)a.value, (__m512d)b.value, (__m512d)c.value)};
#endif
    } else if constexpr (single) {
        return each_lane<T, N>([&](int i) { return __builtin_fmaf(a.value[i], b.value[i], c.value[i]); });
    } else {
        return each_lane<T, N>([&](int i) { return __builtin_fma(a.value[i], b.value[i], c.value[i]); });
    }
}

template <class T, int N>
TENON_INLINE Pack<T, N> scaled(Pack<T, N> m, [[maybe_unused]] Pack<T, N> n,
                               [[maybe_unused]] scalar::Bits<Pack<T, N>> biased) {
#ifdef __AVX512F__
    constexpr int bytes = N * int(sizeof(T));
    if constexpr (bytes == 64 && sizeof(T) == 4)
        return {(Vector<T, N>)_mm512_scalef_ps((__m512)m.value, (__m512)n.value)};
    else if constexpr (bytes == 64) return {(Vector<T, N>)_mm512_scalef_pd((__m512d)m.value, (__m512d)n.value)};
    else
#endif
        return scalar::scaled_in_two(m, biased);
}

template <class U, class T, int N>
TENON_INLINE Pack<U, N> convert(Pack<T, N> a) {
    if constexpr (std::is_integral_v<T> && std::is_integral_v<U> && sizeof(T) == sizeof(U)) {
        return {(Vector<U, N>)a.value};
    } else {
        return {__builtin_convertvector(a.value, Vector<U, N>)};
    }
}

template <class U, class T, int N>
TENON_INLINE Pack<U, N> like_as(Pack<T, N>, U c) {
    return Pack<U, N>::splat(c);
}

// The low halves of x times a number of 32 bits. (Of the product without a mask g++ 12 says that it reads what nobody wrote.)
template <int N>
TENON_INLINE Pack<uint64_t, N> half_product(Pack<uint64_t, N> x, uint32_t factor) {
    using V = Vector<uint64_t, N>;
    if constexpr (N == 4) {
        return {(V)_mm256_mul_epu32((__m256i)x.value, _mm256_set1_epi64x(factor))};
#ifdef __AVX512F__
    } else if constexpr (N == 8) {
        return {(V)_mm512_maskz_mul_epu32(0xff, (__m512i)x.value, _mm512_set1_epi64(factor))};
#endif
    } else {
        auto low = x & Pack<uint64_t, N>::splat(0xffffffff);
        return low * Pack<uint64_t, N>::splat(factor);
    }
}

// A helper function, compiled once a pack and not inlined.
template <class F, class T, int N, class... X>
[[gnu::noinline]] Pack<T, N> apart(Pack<T, N> first, X... x) {
    return F::of(first, x...);
}

template <class F, class T, int N, class... X>
TENON_INLINE Pack<T, N> rarely(PackMask<typename scalar::IntegerOf<T>::Type, N> m, Pack<T, N> usual, X... x) {
    if (__builtin_expect(m.any(), false)) return select(m, apart<F>(x...), usual);
    return usual;
}

}  // namespace tenon::TENON_ISA
