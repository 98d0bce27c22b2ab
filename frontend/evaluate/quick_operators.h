// The operators of two ints or two floats that cannot fail, inline: what host loops are made of. Everything else is
// host_binary's, which says the same and has the errors.
#pragma once

#include <optional>

#include "frontend/syntax/ast.h"
#include "frontend/values/value.h"

namespace tenon {

/// Unset where it is not quick.
inline Value quick_ints(ast::BinaryOperator op, int64_t a, int64_t b) {
    using enum ast::BinaryOperator;
    int64_t result;
    switch (op) {
        case add:
            if (!__builtin_add_overflow(a, b, &result)) return result;
            break;
        case subtract:
            if (!__builtin_sub_overflow(a, b, &result)) return result;
            break;
        case multiply:
            if (!__builtin_mul_overflow(a, b, &result)) return result;
            break;
        case floor_divide:
            if (b > 0) return a / b - (a % b < 0);
            break;
        case modulo:
            if (b > 0) return (result = a % b) < 0 ? result + b : result;
            break;
        case divide:
            if (b != 0) return static_cast<double>(a) / static_cast<double>(b);
            break;
        case bit_and: return a & b;
        case bit_or: return a | b;
        case bit_xor: return a ^ b;
        default: break;
    }
    return Value::unset();
}

inline Value quick_reals(ast::BinaryOperator op, double a, double b) {
    using enum ast::BinaryOperator;
    switch (op) {
        case add: return a + b;
        case subtract: return a - b;
        case multiply: return a * b;
        case divide:
            if (b != 0) return a / b;
            break;
        default: break;
    }
    return Value::unset();
}

inline Value quick_binary(ast::BinaryOperator op, const Value& a, const Value& b) {
    if (a.is_int() && b.is_int()) return quick_ints(op, a.as_int(), b.as_int());
    if (a.is_number() && b.is_number()) return quick_reals(op, a.as_number(), b.as_number());
    return Value::unset();
}

template <class T> bool quick_order(ast::ComparisonOperator op, T a, T b) {
    using enum ast::ComparisonOperator;
    switch (op) {
        case equal: return a == b;
        case not_equal: return a != b;
        case less: return a < b;
        case less_equal: return a <= b;
        case greater: return a > b;
        default: return a >= b;
    }
}

/// Nothing where it is not quick.
inline std::optional<bool> quick_comparison(ast::ComparisonOperator op, const Value& a, const Value& b) {
    if (op > ast::ComparisonOperator::greater_equal) return std::nullopt;
    if (a.is_int() && b.is_int()) return quick_order(op, a.as_int(), b.as_int());
    if (a.is_number() && b.is_number()) return quick_order(op, a.as_number(), b.as_number());
    return std::nullopt;
}

}  // namespace tenon
