// What a graph is compiled by, besides itself: part of what it is found by.
#pragma once

#include <bit>
#include <cstdint>

namespace tenon {

/// `--engine`.
enum class Engine : uint8_t {
    eager,      ///< each op at once, nothing captured: the meaning of a script
    interp,     ///< captured, optimised, interpreted
    jit,        ///< every kernel compiled before it first runs
    automatic,  ///< interpreted until the compiler is done
};

/// `compile(f, memory: …)`: what a call may take at most, if anything is said about it.
struct MemoryBudget {
    double fraction = 0;  ///< of what it takes without; 0 where `bytes` says it
    uint64_t bytes = 0;
    bool is_given() const { return fraction > 0 || bytes > 0; }
};

struct CompileSettings {
    Engine engine = Engine::automatic;
    bool verify = false;  ///< --verify
    MemoryBudget memory;
    uint64_t bits() const {
        const uint64_t budget = std::bit_cast<uint64_t>(memory.fraction) ^ memory.bytes;
        return (budget * 0x9E3779B97F4A7C15ull) ^ (static_cast<uint64_t>(engine) << 1 | static_cast<uint64_t>(verify));
    }
};

}  // namespace tenon
