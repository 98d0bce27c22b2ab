// Loops over packs, and the routine tables made of them: TENON_ROUTINES(family) defines a family's, in a file an
// instruction set that includes its header of ir/scalar/ and no other.
#pragma once
#include <array>

#include "ir/scalar/cast.h"
#include "ir/scalar/function.h"
#include "jit/routines/pack.h"
#include "jit/routines/tables.h"

namespace tenon::TENON_ISA {

// ---- elements in memory ----

// clang-format off
struct HalfBits { uint16_t bits; };
struct BFloat16Bits { uint16_t bits; };
struct Bool { uint8_t byte; };
// clang-format on

template <class T> constexpr DType dtype_of = DType::f32;
template <> inline constexpr DType dtype_of<double> = DType::f64;
template <> inline constexpr DType dtype_of<HalfBits> = DType::f16;
template <> inline constexpr DType dtype_of<BFloat16Bits> = DType::bf16;
template <> inline constexpr DType dtype_of<int64_t> = DType::i64;
template <> inline constexpr DType dtype_of<int32_t> = DType::i32;
template <> inline constexpr DType dtype_of<int16_t> = DType::i16;
template <> inline constexpr DType dtype_of<int8_t> = DType::i8;
template <> inline constexpr DType dtype_of<uint8_t> = DType::u8;
template <> inline constexpr DType dtype_of<Bool> = DType::boolean;

// The element computed with for one that is stored.
// clang-format off
template <class S> struct ComputedAs { using Type = S; };
template <> struct ComputedAs<HalfBits> { using Type = float; };
template <> struct ComputedAs<BFloat16Bits> { using Type = float; };
template <> struct ComputedAs<Bool> { using Type = uint8_t; };
// clang-format on
template <class S> using Computed = typename ComputedAs<S>::Type;

template <int N, class S>
TENON_INLINE Pack<Computed<S>, N> load(const S* p) {
    if constexpr (std::is_same_v<S, HalfBits>) {
        auto stored = Pack<uint16_t, N>::load(reinterpret_cast<const uint16_t*>(p));
        return scalar::FloatFromHalf::of(convert<int32_t>(stored));
    } else if constexpr (std::is_same_v<S, BFloat16Bits>) {
        auto stored = Pack<uint16_t, N>::load(reinterpret_cast<const uint16_t*>(p));
        return scalar::FloatFromBFloat16::of(convert<int32_t>(stored));
    } else {
        return Pack<Computed<S>, N>::load(reinterpret_cast<const Computed<S>*>(p));
    }
}

template <class S, int N>
TENON_INLINE void store(S* p, Pack<Computed<S>, N> x) {
    if constexpr (std::is_same_v<S, HalfBits>) {
        convert<uint16_t>(scalar::HalfFromFloat::of(x)).store(reinterpret_cast<uint16_t*>(p));
    } else if constexpr (std::is_same_v<S, BFloat16Bits>) {
        convert<uint16_t>(scalar::BFloat16FromFloat::of(x)).store(reinterpret_cast<uint16_t*>(p));
    } else {
        x.store(reinterpret_cast<Computed<S>*>(p));
    }
}

template <class I, int N>
TENON_INLINE void store(Bool* p, PackMask<I, N> mask) {
    constexpr bool halves = N * sizeof(I) == 32 && sizeof(I) >= 4;
    if constexpr (halves) {  // 256 bits narrowed by saturation, which keeps 0 and −1
        auto low = _mm256_castsi256_si128((__m256i)mask.value);
        auto high = _mm256_extracti128_si256((__m256i)mask.value, 1);
        __m128i words = _mm_packs_epi32(low, high);
        __m128i bytes = _mm_and_si128(_mm_packs_epi16(words, words), _mm_set1_epi8(1));
        // A 64-bit mask has become two equal bytes.
        if constexpr (sizeof(I) == 8) bytes = _mm_shuffle_epi8(bytes, _mm_set1_epi32(0x06040200));
        __builtin_memcpy(p, &bytes, N);
    } else {
        auto ones = Pack<I, N>{mask.value} & Pack<I, N>::splat(1);
        convert<uint8_t>(ones).store(reinterpret_cast<uint8_t*>(p));
    }
}

// A byte truth value for each lane of a pack of T.
template <class T, int N>
TENON_INLINE typename Pack<T, N>::Mask load_mask(const Bool* p) {
    using I = typename Pack<T, N>::Integer;
    auto bytes = Pack<uint8_t, N>::load(reinterpret_cast<const uint8_t*>(p));
    auto wide = convert<I>(bytes);
    return wide != Pack<I, N>::splat(0);
}

// ---- loops ----

// Packs of N at a time; the last few elements go through padded copies. An operand whose bit is set in `single` is one
// element for all.
template <int N, unsigned single, class S>
struct Source {
    const S* data;
    S padded[N];

    TENON_INLINE explicit Source(const void* p) : data(static_cast<const S*>(p)) {
        if constexpr (single) {
            for (int i = 0; i < N; ++i) padded[i] = *data;
        }
    }
    TENON_INLINE const S* at(int64_t i, int64_t count) {
        if constexpr (single) return padded;
        if (count >= N) return data + i;
        for (int k = 0; k < N; ++k) padded[k] = data[i + (k < count ? k : 0)];
        return padded;
    }
};

template <int N, class S>
struct Target {
    S* data;
    S padded[N];

    TENON_INLINE explicit Target(void* p) : data(static_cast<S*>(p)) {}
    TENON_INLINE S* at(int64_t i, int64_t count) { return count >= N ? data + i : padded; }
    TENON_INLINE void finish(int64_t i, int64_t count) {
        if (count >= N) return;
        for (int64_t k = 0; k < count; ++k) data[i + k] = padded[k];
    }
};

template <class F, class S, class To, int N>
struct Unary {
    [[gnu::flatten]] static Faults run(void* out, const void* a, const void*, const void*, int64_t n) {
        Target<N, To> target(out);
        Source<N, 0, S> first(a);
        for (int64_t i = 0; i < n; i += N) {
            auto x = load<N>(first.at(i, n - i));
            store(target.at(i, n - i), F::of(x));
            target.finish(i, n - i);
        }
        return no_fault;
    }
};

template <class F, class S, class To, int N, unsigned single>
struct Binary {
    [[gnu::flatten]] static Faults run(void* out, const void* a, const void* b, const void*, int64_t n) {
        using V = Pack<Computed<S>, N>;
        Target<N, To> target(out);
        Source<N, single & 1, S> first(a);
        Source<N, single & 2, S> second(b);
        typename V::Mask faults{};
        for (int64_t i = 0; i < n; i += N) {
            V x = load<N>(first.at(i, n - i));
            V y = load<N>(second.at(i, n - i));
            if constexpr (scalar::CanFault<F, V>) faults = faults | F::fault(x, y);
            store(target.at(i, n - i), F::of(x, y));
            target.finish(i, n - i);
        }
        return faults.any() ? division_by_zero : no_fault;
    }
};

// The same for long definitions, compiled once: a single element is repeated in memory first.
template <class F, class S, class To, int N, unsigned single>
struct LongBinary {
    static Faults run(void* out, const void* a, const void* b, const void*, int64_t n) {
        constexpr int64_t block = 256;
        alignas(64) S repeated_a[block];
        alignas(64) S repeated_b[block];
        for (int64_t i = 0; i < (n < block ? n : block); ++i) {
            if (single & 1) repeated_a[i] = *static_cast<const S*>(a);
            if (single & 2) repeated_b[i] = *static_cast<const S*>(b);
        }
        Faults faults = no_fault;
        for (int64_t i = 0; i < n; i += block) {
            const S* x = single & 1 ? repeated_a : static_cast<const S*>(a) + i;
            const S* y = single & 2 ? repeated_b : static_cast<const S*>(b) + i;
            faults |=
                Binary<F, S, To, N, 0>::run(static_cast<To*>(out) + i, x, y, nullptr, n - i < block ? n - i : block);
        }
        return faults;
    }
};

// where(condition, a, b): moves bits, so S is an integer of the element's width.
template <class S, int N, unsigned single>
struct Choice {
    [[gnu::flatten]] static Faults run(void* out, const void* condition, const void* a, const void* b, int64_t n) {
        Target<N, S> target(out);
        Source<N, single & 1, Bool> chosen(condition);
        Source<N, single & 2, S> first(a);
        Source<N, single & 4, S> second(b);
        for (int64_t i = 0; i < n; i += N) {
            auto mask = load_mask<S, N>(chosen.at(i, n - i));
            auto x = load<N>(first.at(i, n - i));
            auto y = load<N>(second.at(i, n - i));
            store(target.at(i, n - i), select(mask, x, y));
            target.finish(i, n - i);
        }
        return no_fault;
    }
};

// ---- tables ----

// Where f32 is computed in f64, packs fill a register there.
template <class F, class S> constexpr int lanes_for =
    vector_bytes / (std::is_same_v<Computed<S>, float> && F::is.computes_f64 ? 8 : int(sizeof(Computed<S>)));

template <class F, class S, class To>
constexpr Routine unary() {
    return {F::is.name, 1, dtype_of<S>, dtype_of<To>, {&Unary<F, S, To, lanes_for<F, S>>::run}};
}

template <class F, class S, class To>
constexpr Routine binary() {
    constexpr int N = lanes_for<F, S>;
    if constexpr (F::is.is_large) {
        return {F::is.name,
                2,
                dtype_of<S>,
                dtype_of<To>,
                {&Binary<F, S, To, N, 0>::run, &LongBinary<F, S, To, N, 1>::run, &LongBinary<F, S, To, N, 2>::run,
                 &LongBinary<F, S, To, N, 3>::run}};
    } else {
        return {F::is.name,
                2,
                dtype_of<S>,
                dtype_of<To>,
                {&Binary<F, S, To, N, 0>::run, &Binary<F, S, To, N, 1>::run, &Binary<F, S, To, N, 2>::run,
                 &Binary<F, S, To, N, 3>::run}};
    }
}

// Moves bits, so the element is the integer of its width.
template <class F, class S>
constexpr Routine choice() {
    using I = std::conditional_t<sizeof(S) == 8, int64_t,
                                 std::conditional_t<sizeof(S) == 4, int32_t,
                                                    std::conditional_t<sizeof(S) == 2, int16_t, int8_t>>>;
    constexpr int N = vector_bytes / int(sizeof(I));
    return {F::is.name,
            3,
            dtype_of<S>,
            dtype_of<S>,
            {&Choice<I, N, 0>::run, &Choice<I, N, 1>::run, &Choice<I, N, 2>::run, &Choice<I, N, 3>::run,
             &Choice<I, N, 4>::run, &Choice<I, N, 5>::run, &Choice<I, N, 6>::run, &Choice<I, N, 7>::run}};
}

template <class F, class S>
constexpr Routine drawn();  // jit/routines/drawn.h

template <class F, class S>
constexpr bool has_routine = std::is_same_v<S, Bool>
                                 ? F::is.domain == scalar::Domain::all || F::is.domain == scalar::Domain::integral
                                 : scalar::is_in<Computed<S>>(F::is.domain);

// The routine of F on stored elements S; one of arity 0 where there is none.
template <class F, class S>
constexpr Routine routine() {
    if constexpr (!has_routine<F, S>) {
        return {};
    } else if constexpr (std::is_same_v<S, Bool> && !std::is_same_v<typename scalar::BoolDefinition<F>::Type, F>) {
        Routine made = routine<typename scalar::BoolDefinition<F>::Type, S>();
        made.name = F::is.name;
        return made;
    } else {
        using To = std::conditional_t<F::is.result == scalar::Result::boolean, Bool, S>;
        if constexpr (F::is.is_drawn) return drawn<F, S>();
        else if constexpr (F::is.arity == 3) return choice<F, S>();
        else if constexpr (F::is.arity == 2) return binary<F, S, To>();
        else return unary<F, S, To>();
    }
}

template <class... F>
constexpr auto routines_of(scalar::Functions<F...>) {
    return std::array<std::array<Routine, dtype_count>, sizeof...(F)>{
        {{routine<F, double>(), routine<F, float>(), routine<F, HalfBits>(), routine<F, BFloat16Bits>(),
          routine<F, int64_t>(), routine<F, int32_t>(), routine<F, int16_t>(), routine<F, int8_t>(),
          routine<F, uint8_t>(), routine<F, Bool>()}...}};
}

}  // namespace tenon::TENON_ISA

#define TENON_ROUTINES(family)                                                                  \
    namespace tenon::TENON_ISA {                                                                \
    static constexpr auto family##_routines = routines_of(scalar::family);                      \
    extern const Entries family;                                                                \
    const Entries family = {&family##_routines[0][0], int(sizeof family##_routines / sizeof(Routine))}; \
    }

// Every stored element.
#define TENON_FLOATS(make, F, name) \
    make<F, double>(name), make<F, float>(name), make<F, HalfBits>(name), make<F, BFloat16Bits>(name)
#define TENON_INTEGERS(make, F, name)                                                              \
    make<F, int64_t>(name), make<F, int32_t>(name), make<F, int16_t>(name), make<F, int8_t>(name), \
        make<F, uint8_t>(name)
#define TENON_ALL(make, F, name) TENON_FLOATS(make, F, name), TENON_INTEGERS(make, F, name), make<F, Bool>(name)
