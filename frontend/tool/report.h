// Errors on their way to people: rendered, with the calls that led there.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "frontend/evaluate/session.h"

namespace tenon {

/// Whether stderr is a terminal that wants colour.
bool wants_colour();

/// How a script ended, and what is to be said about it on stderr.
struct Outcome {
    int exit_code = 0;
    std::string message;
};

/// Runs `body` and turns whatever it throws into an exit code and text: the diagnostics and, for a script that failed,
/// its call stack.
Outcome guarded(Session& session, bool colour, const std::function<void()>& body);

/// While it lives, Ctrl-C interrupts the session's script; a second one ends the process.
class InterruptGuard {
public:
    explicit InterruptGuard(Evaluator& evaluator);
    ~InterruptGuard();
    InterruptGuard(const InterruptGuard&) = delete;
    InterruptGuard& operator=(const InterruptGuard&) = delete;

private:
    std::unique_ptr<std::byte[]> stack_;
};

}  // namespace tenon
