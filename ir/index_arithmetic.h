// Arithmetic on positions, as every engine has it.
#pragma once
#include <algorithm>
#include <cassert>

#include "ir/row.h"
#include "runtime/integer.h"

namespace tenon {

constexpr bool divides(IndexOp op) { return op == IndexOp::floor_divide || op == IndexOp::remainder; }

/// a op b. The divisor is not 0.
constexpr int64_t apply(IndexOp op, int64_t a, int64_t b) {
    switch (op) {
        case IndexOp::add: return a + b;
        case IndexOp::sub: return a - b;
        case IndexOp::mul: return a * b;
        case IndexOp::floor_divide: return floor_divide(a, b);
        case IndexOp::remainder: return a - b * floor_divide(a, b);
        case IndexOp::minimum: return std::min(a, b);
        case IndexOp::maximum: return std::max(a, b);
        case IndexOp::none: break;
    }
    assert(false && "no arithmetic on positions");
    return 0;
}

}  // namespace tenon
