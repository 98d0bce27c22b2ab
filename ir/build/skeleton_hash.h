// A 128-bit hash of the skeleton of a graph: all that is emitted into it (ops, types, attributes, operands, metadata,
// flags) and what else is mixed in, but no size hints, names and origins. What a capture finds its graph by.
#pragma once
#include <compare>
#include <cstdint>

#include "ir/intern_table.h"

namespace tenon {

struct SkeletonHash {
    uint64_t low = 0, high = 0;
    auto operator<=>(const SkeletonHash&) const = default;

    [[gnu::always_inline]] void mix(uint64_t value) {
        low = mix_hash(low, value);
        high = mix_hash(high ^ 0x94D049BB133111EBull, value * 0xD6E8FEB86659FD93ull);
    }
};

}  // namespace tenon
