// Arithmetic, comparisons, logic and bits: exact, or correctly rounded, except `rsqrt` (2 ulp: two roundings).
#pragma once
#include "ir/scalar/algebra.h"

namespace tenon::scalar {

// clang-format off
struct Add { template <class V> static V of(V a, V b) { return a + b; } };
struct Sub { template <class V> static V of(V a, V b) { return a - b; } };
struct Mul { template <class V> static V of(V a, V b) { return a * b; } };
struct Div { template <class V> static V of(V a, V b) { return a / b; } };
struct Neg { template <class V> static V of(V x) { return -x; } };
struct Square { template <class V> static V of(V x) { return x * x; } };
struct Sqrt { template <class V> static V of(V x) { return sqrt(x); } };
// clang-format on

struct Reciprocal {
    template <class V>
    static V of(V x) {
        V one = like(x, 1);
        return one / x;
    }
};

struct Rsqrt {
    template <class V>
    static V of(V x) {
        V one = like(x, 1);
        V root = sqrt(x);
        return one / root;
    }
};

struct Abs {
    template <class V>
    static V of(V x) {
        if constexpr (is_float<V>) {
            return abs(x);
        } else if constexpr (is_unsigned<V>) {
            return x;
        } else {
            V zero = like(x, 0);
            V negated = -x;
            return select(x < zero, negated, x);
        }
    }
};

// −1, 0 or 1; 0 for a NaN.
struct Sign {
    template <class V>
    static V of(V x) {
        V zero = like(x, 0);
        V one = like(x, 1);
        V positive = select(zero < x, one, zero);
        if constexpr (is_unsigned<V>) {
            return positive;
        } else {
            V negative = select(x < zero, one, zero);
            return positive - negative;
        }
    }
};

// max(x, +0); a NaN passes.
struct Relu {
    template <class V>
    static V of(V x) {
        V zero = like(x, 0);
        return select(x <= zero, zero, x);
    }
};

// A NaN on either side wins. Of +0 and −0, which are equal, the second operand.
struct Maximum {
    template <class V>
    static V of(V a, V b) {
        Mask<V> first = a > b;
        if constexpr (is_float<V>) {
            Mask<V> unordered = is_nan(a);
            first = first | unordered;
        }
        return select(first, a, b);
    }
};

struct Minimum {
    template <class V>
    static V of(V a, V b) {
        Mask<V> first = a < b;
        if constexpr (is_float<V>) {
            Mask<V> unordered = is_nan(a);
            first = first | unordered;
        }
        return select(first, a, b);
    }
};

struct Floor {
    template <class V>
    static V of(V x) {
        if constexpr (is_float<V>) {
            return floor(x);
        } else {
            return x;
        }
    }
};

struct Ceil {
    template <class V>
    static V of(V x) {
        if constexpr (is_float<V>) {
            return ceil(x);
        } else {
            return x;
        }
    }
};

struct Trunc {
    template <class V>
    static V of(V x) {
        if constexpr (is_float<V>) {
            return trunc(x);
        } else {
            return x;
        }
    }
};

// To the nearest integer, halves to even.
struct Round {
    template <class V>
    static V of(V x) {
        if constexpr (is_float<V>) {
            return round_even(x);
        } else {
            return x;
        }
    }
};

// ---- division with a remainder: a = q·b + r ----

namespace division {

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

// C's fmod, exactly: the sign of a, |r| < |b|; NaN for b = 0, a = ±∞ or a NaN; a for b = ±∞.
template <class V>
inline V fmod(V a, V b) {
    V dividend = abs(a);
    V divisor = abs(b);
    V ratio = dividend / divisor;
    V estimate = trunc(ratio);
    V near = fma(-estimate, divisor, dividend);  // exact: the estimate is off by one at most
    Mask<V> far = ratio >= like(a, Format<Element<V>>::integer_from);
    V rest = rarely(far, near, [&] {
        if constexpr (is_single<V>) {  // quotients to 2^277
            auto wide_dividend = convert<double>(dividend);
            auto wide_divisor = convert<double>(divisor);
            return convert<float>(reduce<6>(wide_dividend, wide_divisor));
        } else {  // to 2^2098
            return reduce<41>(dividend, divisor);
        }
    });
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

}  // namespace division

// The sign of a, as C; the sign of b, as Python; q = ⌊a / b⌋ as Python. On floats b = 0 gives what a / b and IEEE give.
struct Fmod {
    template <class V>
    static V of(V a, V b) {
        if constexpr (is_float<V>) {
            return division::fmod(a, b);
        } else {
            return division::Quotient<V>::of(a, b).rest;
        }
    }
    template <class V> static Mask<V> fault(V, V b) { return b == like(b, 0); }
};

struct Remainder {
    template <class V>
    static V of(V a, V b) {
        V rest = Fmod::of(a, b);
        if constexpr (is_unsigned<V>) {
            return rest;
        } else {
            V moved = rest + b;
            Mask<V> move = division::disagrees(rest, b);
            return select(move, moved, rest);
        }
    }
    template <class V> static Mask<V> fault(V, V b) { return b == like(b, 0); }
};

struct FloorDivide {
    template <class V>
    static V of(V a, V b) {
        if constexpr (is_float<V>) {
            return of_floats(a, b);
        } else {
            auto divided = division::Quotient<V>::of(a, b);
            if constexpr (is_unsigned<V>) {
                return divided.whole;
            } else {
                V below = divided.whole - like(a, 1);
                Mask<V> move = division::disagrees(divided.rest, b);
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
        V rest = division::fmod(a, b);
        V multiple = a - rest;
        V whole = multiple / b;
        V below = whole - one;
        Mask<V> move = division::disagrees(rest, b);
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

// ---- comparisons ----

struct Less {
    template <class V> static Mask<V> of(V a, V b) { return a < b; }
};
struct LessEqual {
    template <class V> static Mask<V> of(V a, V b) { return a <= b; }
};
struct Greater {
    template <class V> static Mask<V> of(V a, V b) { return a > b; }
};
struct GreaterEqual {
    template <class V> static Mask<V> of(V a, V b) { return a >= b; }
};
struct Equal {
    template <class V> static Mask<V> of(V a, V b) { return a == b; }
};
struct NotEqual {
    template <class V> static Mask<V> of(V a, V b) { return a != b; }
};

struct IsNan {
    template <class V> static Mask<V> of(V x) { return x != x; }
};

struct IsInf {
    template <class V>
    static Mask<V> of(V x) {
        if constexpr (is_float<V>) {
            V magnitude = abs(x);
            return magnitude == infinity(x);
        } else {
            return x != x;
        }
    }
};

struct IsFinite {
    template <class V>
    static Mask<V> of(V x) {
        if constexpr (is_float<V>) {
            V magnitude = abs(x);
            return magnitude < infinity(x);
        } else {
            return x == x;
        }
    }
};

// ---- logic: anything but zero is true, NaN included ----

template <class V> inline Mask<V> truth(V x) { return x != like(x, 0); }

struct LogicalNot {
    template <class V> static Mask<V> of(V x) { return x == like(x, 0); }
};

struct LogicalAnd {
    template <class V>
    static Mask<V> of(V a, V b) {
        Mask<V> first = truth(a);
        Mask<V> second = truth(b);
        return first & second;
    }
};

struct LogicalOr {
    template <class V>
    static Mask<V> of(V a, V b) {
        Mask<V> first = truth(a);
        Mask<V> second = truth(b);
        return first | second;
    }
};

struct LogicalXor {
    template <class V>
    static Mask<V> of(V a, V b) {
        Mask<V> first = truth(a);
        Mask<V> second = truth(b);
        return first ^ second;
    }
};

struct Where {
    template <class V> static V of(Mask<V> condition, V a, V b) { return select(condition, a, b); }
};

// ---- bits ----

struct BitwiseAnd {
    template <class V> static V of(V a, V b) { return a & b; }
};
struct BitwiseOr {
    template <class V> static V of(V a, V b) { return a | b; }
};
struct BitwiseXor {
    template <class V> static V of(V a, V b) { return a ^ b; }
};

// On integers. On bool it is LogicalNot: a bool held in a byte is 0 or 1.
struct BitwiseNot {
    template <class V> static V of(V x) { return ~x; }
};

// Counts outside 0 … width − 1 shift everything out: 0, or the sign.
struct ShiftLeft {
    template <class V>
    static V of(V x, V count) {
        V zero = like(x, 0);
        Mask<V> negative = count < zero;
        Mask<V> large = count > like(x, width_of<V> - 1);
        Mask<V> outside = negative | large;
        V safe = select(outside, zero, count);
        V shifted = shift_left(x, safe);
        return select(outside, zero, shifted);
    }
};

struct ShiftRight {
    template <class V>
    static V of(V x, V count) {
        V last = like(x, width_of<V> - 1);
        Mask<V> negative = count < like(x, 0);
        Mask<V> large = count > last;
        Mask<V> outside = negative | large;
        V safe = select(outside, last, count);
        V shifted = shift_right(x, safe);
        if constexpr (is_unsigned<V>) {
            return select(outside, like(x, 0), shifted);
        } else {
            return shifted;
        }
    }
};

}  // namespace tenon::scalar
