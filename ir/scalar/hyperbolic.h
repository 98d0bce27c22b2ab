// Hyperbolic functions and the logistic one, from the exponential's parts; erf and erfc.
#pragma once
#include "ir/scalar/exponential.h"

namespace tenon::scalar {

// tanh |x| = t / (t + 2), t = e^(2|x|) − 1. f32 takes x + x³·P(x²) below 5/8, where the quotient's roundings add up.
struct Tanh {
    static constexpr Function is = unary("tanh", floats).within(2, 3);
    template <class V>
    static V of(V x) {
        using T = Element<V>;
        constexpr T flat = is_single<V> ? T(10) : T(20);  // 1 − tanh is below half an ulp
        V magnitude = abs(x);
        V inside = select(magnitude > like(x, flat), like(x, flat), magnitude);
        V doubled = inside + inside;
        V t = Expm1::of(doubled);
        V denominator = t + like(x, 2);
        V ratio = t / denominator;
        if constexpr (is_single<V>) {
            static constexpr float series[] = {-0x1.555554p-2f, 0x1.11106ap-3f,  -0x1.b9ef6ep-5f,
                                               0x1.639414p-6f,  -0x1.0c1ce2p-7f, 0x1.196996p-9f};
            V square = magnitude * magnitude;
            V p = polynomial(square, series);
            V cube = square * magnitude;
            V near = fma(cube, p, magnitude);
            ratio = select(magnitude < like(x, 0.625f), near, ratio);
        }
        return copy_sign(ratio, x);
    }
};

// e^|x| / 2, in range wherever sinh and cosh are.
template <class V>
inline V half_exp(V magnitude) {
    using T = Element<V>;
    constexpr T beyond = is_single<V> ? T(90) : T(711);
    V inside = select(magnitude > like(magnitude, beyond), like(magnitude, beyond), magnitude);
    auto parts = ExpParts<V>::of(inside);
    Split<V> power = parts.power;
    power.whole = power.whole - like(power.whole, 1);
    power.biased = power.biased - like(power.biased, 1);
    return scale(parts.mantissa(), power);
}

// (t + t / (t + 1)) / 2, t = e^|x| − 1; far out e^|x| / 2
struct Sinh {
    static constexpr Function is = unary("sinh", floats).within(3, 3);
    template <class V>
    static V of(V x) {
        using T = Element<V>;
        constexpr T far = is_single<V> ? T(20) : T(40);
        V magnitude = abs(x);
        V inside = select(magnitude > like(x, far), like(x, far), magnitude);
        V t = Expm1::of(inside);
        V above = t + like(x, 1);
        V ratio = t / above;
        V sum = t + ratio;
        V near = sum * like(x, T(0.5));
        V large = half_exp(magnitude);
        V result = select(magnitude > like(x, far), large, near);
        result = select(x != x, x, result);
        return copy_sign(result, x);
    }
};

// h + 1 / (4h), h = e^|x| / 2
struct Cosh {
    static constexpr Function is = unary("cosh", floats).within(2, 2);
    template <class V>
    static V of(V x) {
        using T = Element<V>;
        V magnitude = abs(x);
        V h = half_exp(magnitude);
        V quarter = like(x, T(0.25));
        V inverse = quarter / h;
        return h + inverse;
    }
};

// 1 / (1 + e^−|x|), and e^−|x| times that for negative x: no overflow, denormals to the end.
struct Sigmoid {
    static constexpr Function is = unary("sigmoid", floats).within(2, 2);
    template <class V>
    static V of(V x) {
        V zero = like(x, 0);
        V one = like(x, 1);
        V magnitude = abs(x);
        V e = Exp::of(-magnitude);
        V denominator = one + e;
        Mask<V> negative = x < zero;
        V numerator = select(negative, e, one);
        V ratio = numerator / denominator;
        // What rounding took from 1 + e, to first order; 1 / (1 + e) is the ratio or its complement.
        V back = denominator - one;
        V lost = e - back;
        V complement = one - ratio;
        V inverse = select(negative, complement, ratio);
        V change = ratio * lost;
        return fma(-change, inverse, ratio);
    }
};

inline constexpr Functions<Sinh, Cosh, Tanh, Sigmoid> hyperbolic;

}  // namespace tenon::scalar
