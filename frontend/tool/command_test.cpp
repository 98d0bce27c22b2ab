// `tenon test`: runs scripts against the output written in them; docs/testing.md describes the form.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "frontend/syntax/utf8.h"
#include "frontend/tool/command_line.h"
#include "frontend/tool/golden_file.h"
#include "frontend/tool/report.h"
#include "runtime/file.h"

namespace tenon {

namespace {

/// Collects what a script prints, by the line that printed it.
class CollectedOutput final : public Output {
public:
    void watch(Session& session, SourceId source) {
        session_ = &session;
        source_ = source;
    }
    void write(std::string_view text, Span from) override {
        if (!session_) return;
        // What a function of another file prints belongs to the line here that called it.
        if (from.source != source_) from = session_->evaluator().call_in(source_);
        uint32_t line =
            from ? session_->sources().position(source_, from.end > from.begin ? from.end - 1 : from.begin).line : 0;
        printed[line] += text;
    }

    std::map<uint32_t, std::string> printed;

private:
    Session* session_ = nullptr;
    SourceId source_ = 0;
};

struct ScriptResult {
    GoldenOutput output;
    int exit_code = 0;
    int tests = 0;
    std::string failed_tests;  // their messages
};

std::string_view name_of(Engine engine) {
    constexpr std::string_view names[] = {"eager", "interp", "jit", "auto"};
    return names[static_cast<size_t>(engine)];
}

ScriptResult run_golden(const CommandLine& line, const std::string& path, const std::string& text,
                        const GoldenFile& golden) {
    ScriptResult result;
    CollectedOutput output;
    SessionOptions options = line.session;
    options.args = golden.args;
    options.output = &output;
    Session session(options);
    InterruptGuard guard;
    // Messages name the file without its folder, so that they are the same wherever the tests are run from.
    std::string name = std::filesystem::path(path).filename().string();

    session.evaluator().set_test_runner([&](std::string_view test, Span, FunctionRef<void()> body) {
        ++result.tests;
        Outcome outcome = guarded(session, false, [&] {
            body();
            if (session.tracer().capturing()) session.tracer().flush();
        });
        if (outcome.exit_code == exit_interrupted) throw Interrupted();
        if (outcome.exit_code != exit_success)
            result.failed_tests += fmt::format("  test \"{}\" failed:\n{}", test, outcome.message);
    });
    Outcome outcome = guarded(session, false, [&] {
        Module& module = session.modules().add(path, std::filesystem::path(path).parent_path().string());
        ast::Script& script = session.modules().compile(module, name, text);
        output.watch(session, script.source);
        session.evaluator().run(module, script);
    });
    result.exit_code = outcome.exit_code;
    result.output.printed = std::move(output.printed);
    result.output.error = std::move(outcome.message);
    return result;
}

std::vector<std::string> scripts_in(const std::vector<std::string>& paths) {
    namespace fs = std::filesystem;
    std::vector<std::string> scripts;
    for (const std::string& path : paths) {
        if (!fs::is_directory(path)) {
            scripts.push_back(path);
            continue;
        }
        std::vector<std::string> found;
        for (auto entry = fs::recursive_directory_iterator(path); entry != fs::recursive_directory_iterator();
             ++entry) {
            // What begins with _ is there for others: files that are used, folders of scripts that something else runs.
            const std::string name = entry->path().filename().string();
            if (name.starts_with('_') || name.starts_with('.')) entry.disable_recursion_pending();
            else if (entry->path().extension() == ".model") found.push_back(entry->path().string());
        }
        std::sort(found.begin(), found.end());
        scripts.insert(scripts.end(), found.begin(), found.end());
    }
    return scripts;
}

constexpr int most_rounds = 4;  // of blessing: lines that come or go move the places that messages name

}  // namespace

int test_scripts(const CommandLine& line) {
    auto began = std::chrono::steady_clock::now();
    std::vector<std::string> scripts;
    try {
        scripts = scripts_in(line.files.empty() ? std::vector<std::string>{"."} : line.files);
    } catch (const std::filesystem::filesystem_error& error) {
        say_refused(error.what());
        return exit_invalid;
    }
    if (scripts.empty()) {
        say_refused("there are no scripts to test; they are files that end in .model");
        return exit_invalid;
    }
    std::string_view engine = name_of(line.session.tracer.engine);
    int passed = 0, failed = 0, skipped = 0, blessed = 0, tests = 0;
    for (const std::string& path : scripts) {
        try {
            std::string text = tenon::read_text(path);
            GoldenFile golden = GoldenFile::parse(text);
            if (!golden.runs_on(engine)) {
                ++skipped;
                continue;
            }
            ScriptResult result = run_golden(line, path, text, golden);
            if (result.exit_code == exit_interrupted) {
                say_error(fmt::format("interrupted in {}\n", visible(path)));
                return exit_interrupted;
            }
            if (line.bless) {
                std::string before = text;
                for (int round = 0; round < most_rounds; ++round) {
                    std::string after = bless(text, result.output);
                    if (after == text) break;
                    text = std::move(after);
                    golden = GoldenFile::parse(text);
                    result = run_golden(line, path, text, golden);
                }
                if (text != before) {
                    write_file(path, [&](FileWriter& file) { file.write(text); });
                    say("blessed {}\n", visible(path));
                    ++blessed;
                }
            }
            tests += result.tests;
            std::string differences = compare(golden, result.output) + result.failed_tests;
            if (result.exit_code != golden.exit_code) {
                differences += fmt::format("  the exit code is {}, not {}; is it meant? `#! exit: {}` says so\n",
                                           result.exit_code, golden.exit_code, result.exit_code);
            }
            if (differences.empty()) {
                ++passed;
            } else {
                ++failed;
                say("{} failed\n{}", visible(path), differences);
            }
        } catch (const Error& error) {
            ++failed;
            const std::string& help = error.diagnostic.help;
            say("{} failed\n  {}{}{}\n", visible(path), visible(error.diagnostic.message), help.empty() ? "" : "; ",
                help);
        }
    }
    double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    std::string summary = fmt::format("{} script{} passed", passed, passed == 1 ? "" : "s");
    if (failed) summary += fmt::format(", {} failed", failed);
    if (skipped) summary += fmt::format(", {} not for this engine", skipped);
    if (blessed) summary += fmt::format(", {} blessed", blessed);
    if (tests) summary += fmt::format("; {} test block{}", tests, tests == 1 ? "" : "s");
    say("{}  (engine {}, {:.1f} s)\n", summary, engine, seconds);
    return failed ? exit_failed : exit_success;
}

}  // namespace tenon
