// Division with a remainder: a = q·b + r.
#pragma once
#include "ir/scalar/function.h"

namespace tenon::scalar {

namespace division_steps {

// One digit of schoolbook division after the other, 52 bits each, from the largest multiple of the divisor down. Each
// product and difference is exact; a digit may be one too large, which makes the rest negative once. A multiple past
// the largest float counts as digit 0.
template <int digits, class V>
inline V reduce(V dividend, V unit) {
    V rest = dividend;
    if constexpr (digits > 1) {
        V larger = unit * like(unit, 0x1p52);
        rest = reduce<digits - 1>(dividend, larger);
    }
    Mask<V> overflow = unit == infinity(unit);
    V finite = select(overflow, like(unit, 1), unit);
    V ratio = rest / finite;
    V whole = trunc(ratio);
    V digit = select(overflow, like(unit, 0), whole);
    return fma(-digit, finite, rest);
}

// What is left of a dividend above 2^23 (2^52) divisors; both are not negative.
struct Far {
    static constexpr Function is = binary("far_fmod", floats).through_f64().large().helper();
    template <class V>
    static V of(V dividend, V divisor) {
        if constexpr (is_single<V>) {  // quotients to 2^277
            auto wide_dividend = convert<double>(dividend);
            auto wide_divisor = convert<double>(divisor);
            return convert<float>(reduce<6>(wide_dividend, wide_divisor));
        } else {  // to 2^2098
            return reduce<41>(dividend, divisor);
        }
    }
};

// C's fmod, exactly: the sign of a, |r| < |b|; NaN for b = 0, a = ±∞ or a NaN; a for b = ±∞.
template <class V>
inline V fmod(V a, V b) {
    V dividend = abs(a);
    V divisor = abs(b);
    V ratio = dividend / divisor;
    V estimate = trunc(ratio);
    V near = fma(-estimate, divisor, dividend);  // exact: the estimate is off by one at most
    Mask<V> far = ratio >= like(a, Format<Element<V>>::integer_from);
    V rest = rarely<Far>(far, near, dividend, divisor);
    V zero = like(a, 0);
    V raised = rest + divisor;
    rest = select(rest < zero, raised, rest);
    rest = select(dividend < divisor, dividend, rest);
    Mask<V> by_zero = divisor == zero;
    Mask<V> endless = dividend == infinity(a);
    Mask<V> unordered = is_nan(b);
    Mask<V> invalid = by_zero | endless;
    invalid = invalid | unordered;
    rest = select(invalid, nan(a), rest);
    return copy_sign(rest, a);
}

// Where C's rest is one divisor away from Python's: it is not zero and its sign is not the divisor's.
template <class V>
inline Mask<V> disagrees(V rest, V divisor) {
    V zero = like(rest, 0);
    Mask<V> some = rest != zero;
    Mask<V> rest_negative = rest < zero;
    Mask<V> divisor_negative = divisor < zero;
    Mask<V> differ = rest_negative ^ divisor_negative;
    return some & differ;
}

// Integer quotient towards zero and its rest. By 0 it gives 0 and rest 0; lowest / −1 wraps.
template <class V>
struct Quotient {
    V whole, rest;
    static Quotient of(V a, V b) {
        V zero = like(a, 0);
        V one = like(a, 1);
        Mask<V> by_zero = b == zero;
        Mask<V> special = by_zero;
        if constexpr (!is_unsigned<V>) {
            Mask<V> by_minus_one = b == like(a, -1);
            special = special | by_minus_one;
        }
        V divisor = select(special, one, b);
        V plain = quotient(a, divisor);
        if constexpr (!is_unsigned<V>) {
            V negated = -a;
            plain = select(special, negated, plain);
        }
        V whole = select(by_zero, zero, plain);
        V product = whole * b;
        V difference = a - product;
        V rest = select(by_zero, zero, difference);
        return {whole, rest};
    }
};

}  // namespace division_steps

// The sign of a, as C; the sign of b, as Python; q = ⌊a / b⌋ as Python. On floats b = 0 gives what a / b and IEEE give.
struct Fmod {
    static constexpr Function is = binary("fmod", numbers).large();
    template <class V>
    static V of(V a, V b) {
        if constexpr (is_float<V>) {
            return division_steps::fmod(a, b);
        } else {
            return division_steps::Quotient<V>::of(a, b).rest;
        }
    }
    template <class V> static Mask<V> fault(V, V b) { return b == like(b, 0); }
};

struct Remainder {
    static constexpr Function is = binary("remainder", numbers).within(1, 1).large();
    template <class V>
    static V of(V a, V b) {
        V rest = Fmod::of(a, b);
        if constexpr (is_unsigned<V>) {
            return rest;
        } else {
            V moved = rest + b;
            Mask<V> move = division_steps::disagrees(rest, b);
            return select(move, moved, rest);
        }
    }
    template <class V> static Mask<V> fault(V, V b) { return b == like(b, 0); }
};

struct FloorDivide {
    static constexpr Function is = binary("floor_divide", numbers).within(1, 1).large();
    template <class V>
    static V of(V a, V b) {
        if constexpr (is_float<V>) {
            return of_floats(a, b);
        } else {
            auto divided = division_steps::Quotient<V>::of(a, b);
            if constexpr (is_unsigned<V>) {
                return divided.whole;
            } else {
                V below = divided.whole - like(a, 1);
                Mask<V> move = division_steps::disagrees(divided.rest, b);
                return select(move, below, divided.whole);
            }
        }
    }
    template <class V> static Mask<V> fault(V, V b) { return b == like(b, 0); }

private:
    // As Python and PyTorch define it, from the exact rest: (a − r) / b is within a rounding of an integer.
    template <class V>
    static V of_floats(V a, V b) {
        V zero = like(a, 0);
        V one = like(a, 1);
        V rest = division_steps::fmod(a, b);
        V multiple = a - rest;
        V whole = multiple / b;
        V below = whole - one;
        Mask<V> move = division_steps::disagrees(rest, b);
        whole = select(move, below, whole);
        V down = floor(whole);
        V excess = whole - down;
        V up = down + one;
        down = select(excess > like(a, 0.5), up, down);
        V ratio = a / b;
        V signed_zero = copy_sign(zero, ratio);
        down = select(whole == zero, signed_zero, down);
        return select(b == zero, ratio, down);
    }
};
inline constexpr Functions<Fmod, division_steps::Far, Remainder, FloorDivide> division;

}  // namespace tenon::scalar
