// `tenon repl`: evaluates what is typed, shows what it is worth, and survives every error.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>

#include "frontend/help/help.h"
#include "frontend/syntax/parser.h"
#include "frontend/tool/command_line.h"
#include "frontend/tool/golden_file.h"
#include "frontend/tool/line_editor.h"
#include "frontend/tool/report.h"
#include "runtime/file.h"

namespace tenon {

namespace {

constexpr std::string_view commands_help =
    "Type statements; the value of an expression is shown. An open bracket or block goes on in the next line;\n"
    "Ctrl-C drops it.\n"
    "  :help NAME           what a function, method, statement, module, … is\n"
    "  :type EXPRESSION     its type\n"
    "  :graph f(x)          the graph that f captures for x\n"
    "  :explain f(x)        what was captured, compiled and fused for it, and why\n"
    "  :time STATEMENT      how long it takes\n"
    "  :load FILE           runs a script here: its names stay\n"
    "  :reset               forgets everything\n"
    "  :quit                leaves, as Ctrl-D does\n";

constexpr std::string_view command_names[] = {":help", ":type", ":graph", ":explain",
                                              ":time", ":load", ":reset", ":quit"};

bool is_incomplete(const std::string& text) {
    SourceMap sources;
    SymbolTable symbols;
    Arena arena;
    return parse(sources.add("<input>", text), sources, symbols, arena).incomplete;
}

// "an int" as "int"
std::string_view without_article(std::string_view description) {
    for (std::string_view article : {"a ", "an ", "the "}) {
        if (description.starts_with(article)) return description.substr(article.size());
    }
    return description;
}

/// `f(x, y)` as `name(f, x, y)`; nothing if it is no call.
std::optional<std::string> as_argument_of(std::string_view name, std::string_view call) {
    size_t open = call.find('('), close = call.rfind(')');
    if (open == std::string_view::npos || close == std::string_view::npos || close + 1 != call.size()) return {};
    std::string_view callee = trimmed(call.substr(0, open)), inside = trimmed(call.substr(open + 1, close - open - 1));
    return fmt::format("{}({}{}{})", name, callee, inside.empty() ? "" : ", ", inside);
}

class Repl {
public:
    explicit Repl(const CommandLine& line)
        : options_(line.session), editor_([this](std::string_view prefix) { return complete(prefix); }) {
        start();
    }

    int run() {
        if (editor_.is_terminal()) say("tenon {}; :help tells more, Ctrl-D leaves\n", TENON_VERSION);
        std::string text;
        while (!output_lost_) {
            std::string line;
            switch (editor_.read(text.empty() ? "> " : ". ", line)) {
                case LineEditor::Result::interrupted: text.clear(); continue;
                case LineEditor::Result::end:
                    if (!text.empty() && editor_.is_terminal()) {
                        text.clear();
                        continue;
                    }
                    if (!trimmed(text).empty()) evaluate(text, false);  // of a pipe that ends within a block
                    return output_lost_ ? exit_failed : exit_success;
                case LineEditor::Result::line: break;
            }
            text += text.empty() ? line : "\n" + line;
            std::string_view entry = trimmed(text);
            if (entry.empty()) {
                text.clear();
                continue;
            }
            if (!entry.starts_with(':') && is_incomplete(text)) continue;
            editor_.remember(std::string(entry));
            if (entry.starts_with(':')) {
                if (!command(entry)) return exit_success;
            } else {
                evaluate(text, true);
            }
            text.clear();
        }
        return exit_failed;
    }

private:
    void start() {
        session_.reset();
        session_ = std::make_unique<Session>(options_);
        module_ = &session_->modules().add("<input>", ".");
    }

    // Runs text; false if it failed.
    bool evaluate(const std::string& text, bool show, Value* value = nullptr) {
        InterruptGuard guard;
        Outcome outcome = guarded(*session_, wants_colour(), [&] {
            ast::Script& script = session_->modules().compile(*module_, "<input>", text + "\n", true);
            Value shown;
            session_->evaluator().run(*module_, script, &shown);
            if (show && !shown.is_none()) {
                std::string text = session_->evaluator().semantics().repr(shown);
                session_->output().write(text.ends_with('\n') ? text : text + "\n", {});
            }
            if (value) *value = std::move(shown);
        });
        say_error(outcome.message);
        output_lost_ |= outcome.output_lost;
        return outcome.exit_code == exit_success;
    }

    // False: leave.
    bool command(std::string_view entry) {
        size_t space = entry.find_first_of(" \t\n");
        std::string_view name = entry.substr(0, space);
        std::string operand(space == std::string_view::npos ? "" : trimmed(entry.substr(space)));
        if (name == ":quit" || name == ":q") return false;
        if (name == ":help" || name == ":h") {
            if (operand.empty()) write_standard_output(commands_help);
            else tell(operand);
        } else if (name == ":reset") {
            start();
        } else if (operand.empty()) {
            fmt::print(stderr, "{}\n",
                       std::ranges::count(command_names, name)
                           ? fmt::format("{} needs an operand; :help tells more", name)
                           : fmt::format("there is no command {}; :help lists them", name));
        } else if (name == ":type") {
            Value value;
            if (evaluate(operand, false, &value))
                say("{}\n", without_article(session_->evaluator().semantics().describe(value)));
        } else if (name == ":graph" || name == ":explain") {
            std::optional<std::string> call = as_argument_of(name == ":graph" ? "trace" : "explain", operand);
            if (call) {
                evaluate(*call, true);
            } else {
                fmt::print(stderr, "{} needs a call: {} f(x)\n", name, name);
            }
        } else if (name == ":time") {
            auto began = std::chrono::steady_clock::now();
            bool done = evaluate(operand, true);
            double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
            if (done)
                say("{}\n", seconds < 1e-3 ? fmt::format("{:.1f} µs", seconds * 1e6)
                            : seconds < 1  ? fmt::format("{:.2f} ms", seconds * 1e3)
                                           : fmt::format("{:.2f} s", seconds));
        } else if (name == ":load") {
            load(operand);
        } else {
            fmt::print(stderr, "there is no command {}; :help lists them\n", name);
        }
        return true;
    }

    void tell(const std::string& name) const {
        const Help help(session_->builtins());
        const std::string text = help.about(name), advice = text.empty() ? help.suggestion(name) : std::string();
        if (text.empty())
            say_error(fmt::format("nothing is called `{}`{}{}\n", name, advice.empty() ? "" : "; ", advice));
        else write_standard_output(text);
    }

    void load(const std::string& path) {
        InterruptGuard guard;
        Outcome outcome = guarded(*session_, wants_colour(), [&] {
            ast::Script& script = session_->modules().compile(*module_, path, tenon::read_text(path));
            session_->evaluator().run(*module_, script);
        });
        say_error(outcome.message);
        output_lost_ |= outcome.output_lost;
    }

    std::vector<std::string> complete(std::string_view prefix) {
        std::vector<std::string> found;
        auto add = [&](std::string_view name) {
            if (name.starts_with(prefix)) found.emplace_back(name);
        };
        if (prefix.starts_with(':')) {
            for (std::string_view name : command_names) add(name);
            return found;
        }
        for (Symbol name : session_->modules().names_in_scope()) add(session_->symbols().text(name));
        for (const auto& global : module_->scope.globals()) add(session_->symbols().text(global.name));
        for (const Export& name : module_->scope.imports()) add(session_->symbols().text(name.name));
        std::ranges::sort(found);
        found.erase(std::ranges::unique(found).begin(), found.end());
        return found;
    }

    SessionOptions options_;
    std::unique_ptr<Session> session_;
    Module* module_ = nullptr;
    bool output_lost_ = false;  // then there is nobody to go on for
    LineEditor editor_;
};

}  // namespace

int run_repl(const CommandLine& line) { return Repl(line).run(); }

}  // namespace tenon
