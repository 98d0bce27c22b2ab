#include "frontend/tool/report.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "frontend/syntax/diagnostics_renderer.h"
#include "frontend/syntax/utf8.h"
#include "frontend/tool/command_line.h"
#include "runtime/interrupt.h"

namespace tenon {

namespace {

constexpr size_t stack_lines_at_each_end = 8;  // of a deep recursion
constexpr size_t stack_size = 64 * 1024;       // of the signal handler: AVX-512 state alone is some kilobytes

// A script that is wrong all over is told so once.
std::string render_all(const std::vector<Diagnostic>& diagnostics, const SourceMap& sources, bool colour) {
    constexpr size_t most = 50;
    std::string text;
    for (size_t k = 0; k < diagnostics.size() && k < most; ++k) {
        if (k > 0) text += '\n';
        text += render(diagnostics[k], sources, colour);
    }
    if (diagnostics.size() > most) text += fmt::format("\n… and {} errors more\n", diagnostics.size() - most);
    return text;
}

std::string render_stack(const std::vector<StackEntry>& stack, const SourceMap& sources) {
    std::string out;
    for (size_t i = 0; i < stack.size(); ++i) {
        if (stack.size() > 2 * stack_lines_at_each_end + 1 && i == stack_lines_at_each_end) {
            out += "   … more calls\n";
            i = stack.size() - stack_lines_at_each_end - 1;
            continue;
        }
        const StackEntry& entry = stack[i];
        out += fmt::format("   in {}{}\n", entry.function,
                           entry.call ? fmt::format(", called at {}", sources.place(entry.call)) : "");
    }
    return out;
}

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
    auto told = [&](const Diagnostic& diagnostic) {
        return render(diagnostic, session.sources(), colour) +
               render_stack(session.evaluator().take_stack(), session.sources());
    };
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
