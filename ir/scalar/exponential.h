// Exponentials. Polynomials are minimax fits; Horner's rule with one fma a step.
#pragma once
#include "ir/scalar/function.h"

namespace tenon::scalar {

// ---- e^x = 2^n · e^r, n an integer, |r| ≤ ln 2 / 2 ----

// A number of the form rest + n: n as float, and as the integer n + exponent bias.
template <class V>
struct Split {
    V whole;
    Bits<V> biased;
};

// The nearest integer to x, |x| < 2^20. Adding 1.5·2^23 (2^52) leaves the integer in the low bits of the sum: no
// conversion, and a NaN harms nobody.
template <class V>
inline Split<V> split_integer(V x) {
    using T = Element<V>;
    V magic = like(x, T(1.5) * Format<T>::integer_from);
    V sum = x + magic;
    V whole = sum - magic;
    Bits<V> sum_bits = bits(sum);
    Bits<V> magic_bits = bits(magic);
    Bits<V> integer = sum_bits - magic_bits;
    Bits<V> biased = integer + like(integer, Format<T>::bias);
    return {whole, biased};
}

template <class V>
inline V scale(V m, const Split<V>& n) {
    return scaled(m, n.whole, n.biased);
}

template <class T> struct Exponential;
template <> struct Exponential<float> {
    static constexpr float log2_e = 0x1.715476p+0f, ln2_high = 0x1.62e43p-1f, ln2_low = -0x1.05c61p-29f;
    static constexpr float lowest = -104, highest = 89;  // e^lowest rounds to 0, e^highest to ∞
    static constexpr float lowest2 = -151, highest2 = 129;
    static constexpr float minus_one = -18;  // e^x − 1 rounds to −1 below
    static constexpr float natural[] = {0x1p-1f,        0x1.555556p-3f,  0x1.55547p-5f,
                                        0x1.1110acp-7f, 0x1.6da824p-10f, 0x1.a17eacp-13f};
    static constexpr float binary[] = {0x1.62e43p-1f,   0x1.ebfbep-3f,   0x1.c6b08ap-5f, 0x1.3b29f2p-7f,
                                       0x1.5d8a88p-10f, 0x1.445d34p-13f, 0x1.fde588p-17f};
};
template <> struct Exponential<double> {
    static constexpr double log2_e = 0x1.71547652b82fep+0, ln2_high = 0x1.62e42fefa39efp-1,
                            ln2_low = 0x1.abc9e3b39803fp-56;
    static constexpr double lowest = -746, highest = 710;
    static constexpr double lowest2 = -1076, highest2 = 1025;
    static constexpr double minus_one = -38;
    static constexpr double natural[] = {0x1p-1,
                                         0x1.5555555555559p-3,
                                         0x1.555555555555ap-5,
                                         0x1.111111110f67dp-7,
                                         0x1.6c16c16c14428p-10,
                                         0x1.a01a01affb53bp-13,
                                         0x1.a01a01b0c907cp-16,
                                         0x1.71ddf815db119p-19,
                                         0x1.27e4c572d1236p-22,
                                         0x1.af5f342fab854p-26,
                                         0x1.1f95b29b13799p-29};
    static constexpr double binary[] = {0x1.62e42fefa39efp-1,  0x1.ebfbdff82c58fp-3,  0x1.c6b08d704a0dbp-5,
                                        0x1.3b2ab6fba4e7dp-7,  0x1.5d87fe78a04bfp-10, 0x1.430912f86a08cp-13,
                                        0x1.ffcbfc7e79304p-17, 0x1.62c0224961aa8p-20, 0x1.b524ca2b2197cp-24,
                                        0x1.e4cef638c2fa7p-28, 0x1.ea1d13a160afap-32, 0x1.c4c957cc8dc8dp-36};
};

// x held to [low, high]; a NaN passes.
template <class V>
inline V clamp(V x, Element<V> low, Element<V> high) {
    V raised = select(x < like(x, low), like(x, low), x);
    return select(raised > like(x, high), like(x, high), raised);
}

// e^x = mantissa · 2^power, not yet scaled; x within the clamp of Exp.
template <class V>
struct ExpParts {
    V rest, square, series;  // r, r², P(r): e^r = 1 + r + r²·P(r)
    Split<V> power;          // n

    static ExpParts of(V x) {
        using C = Exponential<Element<V>>;
        V scaled = x * like(x, C::log2_e);
        Split<V> n = split_integer(scaled);
        V negated = -n.whole;
        V high = fma(negated, like(x, C::ln2_high), x);  // exact
        V r = fma(negated, like(x, C::ln2_low), high);
        V square = r * r;
        V p = polynomial(r, C::natural);
        return {r, square, p, n};
    }

    V expm1() const { return fma(square, series, rest); }

    V mantissa() const {
        V one = like(rest, 1);
        V head = one + rest;
        V back = one - head;
        V lost = back + rest;  // what rounding took from 1 + r
        V tail = fma(square, series, lost);
        return head + tail;
    }
};

struct Exp {
    static constexpr Function is = unary("exp", floats).within(1, 1);
    template <class V>
    static V of(V x) {
        using C = Exponential<Element<V>>;
        V inside = clamp(x, C::lowest, C::highest);
        auto parts = ExpParts<V>::of(inside);
        return scale(parts.mantissa(), parts.power);
    }
};

struct Exp2 {
    static constexpr Function is = unary("exp2", floats).within(1, 1);
    template <class V>
    static V of(V x) {
        using C = Exponential<Element<V>>;
        V inside = clamp(x, C::lowest2, C::highest2);
        Split<V> n = split_integer(inside);
        V r = inside - n.whole;
        V p = polynomial(r, C::binary);
        V mantissa = fma(p, r, like(x, 1));
        return scale(mantissa, n);
    }
};

// e^x − 1 = 2·(h·(e^r − 1) + (h − 1/2)), h = 2^(n − 1): no overflow before the result's own.
struct Expm1 {
    static constexpr Function is = unary("expm1", floats).within(2, 2);
    template <class V>
    static V of(V x) {
        using T = Element<V>;
        using C = Exponential<T>;
        V inside = clamp(x, C::minus_one, C::highest);
        auto parts = ExpParts<V>::of(inside);
        Bits<V> below = parts.power.biased - like(parts.power.biased, 1);
        V h = float_bits(shift_left(below, Format<T>::fraction_bits));
        V offset = h - like(x, T(0.5));
        V small = parts.expm1();
        V sum = fma(h, small, offset);
        V result = sum + sum;
        return select(x == like(x, 0), x, result);  // −0 stays
    }
};

inline constexpr Functions<Exp, Exp2, Expm1> exponential;

}  // namespace tenon::scalar
