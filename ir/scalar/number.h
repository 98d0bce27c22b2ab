// The scalar algebra on the host: one lane. Constant folding and tests use it; its bits are those of every engine.
#pragma once
#include <bit>

#include "ir/scalar/algebra.h"

namespace tenon::scalar {

template <class T>
struct Number {
    using Element = T;
    template <class U> using With = Number<U>;
    using Mask = bool;

    T value;

    friend Number operator+(Number a, Number b) {
        return wrapping(a, b, [](auto x, auto y) { return x + y; });
    }
    friend Number operator-(Number a, Number b) {
        return wrapping(a, b, [](auto x, auto y) { return x - y; });
    }
    friend Number operator*(Number a, Number b) {
        return wrapping(a, b, [](auto x, auto y) { return x * y; });
    }
    friend Number operator/(Number a, Number b) { return {a.value / b.value}; }
    friend Number operator-(Number a) {
        if constexpr (std::is_floating_point_v<T>) {
            return {-a.value};
        } else {
            return Number{0} - a;
        }
    }
    friend Number operator&(Number a, Number b) { return {T(a.value & b.value)}; }
    friend Number operator|(Number a, Number b) { return {T(a.value | b.value)}; }
    friend Number operator^(Number a, Number b) { return {T(a.value ^ b.value)}; }
    friend Number operator~(Number a) { return {T(~a.value)}; }
    friend bool operator<(Number a, Number b) { return a.value < b.value; }
    friend bool operator<=(Number a, Number b) { return a.value <= b.value; }
    friend bool operator>(Number a, Number b) { return a.value > b.value; }
    friend bool operator>=(Number a, Number b) { return a.value >= b.value; }
    friend bool operator==(Number a, Number b) { return a.value == b.value; }
    friend bool operator!=(Number a, Number b) { return a.value != b.value; }

    friend Number like(Number, T c) { return {c}; }
    friend Number select(bool m, Number a, Number b) { return m ? a : b; }
    friend Number sqrt(Number a) { return {root(a.value)}; }
    friend Number fma(Number a, Number b, Number c) { return {fused(a.value, b.value, c.value)}; }
    friend Number abs(Number a) {
        return {std::is_same_v<T, float> ? T(__builtin_fabsf(a.value)) : T(__builtin_fabs(a.value))};
    }
    friend Number floor(Number a) { return {T(__builtin_floor(a.value))}; }
    friend Number ceil(Number a) { return {T(__builtin_ceil(a.value))}; }
    friend Number trunc(Number a) { return {T(__builtin_trunc(a.value))}; }
    friend Number round_even(Number a) { return {T(__builtin_nearbyint(a.value))}; }
    friend Number quotient(Number a, Number b) { return {T(a.value / b.value)}; }
    friend Number shift_left(Number a, int n) { return {T(std::make_unsigned_t<T>(a.value) << n)}; }
    friend Number shift_right(Number a, int n) { return {T(a.value >> n)}; }
    friend Number shift_left(Number a, Number n) { return shift_left(a, int(n.value)); }
    friend Number shift_right(Number a, Number n) { return shift_right(a, int(n.value)); }
    friend auto bits(Number a) {
        using I = typename IntegerOf<T>::Type;
        return Number<I>{std::bit_cast<I>(a.value)};
    }
    friend auto float_bits(Number a) {
        using F = std::conditional_t<sizeof(T) == 4, float, double>;
        return Number<F>{std::bit_cast<F>(a.value)};
    }

private:
    static float fused(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
    static double fused(double a, double b, double c) { return __builtin_fma(a, b, c); }
    static float root(float a) { return __builtin_sqrtf(a); }
    static double root(double a) { return __builtin_sqrt(a); }

    // Integers wrap: the sum is taken without a sign, in at least the width of int.
    template <class F>
    static Number wrapping(Number a, Number b, F f) {
        if constexpr (std::is_floating_point_v<T>) {
            return {f(a.value, b.value)};
        } else {
            using Wide = std::conditional_t<(sizeof(T) < 4), uint32_t, std::make_unsigned_t<T>>;
            return {T(f(Wide(a.value), Wide(b.value)))};
        }
    }
};

template <class T>
Number<T> scaled(Number<T> m, Number<T>, Bits<Number<T>> biased) {
    return scaled_in_two(m, biased);
}

template <class U, class T>
Number<U> like_as(Number<T>, U c) {
    return {c};
}

template <class U, class T>
Number<U> convert(Number<T> a) {
    if constexpr (std::is_floating_point_v<T> && std::is_integral_v<U>) {
        constexpr U lowest = std::is_signed_v<U> ? U(U(1) << (8 * sizeof(U) - 1)) : U(0);
        constexpr double limit = 2.0 * double(uint64_t(1) << (8 * sizeof(U) - 1 - std::is_signed_v<U>));
        bool fits = double(a.value)<limit&& double(a.value)>(std::is_signed_v<U> ? -limit - 1 : -1.0);
        return {fits ? U(a.value) : lowest};
    } else {
        return {U(a.value)};
    }
}

template <class F, class T, class... X>
Number<T> rarely(bool m, Number<T> usual, X... x) {
    return m ? F::of(x...) : usual;
}
template <class F, class T, class... X>
Number<T> apart(Number<T> first, X... x) {
    return F::of(first, x...);
}

}  // namespace tenon::scalar
