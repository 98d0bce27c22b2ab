#include "frontend/tool/report.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <new>

#include "frontend/tool/command_line.h"
#include "frontend/syntax/diagnostics_renderer.h"

namespace tenon {

namespace {

constexpr size_t stack_lines_at_each_end = 8;  // of a deep recursion
constexpr size_t stack_size = 64 * 1024;       // of the signal handler: AVX-512 state alone is some kilobytes

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

// A signal handler can reach nothing else. Null while no script may be interrupted.
std::atomic<Evaluator*> interruptible{nullptr};
volatile std::sig_atomic_t pressed = 0;

void on_interrupt(int) {
    Evaluator* evaluator = interruptible.load(std::memory_order_relaxed);
    if (!evaluator || pressed) _exit(exit_interrupted);
    pressed = 1;
    evaluator->interrupt();
}

}  // namespace

bool wants_colour() {
    const char* no_colour = std::getenv("NO_COLOR");
    return isatty(STDERR_FILENO) && !(no_colour && *no_colour);
}

Outcome guarded(Session& session, bool colour, const std::function<void()>& body) {
    auto failed = [&](const Diagnostic& diagnostic) {
        session.output().flush();
        return Outcome{exit_failed, render(diagnostic, session.sources(), colour) +
                                        render_stack(session.evaluator().take_stack(), session.sources())};
    };
    try {
        body();
        session.output().finish();
        return {};
    } catch (const InvalidScript& invalid) {
        session.output().flush();
        std::string message;
        for (const Diagnostic& diagnostic : invalid.diagnostics) {
            if (!message.empty()) message += '\n';
            message += render(diagnostic, session.sources(), colour);
        }
        return {exit_invalid, std::move(message)};
    } catch (const Error& error) { return failed(error.diagnostic); } catch (const Interrupted&) {
        session.output().flush();
        return {exit_interrupted, "interrupted\n" + render_stack(session.evaluator().take_stack(), session.sources())};
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

InterruptGuard::InterruptGuard(Evaluator& evaluator) : stack_(std::make_unique<std::byte[]>(stack_size)) {
    pressed = 0;
    interruptible.store(&evaluator);
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
    interruptible.store(nullptr);
    pressed = 0;
    stack_t stack{};
    stack.ss_flags = SS_DISABLE;
    struct sigaction action{};
    action.sa_handler = on_interrupt;
    sigaction(SIGINT, &action, nullptr);
    sigaltstack(&stack, nullptr);
}

}  // namespace tenon
