// `tenon help NAME`: what the language, the library and the compiler know by that name.
#include <cstdio>

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
        try {
            fmt::print("{}", help.reference());
        } catch (const Error& error) {
            fmt::print(stderr, "tenon: {}\n", error.diagnostic.message);
            return exit_failed;
        }
        return exit_success;
    }
    int code = exit_success;
    bool first = true;
    for (const std::string& name : line.files) {
        const std::string text = help.about(name);
        if (!first) fmt::print("\n");
        first = false;
        const bool is_command = print_command_help(name);
        if (is_command && !text.empty()) fmt::print("\n");
        fmt::print("{}", text);
        if (!text.empty() || is_command) continue;
        const std::string advice = help.suggestion(name);
        std::fflush(stdout);
        fmt::print(stderr, "tenon: nothing is called `{}`{}{}\n", name, advice.empty() ? "" : "; ", advice);
        code = exit_invalid;
    }
    return code;
}

}  // namespace tenon
