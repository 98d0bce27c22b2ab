// One run of a script in a process of its own, so that a crash, a hang or a lack of memory is a result like any other.
#pragma once

#include <string>

#include "frontend/record/tracer.h"

namespace tenon::fuzz {

struct Settings {
    Engine engine = Engine::eager;
    int threads = 1;
    bool verify = false;
    bool compiled_backward = false;
};
std::string text_of(const Settings& settings);

struct Outcome {
    int exit_code = 0;
    int signal = 0;  ///< that ended it, 0 if none
    std::string printed;
    std::string errors;  ///< what the script ended with, and what else went to stderr

    /// Why no script may end like this, or empty: crashes, hangs, messages that speak of a bug.
    std::string fault() const;
    friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome run_trial(const std::string& script, const Settings& settings);

}  // namespace tenon::fuzz
