// The operators of the language, and what stands beside them.
#pragma once

#include <cstdint>

#include "frontend/values/value.h"

namespace tenon {

enum class Operator : uint8_t {
    add,
    sub,
    mul,
    div,
    floor_div,
    remainder,
    matmul,
    pow,
    bit_or,
    bit_xor,
    bit_and,
    shift_left,
    shift_right,
    equal,
    not_equal,
    less,
    less_equal,
    greater,
    greater_equal,
};
enum class UnaryOperator : uint8_t { negate, invert };

/// A value as an operand. A literal of the source becomes a constant of the graph, any other host number an input.
struct Operand {
    const Value& value;
    bool is_literal = false;
};

}  // namespace tenon
