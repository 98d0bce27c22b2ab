// Reductions that schedule splits among threads: chunks are folded by an earlier nest, then their results.
#pragma once
#include <cstdint>

#include "ir/fold_order.h"
#include "runtime/integer.h"

namespace tenon {

// Many elements to fold and few results to fold them to. By lanes: along the last axis.
constexpr bool is_long_reduction(bool by_lanes, int64_t kept, int64_t reduced) {
    const int64_t chunk = by_lanes ? fold_order::lanes_chunk : fold_order::rows_chunk;
    return multiply_saturated(kept, reduced) >= 65536 && reduced >= 8 * chunk && kept < (by_lanes ? 16 : 4096);
}

}  // namespace tenon
