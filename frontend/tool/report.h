// Errors on their way to people: rendered, with the calls that led there.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "frontend/evaluate/session.h"

namespace tenon {

/// Whether stderr is a terminal that wants colour.
bool wants_colour();

/// Text for the standard output, and for stderr.
template <class... T> void say(fmt::format_string<T...> format, T&&... values) {
    write_standard_output(fmt::format(format, std::forward<T>(values)...));
}
void say_error(std::string_view text);
/// A command that cannot be done, as a line on stderr: "tenon: …".
void say_refused(std::string_view message);

/// How a script ended, and what is to be said about it on stderr.
struct Outcome {
    int exit_code = 0;
    std::string message;
    bool output_lost = false;  ///< it failed for that
};

/// Runs `body` and turns whatever it throws into an exit code and text: the diagnostics and, for a script that failed,
/// its call stack.
Outcome guarded(Session& session, bool colour, const std::function<void()>& body);

/// While it lives, Ctrl-C interrupts what runs; a second one, and one at any other time, ends the process.
class InterruptGuard {
public:
    InterruptGuard();
    ~InterruptGuard();
    InterruptGuard(const InterruptGuard&) = delete;
    InterruptGuard& operator=(const InterruptGuard&) = delete;

private:
    std::unique_ptr<std::byte[]> stack_;
};

}  // namespace tenon
