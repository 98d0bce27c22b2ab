// Where intermediate values lie: offsets into one arena, so that values never alive together share memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace tenon {

struct Lifetime {
    size_t bytes = 0;
    uint32_t first = 0, last = 0;  ///< steps: the one that makes it, the last that reads it
};

struct ArenaPlan {
    std::vector<size_t> offsets;  ///< a lifetime, multiples of 64
    std::vector<int32_t> reuses;  ///< the earlier lifetime whose memory it takes over, −1 where there is none
    size_t bytes = 0;
};

/// The largest values are placed first, each at the lowest offset that is free while it lives.
ArenaPlan plan_arena(std::span<const Lifetime> lifetimes);

}  // namespace tenon
