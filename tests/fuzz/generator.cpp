#include "tests/fuzz/generator.h"

#include <array>

#include "tests/fuzz/program_generator.h"

namespace tenon::fuzz {

Weights weights_of(Profile profile) {
    switch (profile) {
        case Profile::general: break;
        case Profile::views: return {.value = 6, .write = 8, .view = 6, .host = 1, .derivative = 2};
        case Profile::history:
            return {.value = 7, .write = 3, .view = 2, .host = 1, .decision = 2, .mark = 2, .derivative = 6};
        case Profile::host: return {.value = 5, .host = 8, .branch = 3, .loop = 3, .call = 2};
        case Profile::breaks:
            return {.value = 6, .write = 3, .decision = 4, .mark = 4, .print = 2, .attempt = 4, .random = 3};
        case Profile::batches: return {.value = 6, .derivative = 2, .map = 7};
        case Profile::training: return {.value = 8, .derivative = 0, .call = 3};
        case Profile::smooth: break;
    }
    return {};
}

std::string_view name_of(Profile profile) {
    static constexpr std::array<std::string_view, profile_count> names = {"general", "views",   "history",  "host",
                                                                          "breaks",  "batches", "training", "smooth"};
    return names[static_cast<size_t>(profile)];
}

Statements generate(uint64_t seed, Profile profile) { return ProgramGenerator(seed, profile).program(); }

}  // namespace tenon::fuzz
