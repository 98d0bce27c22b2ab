// Wrong inputs: scripts (checked, and run), graph texts of every level (read, put through the passes, called) and files of
// tensors, made wrong at random. None may end the process, take longer than a few seconds, or be answered with words about a
// bug.
//
//     fuzz_inputs [--seed N] [--count N] [--seconds N] [--only NAME] [--keep FOLDER] [--show]
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <new>
#include <optional>
#include <string>
#include <thread>

#include "runtime/interrupt.h"
#include "tests/fuzz/inputs/corpus.h"
#include "tests/fuzz/inputs/input_trial.h"
#include "tests/fuzz/inputs/mutation.h"

namespace tenon::fuzz {

namespace {

#ifdef TENON_SANITIZED
constexpr int slowness = 10;
#else
constexpr int slowness = 1;
#endif
constexpr std::chrono::seconds until_interrupt{2 * slowness}, until_hang{10 * slowness};
constexpr rlim_t most_memory = rlim_t{4} << 30;  // of addresses
constexpr uint64_t a_process = 250;              // inputs, so that what one leaves behind does not pile up
constexpr int found = 70, hangs = 71;            // exit codes of a process

struct Options {
    uint64_t seed = 1;
    uint64_t count = 1000;
    int seconds = 0;  ///< no new input after that many; 0 for no limit
    std::optional<Input> only;
    std::string keep;
    bool show = false;
};

struct Case {
    Input input;
    std::string data;
};

// The seed makes all of it.
Case make_case(const Corpus& corpus, const Options& options, uint64_t seed) {
    Random random(seed);
    const auto input = options.only ? *options.only : static_cast<Input>(random.weighted({4, 4, 6, 2, 2, 2}));
    const std::vector<std::string>& texts = corpus.of(input);
    const std::string &text = random.pick(texts), &other = random.pick(texts);
    const bool is_text = input <= Input::graph;
    return {input,
            is_text && !random.chance(0.1) ? mutate_words(text, other, random) : mutate_bytes(text, other, random)};
}

// What the processes tell each other: the input at work, and when it began.
struct Progress {
    std::atomic<uint64_t> at{0};
    std::atomic<int64_t> began{0};
    std::atomic<uint64_t> taken{0};  // those so far that were no error
};
int64_t now() {
    const auto time = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
}

// Ends what has become an endless loop as Ctrl-C would, and the process where that does not help.
void watch(const Progress& progress) {
    for (;; std::this_thread::sleep_for(std::chrono::milliseconds(100))) {
        const std::chrono::milliseconds took(now() - progress.began.load());
        if (took > until_hang) std::_Exit(hangs);
        if (took > until_interrupt) interrupt::request();
    }
}

[[noreturn]] void run_cases(const Corpus& corpus, const Options& options, uint64_t end, Progress& progress) {
    const rlimit no_core{0, 0}, memory{most_memory, most_memory};
    setrlimit(RLIMIT_CORE, &no_core);
    if (slowness == 1) setrlimit(RLIMIT_AS, &memory);
    signal(SIGPIPE, SIG_IGN);
    std::thread([&progress] { watch(progress); }).detach();
    for (; progress.at < end; ++progress.at) {
        const Case made = make_case(corpus, options, options.seed + progress.at);
        progress.began = now();
        interrupt::forget();
        const Answer answer = try_input(made.input, made.data);
        progress.taken += answer.taken;
        if (answer.wrong.empty()) continue;
        fmt::print("{} {}: {}\n", options.seed + progress.at, name_of(made.input), answer.wrong.substr(0, 2000));
        std::fflush(stdout);
        std::_Exit(found);
    }
    std::_Exit(0);
}

void report(const Corpus& corpus, const Options& options, uint64_t seed, int status) {
    const Case made = make_case(corpus, options, seed);
    if (WIFSIGNALED(status)) fmt::print("{} {}: signal {}\n", seed, name_of(made.input), WTERMSIG(status));
    else if (WEXITSTATUS(status) == hangs) fmt::print("{} {}: does not end\n", seed, name_of(made.input));
    else if (WEXITSTATUS(status) != found)
        fmt::print("{} {}: ends the process with {}\n", seed, name_of(made.input), WEXITSTATUS(status));
    std::fflush(stdout);
    if (options.keep.empty()) return;
    std::filesystem::create_directories(options.keep);
    std::ofstream(fmt::format("{}/{}.{}", options.keep, seed, name_of(made.input)), std::ios::binary) << made.data;
}

bool run_all(const Options& options) {
    const Corpus corpus;
    if (options.show) {
        std::fputs(make_case(corpus, options, options.seed).data.c_str(), stdout);
        return true;
    }
    void* const shared = mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) throw std::bad_alloc();
    Progress& progress = *new (shared) Progress;
    const auto folder = std::filesystem::temp_directory_path() / fmt::format("tenon-fuzz-{}", getpid());
    std::filesystem::create_directories(folder);
    const auto began = std::chrono::steady_clock::now();
    uint64_t failures = 0;
    while (progress.at < options.count) {
        if (options.seconds && std::chrono::steady_clock::now() - began > std::chrono::seconds(options.seconds)) break;
        std::fflush(stdout);
        progress.began = now();
        const pid_t child = fork();
        if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
        if (child == 0) {
            std::filesystem::current_path(folder);
            // Errors of the system's own and of sanitizers are shown; what scripts say is not.
            run_cases(corpus, options, std::min(options.count, progress.at + a_process), progress);
        }
        int status = 0;
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
        ++failures;
        report(corpus, options, options.seed + progress.at, status);
        ++progress.at;
    }
    std::filesystem::remove_all(folder);
    fmt::print("{} inputs, {} of them valid all the same, {} of them fail\n", progress.at.load(), progress.taken.load(),
               failures);
    return failures == 0;
}

std::optional<Options> parse(int count, char** arguments) {
    Options options;
    for (int k = 1; k < count; ++k) {
        const std::string_view name = arguments[k];
        if (name == "--show") {
            options.show = true;
            continue;
        }
        if (k + 1 == count) return {};
        const std::string text = arguments[++k];
        if (name == "--keep") {
            options.keep = std::filesystem::absolute(text).string();
        } else if (name == "--only") {
            for (int i = 0; i < input_count; ++i)
                if (name_of(static_cast<Input>(i)) == text) options.only = static_cast<Input>(i);
            if (!options.only) return {};
        } else {
            char* end = nullptr;
            const uint64_t number = std::strtoull(text.c_str(), &end, 10);
            if (*end || text.empty()) return {};
            if (name == "--seed") options.seed = number;
            else if (name == "--count") options.count = number;
            else if (name == "--seconds") options.seconds = static_cast<int>(number);
            else return {};
        }
    }
    return options;
}

}  // namespace

}  // namespace tenon::fuzz

int main(int count, char** arguments) {
    const auto options = tenon::fuzz::parse(count, arguments);
    if (!options) {
        fmt::print(stderr,
                   "usage: fuzz_inputs [--seed N] [--count N] [--seconds N] [--only checked|script|graph|npy|npz|"
                   "safetensors] [--keep FOLDER] [--show]\n");
        return 2;
    }
    return tenon::fuzz::run_all(*options) ? 0 : 1;
}
