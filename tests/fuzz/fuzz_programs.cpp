// Random programs, run in several ways that must agree: on every engine, with other numbers of threads, under --verify, and
// without the marks that change no value. What a program prints as CHECK holds gradients against central differences.
//
//     fuzz_programs [--seed N] [--count N] [--seconds N] [--profile NAME] [--jobs N] [--keep FOLDER] [--reduce] [--show]
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "tests/fuzz/generator.h"
#include "tests/fuzz/trial.h"

namespace tenon::fuzz {

namespace {

// A build without LLVM has no machine code.
constexpr Engine compiled = TENON_LLVM ? Engine::jit : Engine::interp,
                 tiers = TENON_LLVM ? Engine::automatic : Engine::interp;

struct Options {
    uint64_t seed = 1;
    uint64_t count = 200;
    int seconds = 0;  ///< no new program after that many; 0 for no limit
    std::optional<Profile> profile;
    int jobs = 1;
    std::string keep;
    bool reduce = false;
    bool show = false;
};

struct Failure {
    std::string kind;  ///< the same for programs that fail alike
    std::string detail;
};

std::string first_difference(const std::string& a, const std::string& b) {
    size_t begin = 0, k = 0;
    while (k < a.size() && k < b.size() && a[k] == b[k])
        if (a[k++] == '\n') begin = k;
    auto rest = [&](const std::string& text) {
        return text.substr(begin, std::min(text.find('\n', begin) - begin, size_t{300}));
    };
    return fmt::format("    {}\n    {}\n", rest(a), rest(b));
}

std::optional<Failure> compare(const Outcome& eager, const Outcome& other, const std::string& how) {
    if (std::string fault = other.fault(); !fault.empty())
        return Failure{fmt::format("{} {}", how, fault), other.errors.substr(0, 2000)};
    if (other.printed != eager.printed)
        return Failure{how + " prints something else than eager", first_difference(eager.printed, other.printed)};
    if (other.exit_code != eager.exit_code || other.errors != eager.errors)
        return Failure{how + " ends otherwise than eager", first_difference(eager.errors, other.errors)};
    return {};
}

// What is tried of a program, all of it or, in turns, a part.
std::optional<Failure> check(const Statements& program, uint64_t turn) {
    std::string script = text_of(program, Marks::kept);
    Outcome eager = run_trial(script, {Engine::eager, 1, false});
    if (std::string fault = eager.fault(); !fault.empty())
        return Failure{"eager " + fault, eager.errors.substr(0, 2000)};
    if (size_t at = eager.printed.find("false\n");
        eager.printed.find("CHECK") != std::string::npos && at != std::string::npos) {
        size_t begin = eager.printed.rfind('\n', at);
        begin = begin == std::string::npos ? 0 : begin + 1;
        if (eager.printed.compare(begin, 5, "CHECK") == 0)
            return Failure{"a gradient is not what differences give", eager.printed.substr(begin, at - begin)};
    }
    std::vector<Settings> ways = {{Engine::interp, 1 + static_cast<int>(turn % 2), false}};
    switch (turn % 6) {
        case 0: ways.push_back({compiled, 2, false}); break;
        case 1: ways.push_back({Engine::interp, 4, true}); break;
        case 2: ways.push_back({tiers, 2, false}); break;
        case 3: ways.push_back({Engine::eager, 4, false}); break;
        case 4: ways.push_back({Engine::interp, 1, false, true}); break;
        default: ways.push_back({compiled, 1, true}); break;
    }
    for (const Settings& way : ways)
        if (auto failure = compare(eager, run_trial(script, way), text_of(way))) return failure;
    if (has_marks(program)) {
        std::string plain = text_of(program, Marks::removed);
        for (Engine engine : {Engine::eager, Engine::interp}) {
            Settings way = {engine, 1, false};
            Outcome outcome = run_trial(plain, way);
            outcome.errors = eager.errors;  // its lines are others
            if (auto failure = compare(eager, outcome, "without marks, " + text_of(way))) return failure;
        }
    }
    return {};
}

Statements reduced(Statements program, const Failure& failure, uint64_t turn) {
    for (bool smaller = true; smaller;) {
        smaller = false;
        for (const Statements& candidate : smaller_ones(program)) {
            auto again = check(candidate, turn);
            if (!again || again->kind != failure.kind) continue;
            program = candidate;
            smaller = true;
            break;
        }
    }
    return program;
}

void report(const Options& options, uint64_t seed, Profile profile, const Statements& program, const Failure& failure) {
    fmt::print("{} {}: {}\n{}\n", seed, name_of(profile), failure.kind, failure.detail);
    std::fflush(stdout);
    if (options.keep.empty()) return;
    std::filesystem::create_directories(options.keep);
    std::string stem = fmt::format("{}/{}-{}", options.keep, seed, name_of(profile));
    std::ofstream(stem + ".model") << text_of(program, Marks::kept);
    std::ofstream(stem + ".txt") << failure.kind << '\n' << failure.detail << '\n';
    if (failure.kind.starts_with("without marks"))
        std::ofstream(stem + ".plain.model") << text_of(program, Marks::removed);
}

Profile profile_of(const Options& options, uint64_t seed) {
    return options.profile ? *options.profile : static_cast<Profile>(seed % profile_count);
}

// Every `jobs`-th seed from the `first`-th on. Returns whether all was well.
bool run_seeds(const Options& options, int first) {
    auto began = std::chrono::steady_clock::now();
    uint64_t programs = 0, failures = 0;
    for (uint64_t k = static_cast<uint64_t>(first); k < options.count; k += static_cast<uint64_t>(options.jobs)) {
        if (options.seconds && std::chrono::steady_clock::now() - began > std::chrono::seconds(options.seconds)) break;
        uint64_t seed = options.seed + k;
        Profile profile = profile_of(options, seed);
        Statements program = generate(seed, profile);
        ++programs;
        uint64_t turn = seed / profile_count;
        auto failure = check(program, turn);
        if (!failure) continue;
        ++failures;
        if (options.reduce) program = reduced(std::move(program), *failure, turn);
        report(options, seed, profile, program, *failure);
    }
    fmt::print("{} programs, {} of them fail\n", programs, failures);
    return failures == 0;
}

bool run_all(const Options& options) {
    if (options.jobs == 1) return run_seeds(options, 0);
    std::fflush(stdout);
    for (int k = 0; k < options.jobs; ++k)
        if (fork() == 0) {
            bool well = run_seeds(options, k);
            std::fflush(stdout);
            std::_Exit(well ? 0 : 1);
        }
    bool well = true;
    for (int status; wait(&status) > 0;) well = well && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    return well;
}

std::optional<Options> parse(int count, char** arguments) {
    Options options;
    for (int k = 1; k < count; ++k) {
        std::string_view name = arguments[k];
        if (name == "--reduce") {
            options.reduce = true;
        } else if (name == "--show") {
            options.show = true;
        } else if (k + 1 == count) {
            return {};
        } else if (std::string text = arguments[++k]; name == "--profile") {
            for (int p = 0; p < profile_count; ++p)
                if (name_of(static_cast<Profile>(p)) == text) options.profile = static_cast<Profile>(p);
            if (!options.profile) return {};
        } else if (name == "--keep") {
            options.keep = text;
        } else {
            char* end = nullptr;
            uint64_t number = std::strtoull(text.c_str(), &end, 10);
            if (*end || text.empty()) return {};
            if (name == "--seed") options.seed = number;
            else if (name == "--count") options.count = number;
            else if (name == "--seconds") options.seconds = static_cast<int>(number);
            else if (name == "--jobs") options.jobs = std::max(1, static_cast<int>(number));
            else return {};
        }
    }
    return options;
}

int main_of(int count, char** arguments) {
    auto options = parse(count, arguments);
    if (!options) {
        fmt::print(stderr,
                   "usage: fuzz_programs [--seed N] [--count N] [--seconds N] [--profile NAME] [--jobs N] [--keep "
                   "FOLDER] [--reduce] [--show]\n");
        return 2;
    }
    if (options->show) {
        fmt::print("{}", text_of(generate(options->seed, profile_of(*options, options->seed)), Marks::kept));
        return 0;
    }
    return run_all(*options) ? 0 : 1;
}

}  // namespace

}  // namespace tenon::fuzz

int main(int count, char** arguments) { return tenon::fuzz::main_of(count, arguments); }
