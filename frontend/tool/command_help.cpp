// `tenon help NAME`: what the language, the library and the compiler know by that name.
#include <fmt/format.h>

#include "frontend/evaluate/session.h"
#include "frontend/help/help.h"
#include "frontend/tool/command_line.h"
#include "frontend/tool/report.h"

namespace tenon {

int tell_help(const CommandLine& line) {
    SymbolTable symbols;
    const BuiltinTable builtins(symbols, {});
    const Help help(builtins);
    if (line.markdown) {
        write_standard_output(help.reference());
        return exit_success;
    }
    int code = exit_success;
    bool first = true;
    for (const std::string& name : line.files) {
        const std::string text = help.about(name);
        if (!first) write_standard_output("\n");
        first = false;
        const bool is_command = print_command_help(name);
        if (is_command && !text.empty()) write_standard_output("\n");
        write_standard_output(text);
        if (!text.empty() || is_command) continue;
        const std::string advice = help.suggestion(name);
        say_refused(fmt::format("nothing is called `{}`{}{}", name, advice.empty() ? "" : "; ", advice));
        code = exit_invalid;
    }
    return code;
}

}  // namespace tenon
