// Sums, products, extrema, roots, roundings: exact, or correctly rounded, except `rsqrt` (two roundings).
#pragma once
#include "ir/scalar/function.h"

namespace tenon::scalar {

struct Add {
    static constexpr Function is = binary("add", numbers);
    template <class T> static constexpr T identity = T(-0.0);  // a sum of −0 stays −0
    template <class V> static V of(V a, V b) { return a + b; }
};
struct Sub {
    static constexpr Function is = binary("sub", numbers);
    template <class V> static V of(V a, V b) { return a - b; }
};
struct Mul {
    static constexpr Function is = binary("mul", numbers);
    template <class T> static constexpr T identity = T(1);
    template <class V> static V of(V a, V b) { return a * b; }
};
struct Div {
    static constexpr Function is = binary("div", floats);
    template <class V> static V of(V a, V b) { return a / b; }
};
struct Neg {
    static constexpr Function is = unary("neg", numbers).exact();
    template <class V> static V of(V x) { return -x; }
};
struct Square {
    static constexpr Function is = unary("square", numbers);
    template <class V> static V of(V x) { return x * x; }
};
struct Sqrt {
    static constexpr Function is = unary("sqrt", floats);
    template <class V> static V of(V x) { return sqrt(x); }
};

struct Reciprocal {
    static constexpr Function is = unary("reciprocal", floats);
    template <class V>
    static V of(V x) {
        V one = like(x, 1);
        return one / x;
    }
};

struct Rsqrt {
    static constexpr Function is = unary("rsqrt", floats).within(1.5, 1.5);
    template <class V>
    static V of(V x) {
        V one = like(x, 1);
        V root = sqrt(x);
        return one / root;
    }
};

struct Abs {
    static constexpr Function is = unary("abs", numbers).exact();
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
    static constexpr Function is = unary("sign", numbers).exact();
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
    static constexpr Function is = unary("relu", numbers).exact();
    template <class V>
    static V of(V x) {
        V zero = like(x, 0);
        return select(x <= zero, zero, x);
    }
};

// A NaN on either side wins. Of +0 and −0, which are equal, the second operand.
struct Maximum {
    static constexpr Function is = binary("maximum", all).exact();
    template <class T> static constexpr T identity = lowest<T>;
    template <class V>
    static V of(V a, V b) {
        Mask<V> first = a > b;
        if constexpr (is_float<V>) {
            Mask<V> unordered = is_nan(a);
            first = first | unordered;
        }
        return select(first, a, b);
    }
    template <class V>
    static V of_numbers(V a, V b) {
        return select(a > b, a, b);
    }
};

struct Minimum {
    static constexpr Function is = binary("minimum", all).exact();
    template <class T> static constexpr T identity = highest<T>;
    template <class V>
    static V of(V a, V b) {
        Mask<V> first = a < b;
        if constexpr (is_float<V>) {
            Mask<V> unordered = is_nan(a);
            first = first | unordered;
        }
        return select(first, a, b);
    }
    template <class V>
    static V of_numbers(V a, V b) {
        return select(a < b, a, b);
    }
};

struct Floor {
    static constexpr Function is = unary("floor", numbers).exact();
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
    static constexpr Function is = unary("ceil", numbers).exact();
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
    static constexpr Function is = unary("trunc", numbers).exact();
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
    static constexpr Function is = unary("round", numbers).exact();
    template <class V>
    static V of(V x) {
        if constexpr (is_float<V>) {
            return round_even(x);
        } else {
            return x;
        }
    }
};
inline constexpr Functions<Add, Sub, Mul, Div, Maximum, Minimum, Neg, Abs, Sign, Square, Relu, Reciprocal, Sqrt, Rsqrt,
                           Floor, Ceil, Round, Trunc>
    arithmetic;

}  // namespace tenon::scalar
