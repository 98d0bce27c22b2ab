#include "frontend/tool/command_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <new>
#include <span>

#include "frontend/tool/report.h"
#include "jit/build_id.h"
#include "runtime/allocator.h"
#include "runtime/cpu.h"
#include "runtime/diagnostic.h"
#include "runtime/interrupt.h"

namespace tenon {

namespace {

struct Command {
    std::string_view name, operands, about;
    int (*run)(const CommandLine&);
    bool takes_args;  // what follows the file is the script's
    std::string_view options;
};

constexpr Command commands[] = {
    {"run", "FILE [ARG…]", "runs a script", run_script, true, "engine threads isa backward verify explain profile"},
    {"check", "FILE…", "parses scripts and resolves their names, without running them", check_scripts, false, ""},
    {"test", "[PATH…]", "compares the output of scripts with the output written in them, and runs their tests",
     test_scripts, false, "engine threads isa backward verify bless"},
    {"repl", "", "evaluates what is typed", run_repl, false, "engine threads isa verify explain"},
    {"dump", "--stage STAGE FILE [ARG…]", "shows what a stage makes of a script", dump_script, true,
     "engine threads isa stage format function"},
    {"explain", "FILE [ARG…]", "runs a script and tells what was captured, compiled and fused, and why", explain_script,
     true, "engine threads isa format all"},
    {"opt", "--pass PASS… FILE", "runs passes over graphs in textual form", optimise_graphs, false, "passes"},
    {"help", "[NAME…]", "tells what a function, method, statement, module, annotation key, pass or op is", tell_help,
     false, "markdown"},
};

struct Option {
    std::string_view name, long_form, value, about;
};

constexpr Option options[] = {
    {"engine", "--engine", "ENGINE",
     "eager (each op at once), interp (captured, interpreted), jit (compiled first), auto (tiers; the default)"},
    {"threads", "--threads", "N", "how many threads work on a kernel; one a core by default"},
    {"isa", "--isa", "SET",
     "avx2 or avx512: what interpreted and compiled kernels and matrix products are made of; the best that this "
     "machine "
     "has by default. The results are the same"},
    {"backward", "--compiled-backward", "",
     "captures and compiles each backward by itself, as in `compiled_backward { … }` around the whole script"},
    {"verify", "--verify", "",
     "replays the first run of each graph pass by pass, op by op, and names the first pass that changes a bit of what "
     "it computes, or breaks its structure or its text"},
    {"explain", "--explain", "", "tells every graph break and recompile as it happens"},
    {"profile", "--profile", "",
     "tells at the end which lines of the script the time of its graphs went to: that of a kernel goes to the lines of "
     "the ops in it, by what each costs"},
    {"bless", "--bless", "", "rewrites the expected output in the scripts"},
    {"stage", "--stage", "STAGE",
     "ast, graph, joint, forward, backward, simplified, fused, loops, llvm, asm, cuda or ptx"},
    {"format", "--format", "FORMAT", "text, dot (for Graphviz; graphs only) or json"},
    {"all", "--all", "", "everything, where a page would tell of a large graph"},
    {"function", "--function", "NAME", "only the graphs of the function or model of this name"},
    {"passes", "--pass", "PASS", "a pass by its name; may be given several times"},
    {"markdown", "--markdown", "", "everything that there is, as docs/reference.md has it"},
};

bool has_option(const Command& command, std::string_view name) {
    std::string_view names = command.options;
    while (!names.empty()) {
        size_t end = names.find(' ');
        if (names.substr(0, end) == name) return true;
        names = end == std::string_view::npos ? std::string_view{} : names.substr(end + 1);
    }
    return false;
}

std::string help_text(const Command* command) {
    if (command) {
        std::string text = fmt::format("tenon {} {}{}\n    {}\n", command->name,
                                       command->options.empty() ? "" : "[OPTION…] ", command->operands, command->about);
        for (const Option& option : options) {
            if (!has_option(*command, option.name)) continue;
            text += fmt::format("\n    {} {}\n        {}\n", option.long_form, option.value, option.about);
        }
        return text;
    }
    std::string text = fmt::format("tenon {}: trains and serves models written as scripts\n\n", TENON_VERSION);
    for (const Command& c : commands) text += fmt::format("    tenon {:<8}{:<28}{}\n", c.name, c.operands, c.about);
    return text +
           "\n`tenon COMMAND --help` tells the options of a command, `tenon help NAME` what a name of the language "
           "means.\n";
}

int refuse(std::string_view message) {
    say_refused(message);
    return exit_invalid;
}

// Sets an option of the line; an error message, or nothing.
std::string set_option(CommandLine& line, const Option& option, std::string_view value) {
    if (option.name == "engine") {
        constexpr std::pair<std::string_view, Engine> engines[] = {
            {"eager", Engine::eager}, {"interp", Engine::interp}, {"jit", Engine::jit}, {"auto", Engine::automatic}};
        for (auto [name, engine] : engines) {
            if (name == value) {
                line.session.tracer.engine = engine;
                return {};
            }
        }
        return fmt::format("there is no engine `{}`; there are eager, interp, jit and auto", value);
    }
    if (option.name == "threads") {
        auto [end, code] = std::from_chars(value.data(), value.data() + value.size(), line.session.threads);
        bool good = code == std::errc{} && end == value.data() + value.size() && line.session.threads >= 1 &&
                    line.session.threads <= 1024;
        return good ? "" : fmt::format("--threads takes a number from 1 to 1024, not `{}`", value);
    }
    if (option.name == "isa") {
        if (value != "avx2" && value != "avx512")
            return fmt::format("there is no instruction set `{}`; there are avx2 and avx512", value);
        line.session.instructions = value == "avx2" ? InstructionSet::avx2 : InstructionSet::avx512;
        if (line.session.instructions == InstructionSet::avx512 && best_instruction_set() != InstructionSet::avx512)
            return "this processor has no AVX-512 (F, BW, CD, DQ and VL); `--isa avx2` is what it can do";
    }
    if (option.name == "backward") line.session.tracer.compiled_backward = true;
    if (option.name == "verify") line.session.tracer.verify = true;
    if (option.name == "explain") line.session.tracer.explain = true;
    if (option.name == "profile") line.profile = true;
    if (option.name == "bless") line.bless = true;
    if (option.name == "markdown") line.markdown = true;
    if (option.name == "all") line.all = true;
    if (option.name == "function") line.function = value;
    if (option.name == "stage") line.stage = value;
    if (option.name == "passes") line.passes.emplace_back(value);
    if (option.name == "format") {
        line.format = value;
        if (value != "text" && value != "json" && value != "dot")
            return fmt::format("there is no format `{}`; there are text, dot and json", value);
    }
    return {};
}

int do_command(std::span<char* const> arguments) {
    std::vector<std::string_view> words(arguments.begin(), arguments.end());
    if (words.empty()) {
        say_error(help_text(nullptr));
        return exit_invalid;
    }
    if (words[0] == "--help" || words[0] == "-h" || (words[0] == "help" && words.size() == 1)) {
        write_standard_output(help_text(nullptr));
        return exit_success;
    }
    if (words[0] == "--version") {
        say("tenon {} (build {})\n", TENON_VERSION, build_id());
        return exit_success;
    }
    const Command* command = nullptr;
    for (const Command& c : commands) {
        if (c.name == words[0]) command = &c;
    }
    for (std::string_view planned : {"fmt", "profile", "bench"}) {
        if (words[0] == planned)
            return refuse(fmt::format("`tenon {}` is not there yet; `tenon --help` lists what is", planned));
    }
    if (!command) return refuse(fmt::format("there is no command `{}`; `tenon --help` lists them", words[0]));

    CommandLine line;
    line.command = command->name;
    bool options_end = false;
    for (size_t i = 1; i < words.size(); ++i) {
        std::string_view word = words[i];
        if (command->takes_args && !line.files.empty()) {  // the script's own
            line.session.args.emplace_back(word);
            continue;
        }
        if (options_end || !word.starts_with('-') || word == "-") {
            line.files.emplace_back(word);
            continue;
        }
        if (word == "--") {
            options_end = true;
            continue;
        }
        if (word == "--help" || word == "-h") {
            write_standard_output(help_text(command));
            return exit_success;
        }
        size_t equals = word.find('=');
        const Option* option = nullptr;
        for (const Option& o : options) {
            if (o.long_form == word.substr(0, equals) && has_option(*command, o.name)) option = &o;
        }
        if (!option)
            return refuse(fmt::format("`tenon {}` has no option `{}`; `tenon {} --help` lists them", command->name,
                                      word, command->name));
        std::string_view value;
        if (!option->value.empty()) {
            if (equals != std::string_view::npos) {
                value = word.substr(equals + 1);
            } else if (i + 1 < words.size()) {
                value = words[++i];
            } else {
                return refuse(fmt::format("{} needs a value: {}", option->long_form, option->value));
            }
        } else if (equals != std::string_view::npos) {
            return refuse(fmt::format("{} takes no value", option->long_form));
        }
        std::string wrong = set_option(line, *option, value);
        if (!wrong.empty()) return refuse(wrong);
    }
    bool needs_file = command->operands.find("FILE") != std::string_view::npos;
    if (needs_file && line.files.empty())
        return refuse(fmt::format("which file? tenon {} {}", command->name, command->operands));
    if (command->operands.empty() && !line.files.empty())
        return refuse(fmt::format("`tenon {}` takes no file", command->name));
    return command->run(line);
}

}  // namespace

bool print_command_help(std::string_view name) {
    for (const Command& command : commands) {
        if (command.name != name) continue;
        write_standard_output(help_text(&command));
        return true;
    }
    return false;
}

// What no command has an answer to: there is no session yet, or no script to blame.
int run_command_line(int count, char** arguments) {
    constexpr std::string_view no_memory = "tenon: there is not enough memory\n";
    if (!system_has_room(size_t{4} << 20)) {  // not even for an exception
        say_error(no_memory);
        return exit_failed;
    }
    set_float_environment();
    signal(SIGXFSZ, SIG_IGN);  // a file that grows too large is an error of writing
    try {
        return do_command({arguments + 1, arguments + std::max(count, 1)});
    } catch (const Error& error) {
        const Diagnostic& what = error.diagnostic;
        say_refused(what.help.empty() ? what.message : fmt::format("{}; {}", what.message, what.help));
    } catch (const Interrupted&) {
        say_error("interrupted\n");
        return exit_interrupted;
    } catch (const std::bad_alloc&) { say_error(no_memory); } catch (const std::exception& error) {
        say_refused(fmt::format("tenon itself failed: {}", error.what()));
    }
    return exit_failed;
}

}  // namespace tenon
