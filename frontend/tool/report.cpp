#include "frontend/tool/report.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "frontend/evaluate/failure.h"
#include "frontend/syntax/utf8.h"
#include "frontend/tool/command_line.h"
#include "runtime/interrupt.h"

namespace tenon {

namespace {

constexpr size_t stack_size = 64 * 1024;  // of the signal handler: AVX-512 state alone is some kilobytes

// A signal handler can reach nothing else.
std::atomic<bool> listening{false};
volatile std::sig_atomic_t pressed = 0;

void on_interrupt(int) {
    if (!listening.load(std::memory_order_relaxed) || pressed) _exit(exit_interrupted);
    pressed = 1;
    interrupt::request();
}

}  // namespace

bool wants_colour() {
    const char* no_colour = std::getenv("NO_COLOR");
    return isatty(STDERR_FILENO) && !(no_colour && *no_colour);
}

void say_error(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); }

void say_refused(std::string_view message) { say_error(fmt::format("tenon: {}\n", visible(message))); }

Outcome guarded(Session& session, bool colour, const std::function<void()>& body) {
    auto told = [&](const Diagnostic& diagnostic) { return render_failure(session, diagnostic, colour); };
    auto failed = [&](const Diagnostic& diagnostic) { return Outcome{exit_failed, told(diagnostic)}; };
    try {
        body();
        return {};
    } catch (const InvalidScript& invalid) {
        return {exit_invalid, render_all(invalid.diagnostics, session.sources(), colour)};
    } catch (const OutputLost& lost) { return {exit_failed, told(lost.diagnostic), true}; } catch (const Error& error) {
        return failed(error.diagnostic);
    } catch (const Interrupted& interrupted) {
        return {exit_interrupted, told({"interrupted", "", interrupted.span, {}, {}})};
    } catch (const std::bad_alloc&) {
        return failed({"memory", "there is not enough memory", session.evaluator().here(), {}, {}});
    } catch (const std::exception& error) {
        return failed({"internal",
                       fmt::format("tenon itself failed: {}", error.what()),
                       session.evaluator().here(),
                       {},
                       "this is a bug; please report it with the script"});
    }
}

InterruptGuard::InterruptGuard() : stack_(std::make_unique<std::byte[]>(stack_size)) {
    interrupt::forget();
    pressed = 0;
    listening.store(true);
    // Kernels of libraries may keep data below the stack pointer, where a handler's frame would overwrite it.
    stack_t stack{};
    stack.ss_sp = stack_.get();
    stack.ss_size = stack_size;
    sigaltstack(&stack, nullptr);
    struct sigaction action{};
    action.sa_handler = on_interrupt;
    action.sa_flags = SA_ONSTACK;
    sigaction(SIGINT, &action, nullptr);
}

InterruptGuard::~InterruptGuard() {
    listening.store(false);
    interrupt::forget();
    pressed = 0;
    stack_t stack{};
    stack.ss_flags = SS_DISABLE;
    struct sigaction action{};
    action.sa_handler = on_interrupt;
    sigaction(SIGINT, &action, nullptr);
    sigaltstack(&stack, nullptr);
}

}  // namespace tenon
