#include "frontend/evaluate/failure.h"

#include <fmt/format.h>

#include "frontend/evaluate/session.h"
#include "frontend/syntax/diagnostics_renderer.h"

namespace tenon {

namespace {

constexpr size_t stack_lines_at_each_end = 8;  // of a deep recursion

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

}  // namespace

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

std::string render_failure(Session& session, const Diagnostic& diagnostic, bool colour) {
    return render(diagnostic, session.sources(), colour) +
           render_stack(session.evaluator().take_stack(), session.sources());
}

}  // namespace tenon
