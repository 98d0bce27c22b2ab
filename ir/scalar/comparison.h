// Comparisons, logic, bits, and the choice between two values: exact.
#pragma once
#include "ir/scalar/function.h"

namespace tenon::scalar {

// ---- comparisons ----

struct Less {
    static constexpr Function is = comparison_of("less", all);
    template <class V> static Mask<V> of(V a, V b) { return a < b; }
};
struct LessEqual {
    static constexpr Function is = comparison_of("less_equal", all);
    template <class V> static Mask<V> of(V a, V b) { return a <= b; }
};
struct Greater {
    static constexpr Function is = comparison_of("greater", all);
    template <class V> static Mask<V> of(V a, V b) { return a > b; }
};
struct GreaterEqual {
    static constexpr Function is = comparison_of("greater_equal", all);
    template <class V> static Mask<V> of(V a, V b) { return a >= b; }
};
struct Equal {
    static constexpr Function is = comparison_of("equal", all);
    template <class V> static Mask<V> of(V a, V b) { return a == b; }
};
struct NotEqual {
    static constexpr Function is = comparison_of("not_equal", all);
    template <class V> static Mask<V> of(V a, V b) { return a != b; }
};

struct IsNan {
    static constexpr Function is = predicate("isnan", numbers);
    template <class V> static Mask<V> of(V x) { return x != x; }
};

struct IsInf {
    static constexpr Function is = predicate("isinf", numbers);
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
    static constexpr Function is = predicate("isfinite", numbers);
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

struct LogicalNot {
    static constexpr Function is = predicate("logical_not", all);
    template <class V> static Mask<V> of(V x) { return x == like(x, 0); }
};

struct LogicalAnd {
    static constexpr Function is = comparison_of("logical_and", all);
    template <class T> static constexpr T identity = T(1);
    template <class V>
    static Mask<V> of(V a, V b) {
        Mask<V> first = truth(a);
        Mask<V> second = truth(b);
        return first & second;
    }
};

struct LogicalOr {
    static constexpr Function is = comparison_of("logical_or", all);
    template <class T> static constexpr T identity = T(0);
    template <class V>
    static Mask<V> of(V a, V b) {
        Mask<V> first = truth(a);
        Mask<V> second = truth(b);
        return first | second;
    }
};

struct LogicalXor {
    static constexpr Function is = comparison_of("logical_xor", all);
    template <class V>
    static Mask<V> of(V a, V b) {
        Mask<V> first = truth(a);
        Mask<V> second = truth(b);
        return first ^ second;
    }
};

struct Where {
    static constexpr Function is = choice("where", all);
    template <class V> static V of(Mask<V> condition, V a, V b) { return select(condition, a, b); }
};

// ---- bits ----

struct BitwiseAnd {
    static constexpr Function is = binary("bitwise_and", integral);
    template <class V> static V of(V a, V b) { return a & b; }
};
struct BitwiseOr {
    static constexpr Function is = binary("bitwise_or", integral);
    template <class V> static V of(V a, V b) { return a | b; }
};
struct BitwiseXor {
    static constexpr Function is = binary("bitwise_xor", integral);
    template <class V> static V of(V a, V b) { return a ^ b; }
};

struct BitwiseNot {
    using OnBool = LogicalNot;
    static constexpr Function is = unary("bitwise_not", integral);
    template <class V> static V of(V x) { return ~x; }
};

// Counts outside 0 … width − 1 shift everything out: 0, or the sign.
struct ShiftLeft {
    static constexpr Function is = binary("shift_left", integers);
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
    static constexpr Function is = binary("shift_right", integers);
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
inline constexpr Functions<Less, LessEqual, Greater, GreaterEqual, Equal, NotEqual, LogicalAnd, LogicalOr, LogicalXor,
                           LogicalNot, IsNan, IsInf, IsFinite, BitwiseAnd, BitwiseOr, BitwiseXor, BitwiseNot, ShiftLeft,
                           ShiftRight, Where>
    comparison;

}  // namespace tenon::scalar
