// What a graph is compiled by, besides itself: part of what it is found by.
#pragma once

#include <cstdint>

namespace tenon {

/// `--engine`.
enum class Engine : uint8_t {
    eager,      ///< each op at once, nothing captured: the meaning of a script
    interp,     ///< captured, optimised, interpreted
    jit,        ///< every kernel compiled before it first runs
    automatic,  ///< interpreted until the compiler is done
};

struct CompileSettings {
    Engine engine = Engine::automatic;
    bool verify = false;  ///< --verify
    uint64_t bits() const { return static_cast<uint64_t>(engine) << 1 | static_cast<uint64_t>(verify); }
};

}  // namespace tenon
