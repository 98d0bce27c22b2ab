// erf and erfc.
#pragma once
#include "ir/scalar/exponential.h"

namespace tenon::scalar {

template <class T> struct ErrorFunction;
template <> struct ErrorFunction<float> {
    static constexpr float end = 4;  // erf is 1 − 2⁻²⁶ there, which rounds to 1
    static constexpr float near[] = {0x1.06eba8p-3f, -0x1.812744p-2f, 0x1.ce2e6p-4f,  -0x1.b8162ap-6f,
                                     0x1.5513f4p-8f, -0x1.acf8p-11f,  0x1.662518p-14f};
    static constexpr float tail[] = {-0x1.076d58p-3f, -0x1.453e54p-1f, -0x1.b288aap-4f, 0x1.833246p-6f,
                                     -0x1.d55cf8p-9f, 0x1.428ee8p-12f, -0x1.45c1f2p-17f};
};
template <> struct ErrorFunction<double> {
    static constexpr double end = 27.3;
    static constexpr double centre = 4;
    static constexpr double near[] = {0x1.06eba8214db69p-3,   -0x1.812746b0379e3p-2,  0x1.ce2f21a042835p-4,
                                      -0x1.b82ce312736cfp-6,  0x1.565bcd0a6eef0p-8,   -0x1.c02db31efd183p-11,
                                      0x1.f9a307605bac0p-14,  -0x1.f4cf6f9e271bbp-17, 0x1.b9b866a819804p-20,
                                      -0x1.5d8af025bb3b7p-23, 0x1.e2dcfeab54fdep-27,  -0x1.d32bb0847fed3p-31};
    static constexpr double tail[] = {
        0x1.dd2c8b74febf6p-3,   -0x1.1df1ad154a29cp-3,  0x1.f7f5df66fd77ap-7,   0x1.16ecefcfa5fe1p-4,
        -0x1.9ddb23c3e8c75p-4,  0x1.7fee004df7624p-4,   -0x1.0fb06dfe5632bp-4,  0x1.3079edf9e6dd6p-5,
        -0x1.09623880e0cb9p-6,  0x1.49c67195c6c78p-8,   -0x1.8d4a9f9f60e76p-11, -0x1.a1de85df06b24p-13,
        0x1.3be0ce261e76cp-13,  -0x1.9969b007cb327p-16, -0x1.78a7bce213ffbp-17, 0x1.7fadaa6a24be1p-18,
        0x1.44176c3f387adp-22,  -0x1.bfdef16661cdbp-21, 0x1.0c66d362d0fe2p-24,  0x1.ec1a72a1a2a74p-24,
        -0x1.0c9952845e01dp-27, -0x1.cc65ccb3ebbb3p-27, -0x1.d7cdc1dcb6ceap-30};
};

// erf x = x + x·P(x²) for |x| < 0.9
template <class V>
inline V erf_near(V x) {
    V square = x * x;
    V p = polynomial(square, ErrorFunction<Element<V>>::near);
    return fma(x, p, x);
}

// For f64: erfc a = e^(−a²) · (1 + P(q)) / (1 + 2a), q = (a − c) / (a + c), for a ≥ 0.48. The square is taken with its
// rounding error, and the power of two comes last, for the denormals.
template <class V>
inline V erfc_tail(V a) {
    using C = ErrorFunction<Element<V>>;
    V one = like(a, 1);
    V inside = select(a > like(a, C::end), like(a, C::end), a);
    V above = inside - like(a, C::centre);
    V below = inside + like(a, C::centre);
    V q = above / below;
    V p = polynomial(q, C::tail);
    V numerator = one + p;
    V doubled = inside + inside;
    V denominator = one + doubled;
    V square = inside * inside;
    V lost = fma(inside, inside, -square);
    auto parts = ExpParts<V>::of(-square);
    V mantissa = parts.mantissa();
    mantissa = fma(-lost, mantissa, mantissa);  // e^(−a² − lost), lost being tiny
    V product = mantissa * numerator;
    V ratio = product / denominator;
    return scale(ratio, parts.power);
}

// For f32: 1 − erfc a for a > 0.875, erfc a = e^(a·P(a) − a), P a minimax fit weighted by erfc, which is what an error of
// the exponent weighs in erf. No division, and no power of two that is denormal.
template <class V>
inline V erf_far(V a) {
    using C = ErrorFunction<float>;
    V inside = select(a > like(a, C::end), like(a, C::end), a);
    V p = polynomial(inside, C::tail);
    V minus = -inside;
    V exponent = fma(inside, p, minus);
    auto parts = ExpParts<V>::of(exponent);
    V one = like(a, 1);
    V rest = parts.expm1();
    V mantissa = one + rest;
    V power = float_bits(shift_left(parts.power.biased, Format<float>::fraction_bits));
    V negated = -mantissa;
    return fma(negated, power, one);
}

struct Erf {
    static constexpr Function is = unary("erf", floats).within(2, 2);
    template <class V>
    static V of(V x) {
        using T = Element<V>;
        V magnitude = abs(x);
        V near = erf_near(x);
        V far = magnitude;
        if constexpr (is_single<V>) {
            far = erf_far(magnitude);
        } else {
            V tail = erfc_tail(magnitude);
            far = like(x, 1) - tail;
        }
        V signed_far = copy_sign(far, x);
        return select(magnitude > like(x, T(0.875)), signed_far, near);
    }
};

struct Erfc {
    static constexpr Function is = unary("erfc", floats).within(1, 4).through_f64();
    template <class V>
    static V of(V x) {
        if constexpr (is_single<V>) {
            return convert<float>(of(convert<double>(x)));
        } else {
            V magnitude = abs(x);
            V near_erf = erf_near(x);
            V near = like(x, 1) - near_erf;
            V tail = erfc_tail(magnitude);
            V reflected = like(x, 2) - tail;
            V far = select(x < like(x, 0), reflected, tail);
            return select(magnitude > like(x, 0.5), far, near);
        }
    }
};

inline constexpr Functions<Erf, Erfc> error_function;

}  // namespace tenon::scalar
