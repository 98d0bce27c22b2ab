// Random programs: well typed for the most part, and strange in what they do with memory, history and control.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/script.h"

namespace tenon::fuzz {

/// What a program is mostly about.
enum class Profile : uint8_t {
    general,   ///< a little of everything
    views,     ///< views, and writes through them
    history,   ///< differentiation in every form, inside of captured functions and across their ends
    host,      ///< numbers, lists, dicts, closures, loops and branches of the host; sizes that change
    breaks,    ///< breaks, decisions on values, errors, checkpoints, random numbers
    batches,   ///< vmap, nested and differentiated
    training,  ///< models and optimisers
    smooth,    ///< functions of f64 whose gradients of first and second order are held against central differences
};
inline constexpr int profile_count = 8;

std::string_view name_of(Profile profile);

/// The program of a seed. It prints everything that it computes.
Statements generate(uint64_t seed, Profile profile);

}  // namespace tenon::fuzz
