#include "tests/fuzz/trial.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <system_error>

#include "frontend/evaluate/session.h"
#include "frontend/tool/report.h"

namespace tenon::fuzz {

namespace {

constexpr rlim_t most_seconds = 60;              // of processor time; a program takes a fraction of one
constexpr rlim_t most_memory = rlim_t{8} << 30;  // of addresses

class FileOutput final : public Output {
public:
    explicit FileOutput(std::FILE* file) : file_(file) {}
    void write(std::string_view text, Span) override { std::fwrite(text.data(), 1, text.size(), file_); }

private:
    std::FILE* file_;
};

void limit(int resource, rlim_t most) {
    rlimit both{most, most};
    setrlimit(static_cast<__rlimit_resource>(resource), &both);
}

[[noreturn]] void run_here(const std::string& script, const Settings& settings, int printed, int errors) {
    dup2(errors, STDERR_FILENO);
    limit(RLIMIT_CPU, most_seconds);
    limit(RLIMIT_CORE, 0);
#ifndef TENON_SANITIZED
    limit(RLIMIT_AS, most_memory);
#endif
    std::FILE* file = fdopen(printed, "w");
    FileOutput output(file);
    SessionOptions options;
    options.tracer.engine = settings.engine;
    options.tracer.verify = settings.verify;
    options.tracer.compiled_backward = settings.compiled_backward;
    options.threads = settings.threads;
    options.output = &output;
    tenon::Outcome outcome;
    {
        Session session(options);
        outcome = guarded(session, false, [&] {
            Module& module = session.modules().add("program.model", ".");
            ast::Script& parsed = session.modules().compile(module, "program.model", script);
            session.evaluator().run(module, parsed);
        });
        std::fflush(file);
        std::fputs(outcome.message.c_str(), stderr);
        std::fflush(stderr);
#ifndef TENON_SANITIZED
        std::_Exit(outcome.exit_code);  // the compiler may be at work on a kernel that nobody will run
#endif
    }
    std::_Exit(outcome.exit_code);
}

int memory_file(const char* name) {
    int file = memfd_create(name, 0);
    if (file < 0) throw std::system_error(errno, std::generic_category(), "memfd_create");
    return file;
}

std::string contents(int file) {
    std::string text(static_cast<size_t>(lseek(file, 0, SEEK_END)), '\0');
    ssize_t got = pread(file, text.data(), text.size(), 0);
    text.resize(got > 0 ? static_cast<size_t>(got) : 0);
    close(file);
    return text;
}

}  // namespace

std::string text_of(const Settings& settings) {
    static constexpr std::array<std::string_view, 4> engines = {"eager", "interp", "jit", "auto"};
    return fmt::format("--engine {} --threads {}{}{}", engines[static_cast<size_t>(settings.engine)], settings.threads,
                       settings.verify ? " --verify" : "", settings.compiled_backward ? " --compiled-backward" : "");
}

std::string Outcome::fault() const {
    if (signal == SIGXCPU || signal == SIGKILL) return "does not end";
    if (signal) return fmt::format("is ended by a signal, {}", strsignal(signal));
    if (exit_code == 2) return "is not valid";
    if (exit_code > 2) return fmt::format("ends with exit code {}", exit_code);
    for (std::string_view sign :
         {"a bug in Tenon", "this is a bug", "internal error", "Assertion", "Sanitizer", "runtime error:"}) {
        if (errors.find(sign) != std::string::npos || printed.find(sign) != std::string::npos)
            return fmt::format("says \"{}\"", sign);
    }
    return {};
}

Outcome run_trial(const std::string& script, const Settings& settings) {
    int printed = memory_file("printed"), errors = memory_file("errors");
    std::fflush(nullptr);
    pid_t child = fork();
    if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (child == 0) run_here(script, settings, printed, errors);
    int status = 0;
    waitpid(child, &status, 0);
    Outcome outcome;
    outcome.printed = contents(printed);
    outcome.errors = contents(errors);
    if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
    if (WIFEXITED(status)) outcome.exit_code = WEXITSTATUS(status);
    return outcome;
}

}  // namespace tenon::fuzz
