// `tenon run` and `tenon check`.
#include <cstdio>
#include <cstdlib>

#include "frontend/tool/command_line.h"
#include "frontend/tool/profile.h"
#include "frontend/tool/report.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

// A file that cannot be read is as if the command line were wrong.
Module* open_script(Session& session, const std::string& path, Outcome& outcome) {
    Module* module = nullptr;
    outcome = guarded(session, wants_colour(), [&] { module = &session.modules().open(path); });
    if (outcome.exit_code == exit_failed) outcome.exit_code = exit_invalid;
    say_error(outcome.message);
    return outcome.exit_code == exit_success ? module : nullptr;
}

// Ends the process at once: the compiler may be at work on a kernel that nobody will run any more, and memory goes with
// the process. Under a sanitizer, which wants to see it given back, it does nothing.
void leave([[maybe_unused]] int exit_code) {
#ifndef TENON_SANITIZED
    std::fflush(nullptr);
    std::_Exit(exit_code);
#endif
}

}  // namespace

int run_script(const CommandLine& line) {
    Session session(line.session);
    Outcome outcome;
    Module* module = open_script(session, line.files[0], outcome);
    if (!module) return outcome.exit_code;
    Profile profile;
    if (line.profile) session.machine().set_observer(&profile);
    InterruptGuard guard;
    outcome = guarded(session, wants_colour(), [&] { session.modules().run_once(*module, {}); });
    say_error(outcome.message);
    session.machine().set_observer(nullptr);
    if (line.profile) say_error(profile.text(session.sources(), 30));
    leave(outcome.exit_code);
    return outcome.exit_code;
}

int check_scripts(const CommandLine& line) {
    int worst = exit_success;
    for (const std::string& file : line.files) {
        Session session(line.session);
        Outcome outcome;
        open_script(session, file, outcome);
        worst = std::max(worst, outcome.exit_code);
    }
    return worst;
}

}  // namespace tenon
