// Philox4x32-10, a counter-based generator: J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC
// 2011. Four words depend on a key and a counter alone, so any element of a random tensor can be made anywhere, in any
// order.
#pragma once

#include <array>
#include <cstdint>

namespace tenon {

using PhiloxKey = std::array<uint32_t, 2>;
using PhiloxCounter = std::array<uint32_t, 4>;

constexpr std::array<uint32_t, 4> philox4x32_10(PhiloxKey key, PhiloxCounter counter) {
    for (int round = 0; round < 10; ++round) {
        uint64_t product0 = uint64_t{0xD2511F53} * counter[0], product1 = uint64_t{0xCD9E8D57} * counter[2];
        counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(product1),
                   static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(product0)};
        key[0] += 0x9E3779B9;  // the golden ratio
        key[1] += 0xBB67AE85;  // √3 − 1
    }
    return counter;
}

/// [0, 1) in steps of 2^-24.
constexpr float uniform_f32(uint32_t bits) { return static_cast<float>(bits >> 8) * 0x1p-24f; }

/// [0, 1) in steps of 2^-53.
constexpr double uniform_f64(uint32_t high, uint32_t low) {
    return static_cast<double>(((uint64_t{high} << 32) | low) >> 11) * 0x1p-53;
}

}  // namespace tenon
