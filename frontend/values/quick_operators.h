// Numbers in registers, and the operators of two of them that cannot fail: what host loops are made of. Everything else
// is host_binary's, which says the same and has the errors.
#pragma once

#include <bit>
#include <cstdint>

#include "frontend/syntax/ast.h"
#include "frontend/values/value.h"

namespace tenon {

/// A bool, an int or a float; unset where there is none. Plain data of two words, so that it is returned in registers.
struct Quick {
    uint64_t kind = static_cast<uint64_t>(Kind::unset);
    uint64_t word = 0;

    Quick() = default;
    Quick(Kind k, uint64_t w) : kind(static_cast<uint64_t>(k)), word(w) {}
    static Quick of(bool value) { return {Kind::boolean, value}; }
    static Quick of(int64_t value) { return {Kind::integer, static_cast<uint64_t>(value)}; }
    static Quick of(double value) { return {Kind::real, std::bit_cast<uint64_t>(value)}; }
    static Quick of(const Value& value) {
        const bool is_quick = value.kind() >= Kind::boolean && value.kind() <= Kind::real;
        return is_quick ? Quick(value.kind(), value.word()) : Quick();
    }
    Value value() const { return Value::of_word(static_cast<Kind>(kind), word); }

    bool is(Kind k) const { return kind == static_cast<uint64_t>(k); }
    explicit operator bool() const { return !is(Kind::unset); }
    int64_t as_int() const { return static_cast<int64_t>(word); }
    bool is_number() const { return is(Kind::integer) || is(Kind::real); }
    double as_number() const { return is(Kind::integer) ? static_cast<double>(as_int()) : std::bit_cast<double>(word); }
};

/// Unset where it is not quick.
[[gnu::always_inline]] inline Quick quick_ints(ast::BinaryOperator op, int64_t a, int64_t b) {
    using enum ast::BinaryOperator;
    int64_t result;
    switch (op) {
        case add:
            if (!__builtin_add_overflow(a, b, &result)) return Quick::of(result);
            break;
        case subtract:
            if (!__builtin_sub_overflow(a, b, &result)) return Quick::of(result);
            break;
        case multiply:
            if (!__builtin_mul_overflow(a, b, &result)) return Quick::of(result);
            break;
        case floor_divide:
            if (b > 0) return Quick::of(a / b - (a % b < 0));
            break;
        case modulo:
            if (b > 0) return Quick::of((result = a % b) < 0 ? result + b : result);
            break;
        case divide:
            if (b != 0) return Quick::of(static_cast<double>(a) / static_cast<double>(b));
            break;
        case bit_and: return Quick::of(a & b);
        case bit_or: return Quick::of(a | b);
        case bit_xor: return Quick::of(a ^ b);
        default: break;
    }
    return {};
}

[[gnu::always_inline]] inline Quick quick_reals(ast::BinaryOperator op, double a, double b) {
    using enum ast::BinaryOperator;
    switch (op) {
        case add: return Quick::of(a + b);
        case subtract: return Quick::of(a - b);
        case multiply: return Quick::of(a * b);
        case divide:
            if (b != 0) return Quick::of(a / b);
            break;
        default: break;
    }
    return {};
}

[[gnu::always_inline]] inline Quick quick_binary(ast::BinaryOperator op, Quick a, Quick b) {
    if (a.is(Kind::integer) && b.is(Kind::integer)) return quick_ints(op, a.as_int(), b.as_int());
    if (a.is_number() && b.is_number()) return quick_reals(op, a.as_number(), b.as_number());
    return {};
}

template <class T> [[gnu::always_inline]] inline bool quick_order(ast::ComparisonOperator op, T a, T b) {
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

/// A bool; unset where it is not quick.
[[gnu::always_inline]] inline Quick quick_comparison(ast::ComparisonOperator op, Quick a, Quick b) {
    if (op > ast::ComparisonOperator::greater_equal) return {};
    if (a.is(Kind::integer) && b.is(Kind::integer)) return Quick::of(quick_order(op, a.as_int(), b.as_int()));
    if (a.is_number() && b.is_number()) return Quick::of(quick_order(op, a.as_number(), b.as_number()));
    return {};
}

}  // namespace tenon
