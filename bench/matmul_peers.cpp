// Products of f32 beside oneDNN's and OpenBLAS's, called directly where they are installed: `./dev bench --matmul [THREADS]`. A line
// for each shape and form (b or a given transposed): GFLOP/s, the median of interleaved turns, and the best peer's time / ours. On
// one thread time is the thread's own, which others on the machine disturb less.
#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "jit/library/library.h"

namespace {

using namespace tenon;

struct Peer {
    const char* name;
    std::function<void(const MatrixShape&, const float*, const float*, float*)> multiply;
};

std::vector<Peer> peers() {
    std::vector<Peer> found;
    if (void* const library = dlopen("libdnnl.so.2", RTLD_NOW | RTLD_LOCAL)) {
        using Sgemm = int (*)(char, char, int64_t, int64_t, int64_t, float, const float*, int64_t, const float*,
                              int64_t, float, float*, int64_t);
        const auto sgemm = reinterpret_cast<Sgemm>(dlsym(library, "dnnl_sgemm"));
        found.push_back({"oneDNN", [=](const MatrixShape& s, const float* a, const float* b, float* c) {
                             sgemm(s.transpose_a ? 'T' : 'N', s.transpose_b ? 'T' : 'N', s.m, s.n, s.k, 1, a,
                                   s.transpose_a ? s.m : s.k, b, s.transpose_b ? s.k : s.n, 0, c, s.n);
                         }});
    }
    if (void* const library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL)) {
        using Sgemm =
            void (*)(int, int, int, int, int, int, float, const float*, int, const float*, int, float, float*, int);
        const auto sgemm = reinterpret_cast<Sgemm>(dlsym(library, "cblas_sgemm"));
        found.push_back({"OpenBLAS", [=](const MatrixShape& s, const float* a, const float* b, float* c) {
                             constexpr int row_major = 101, plain = 111, transposed = 112;
                             const int m = int(s.m), n = int(s.n), k = int(s.k);
                             sgemm(row_major, s.transpose_a ? transposed : plain, s.transpose_b ? transposed : plain, m,
                                   n, k, 1, a, s.transpose_a ? m : k, b, s.transpose_b ? k : n, 0, c, n);
                         }});
    }
    return found;
}

double now(bool own) {
    if (!own) return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return double(time.tv_sec) + 1e-9 * double(time.tv_nsec);
}

}  // namespace

int main(int count, char** arguments) {
    const int threads = count > 1 ? std::max(1, std::atoi(arguments[1])) : 1;
    for (const char* variable : {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"})
        setenv(variable, std::to_string(threads).c_str(), 1);
    set_float_environment();
    const std::vector<Peer> others = peers();
    ThreadPool pool(threads);
    WorkspacePool workspaces;
    std::printf("%-14s form    Tenon", "m k n");
    for (const Peer& peer : others) std::printf("%9s", peer.name);
    std::printf(others.empty() ? "\n" : "   best peer's time / ours\n");

    constexpr int64_t shapes[][3] = {{64, 64, 64},       {128, 128, 128},    {256, 256, 256},  {512, 512, 512},
                                     {1024, 1024, 1024}, {2048, 2048, 2048}, {64, 1024, 1024}, {32, 768, 3072},
                                     {1024, 64, 1024},   {1024, 1024, 64},   {128, 768, 768},  {512, 256, 1024},
                                     {8, 1024, 1024},    {1, 1024, 1024},    {1024, 1024, 1}};
    std::mt19937 generator(1);
    std::uniform_real_distribution<float> uniform(0, 1);
    double logarithms = 0;
    int ratios = 0;
    for (const auto& [m, k, n] : shapes)
        for (const char* form : {"nn", "nt", "tn"}) {
            const MatrixShape s{m, k, n, form[0] == 't', form[1] == 't'};
            std::vector<float> a(size_t(m * k)), b(size_t(k * n)), c(size_t(m * n));
            for (float& x : a) x = uniform(generator);
            for (float& x : b) x = uniform(generator);
            std::vector<std::function<void()>> ways{[&] {
                multiply_matrices(DType::f32, s, a.data(), b.data(), c.data(),
                                  {best_instruction_set(), pool, workspaces});
            }};
            for (const Peer& peer : others) ways.emplace_back([&] { peer.multiply(s, a.data(), b.data(), c.data()); });
            constexpr int turns = 15;
            const int64_t repeats = std::min<int64_t>(300, 60'000'000 / (m * k * n) + 1);
            std::vector<std::vector<double>> times(ways.size());
            for (int turn = 0; turn < turns; ++turn)
                for (size_t way = 0; way < ways.size(); ++way) {
                    const double begin = now(threads == 1);
                    for (int64_t repeat = 0; repeat < repeats; ++repeat) ways[way]();
                    times[way].push_back((now(threads == 1) - begin) / double(repeats));
                }
            std::printf("%-5ld%-5ld%-5ld%3s ", long(m), long(k), long(n), form);
            double best = INFINITY;
            for (size_t way = 0; way < ways.size(); ++way) {
                std::sort(times[way].begin(), times[way].end());
                std::printf("%9.1f", 2e-9 * double(m) * double(k) * double(n) / times[way][turns / 2]);
                if (way > 0) best = std::min(best, times[way][turns / 2]);
            }
            if (!others.empty()) {
                std::printf("%9.2f", best / times[0][turns / 2]);
                logarithms += std::log(best / times[0][turns / 2]);
                ++ratios;
            }
            std::printf("\n");
            std::fflush(stdout);
        }
    if (ratios) std::printf("geometric mean %.3f\n", std::exp(logarithms / ratios));
}
