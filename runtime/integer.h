// Arithmetic of whole numbers as scripts mean it.
#pragma once
#include <cstdint>

namespace tenon {

/// ⌊a / b⌋; b is not 0.
constexpr int64_t floor_divide(int64_t a, int64_t b) {
    const int64_t quotient = a / b;
    return quotient - (a % b != 0 && (a < 0) != (b < 0));
}

}  // namespace tenon
