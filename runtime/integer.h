// Arithmetic of whole numbers as scripts mean it.
#pragma once
#include <cstdint>

namespace tenon {

/// ⌊a / b⌋; b is not 0.
constexpr int64_t floor_divide(int64_t a, int64_t b) {
    const int64_t quotient = a / b;
    return quotient - (a % b != 0 && (a < 0) != (b < 0));
}

/// What does not fit in 64 bits stays the largest (or least) number there is. Of a size: no machine has it, which the
/// allocator says.
constexpr int64_t add_saturated(int64_t a, int64_t b) {
    int64_t sum = 0;
    return !__builtin_add_overflow(a, b, &sum) ? sum : a < 0 ? INT64_MIN : INT64_MAX;
}
constexpr int64_t multiply_saturated(int64_t a, int64_t b) {
    int64_t product = 0;
    return !__builtin_mul_overflow(a, b, &product) ? product : (a < 0) != (b < 0) ? INT64_MIN : INT64_MAX;
}

}  // namespace tenon
