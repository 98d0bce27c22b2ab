// The vector algebra: what a scalar definition may be written with.
//
// Every elementwise function is defined once, as `struct Tanh { template<class V> static V of(V x); }`, and
// instantiated on anything that has the operations below: `Number<T>` (host, constant folding), `Pack<T, N>` (the
// interpreter's routines), and handles whose operators emit LLVM or CUDA code. All of them are IEEE operations with one
// result, so all instantiations give the same bits (NaNs count as one value: payload and sign of a NaN are not
// specified).
//
// A value type V is default constructible, copyable and has
//   V::Element          float, double, a signed integer, uint8_t, uint16_t, uint32_t or uint64_t
//   V::With<U>          the same lanes with another element
//   V::Mask             truth values a lane; elements of one width share one mask type
//   like(x, c)          the constant c beside x: same lanes, and the same builder where x carries one. The only way to
//                       make a constant. `like_as<U>(x, c)` makes a With<U>.
// and, found by argument-dependent lookup,
//   floats              + - * /   unary −   < <= > >= == !=   select(m, a, b)   fma(a, b, c) = a·b + c rounded once
//                       sqrt abs floor ceil trunc round_even   bits(x): integer of the same width   convert<U>(x)
//   integers            + - * unary −, all wrapping   & | ^ ~   comparisons   select   convert<U>(x)
//                       shift_left(x, n) shift_right(x, n): int n, or a V with lanes in 0..width−1; shift_right is
//                       arithmetic for signed, logical for unsigned elements
//                       quotient(a, b): towards zero; b is neither 0 nor −1 in any lane      float_bits(x): the inverse
//                       of bits
//   masks               & | ^ !
//   scaled(m, n, biased)   m · 2ⁿ rounded once, n an integer given as a float and as n + bias, |n| up to twice the largest
//                       exponent: one instruction of AVX-512, elsewhere `scaled_in_two`
//   rarely<F>(m, usual, x…)   select(m, F::of(x…), usual), where hardly any lane is in m: F, a helper function, is called
//                       where some lane is, and is no part of the code at hand
//   apart<F>(x…)        F::of(x…), called always
//   half_product(x, c)   of u64: the low half of x times c, all 64 bits of it
// convert<U>: float to float rounds to nearest; integer to float rounds to nearest; integer to integer wraps; float to
// integer truncates, and gives some unspecified (not undefined) value for what does not fit: definitions discard it.
// == is false and != true beside a NaN; < <= > >= are false.
//
// Rules for definitions: `fma` only where it is meant, each step its own named local (the order of a call's arguments
// is unspecified, so nothing that emits twice may stand in one argument list), no branches, no loops on data.
#pragma once
#include <cstdint>
#include <type_traits>

namespace tenon::scalar {

// clang-format off
template <class T> struct IntegerOf;                       // the signed integer of T's width
template <> struct IntegerOf<float> { using Type = int32_t; };
template <> struct IntegerOf<double> { using Type = int64_t; };
template <> struct IntegerOf<int8_t> { using Type = int8_t; };
template <> struct IntegerOf<int16_t> { using Type = int16_t; };
template <> struct IntegerOf<int32_t> { using Type = int32_t; };
template <> struct IntegerOf<int64_t> { using Type = int64_t; };
template <> struct IntegerOf<uint8_t> { using Type = int8_t; };
template <> struct IntegerOf<uint16_t> { using Type = int16_t; };
template <> struct IntegerOf<uint32_t> { using Type = int32_t; };
template <> struct IntegerOf<uint64_t> { using Type = int64_t; };
// clang-format on

template <class V> using Element = typename V::Element;
template <class V> using Mask = typename V::Mask;
template <class V> using Bits = typename V::template With<typename IntegerOf<Element<V>>::Type>;

template <class V> constexpr bool is_float = std::is_floating_point_v<Element<V>>;
template <class V> constexpr bool is_single = std::is_same_v<Element<V>, float>;
template <class V> constexpr bool is_double = std::is_same_v<Element<V>, double>;
template <class V> constexpr bool is_unsigned = std::is_unsigned_v<Element<V>>;
template <class V> constexpr int width_of = 8 * int(sizeof(Element<V>));

// The parts of an IEEE format as definitions need them.
template <class T> struct Format;
template <> struct Format<float> {
    static constexpr int fraction_bits = 23, bias = 127;
    static constexpr int32_t sign_bit = INT32_MIN, infinity_bits = 0x7f800000;
    static constexpr float infinity = __builtin_inff(), nan = __builtin_nanf("");
    static constexpr float smallest_normal = 0x1p-126f,
                           integer_from = 0x1p23f;  // every |x| >= integer_from is an integer
};
template <> struct Format<double> {
    static constexpr int fraction_bits = 52, bias = 1023;
    static constexpr int64_t sign_bit = INT64_MIN, infinity_bits = 0x7ff0000000000000;
    static constexpr double infinity = __builtin_inf(), nan = __builtin_nan("");
    static constexpr double smallest_normal = 0x1p-1022, integer_from = 0x1p52;
};

template <class V> inline V infinity(V x) { return like(x, Format<Element<V>>::infinity); }
template <class V> inline V nan(V x) { return like(x, Format<Element<V>>::nan); }
template <class V> inline Mask<V> is_nan(V x) { return x != x; }

template <class V>
inline V copy_sign(V magnitude, V sign) {
    using T = Element<V>;
    auto sign_bits = bits(sign);
    auto magnitude_bits = bits(magnitude);
    auto mask = like(sign_bits, Format<T>::sign_bit);
    auto kept = magnitude_bits & ~mask;
    return float_bits(kept | (sign_bits & mask));
}

// Truth of the sign bit: −0 and negative NaNs included.
template <class V>
inline Mask<V> sign_bit_set(V x) {
    auto x_bits = bits(x);
    return x_bits < like(x_bits, 0);
}

// Packs have an instruction for it.
template <class V>
inline V half_product(V x, uint32_t factor) {
    V low = x & like(x, 0xffffffff);
    return low * like(x, factor);
}

template <class V> inline Mask<V> truth(V x) { return x != like(x, 0); }  // NaN included

// m · 2ⁿ in two factors, so that denormals and infinities come out of the last multiplication.
template <class V>
inline V scaled_in_two(V m, Bits<V> biased) {
    using T = Element<V>;
    using U = std::make_unsigned_t<Element<Bits<V>>>;
    Bits<V> sum = biased + like(biased, Format<T>::bias);  // 2·bias + n > 0
    auto half = shift_right(convert<U>(sum), 1);
    Bits<V> first = convert<Element<Bits<V>>>(half);
    Bits<V> second = sum - first;
    V first_factor = float_bits(shift_left(first, Format<T>::fraction_bits));
    V second_factor = float_bits(shift_left(second, Format<T>::fraction_bits));
    V partial = m * first_factor;
    return partial * second_factor;
}

// c[0] + x·(c[1] + x·(…)), Horner's rule with one fma a step.
template <class V, int N>
inline V polynomial(V x, const Element<V> (&c)[N]) {
    V sum = like(x, c[N - 1]);
    for (int i = N - 2; i >= 0; --i) sum = fma(sum, x, like(x, c[i]));
    return sum;
}

}  // namespace tenon::scalar
