// Products of tiles against chains of std::fma, and attention on every engine, instruction set and number of threads.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "ir/text/text.h"
#include "jit/contract/tile.h"
#include "jit/llvm_loader.h"
#include "tests/jit/computer.h"

namespace tenon {
namespace {

std::vector<InstructionSet> instruction_sets() {
    if (best_instruction_set() == InstructionSet::avx512) return {InstructionSet::avx2, InstructionSet::avx512};
    return {InstructionSet::avx2};
}

template <class T>
void expect_chains(DType dtype) {
    std::mt19937 random(1);
    std::uniform_real_distribution<double> uniform(-2, 2);
    struct Case {
        int64_t m, n, k;
    };
    for (const Case& c : {Case{1, 1, 1},
                          {64, 128, 64},
                          {5, 3, 7},
                          {13, 33, 20},
                          {128, 64, 1},
                          {7, 17, 0},
                          {0, 5, 5},
                          {5, 0, 5},
                          {64, 47, 128}})
        for (bool across : {false, true})
            for (bool accumulate : {false, true}) {
                // a as rows or as columns, each line with elements of others behind it.
                const int64_t a_row = across ? 1 : c.k + 3, a_column = across ? c.m + 2 : 1, b_row = c.n + 1,
                              c_row = c.n + 5;
                std::vector<T> a(size_t((c.m + 3) * (c.k + 3))), b(size_t((c.k + 1) * b_row)),
                    start(size_t((c.m + 1) * c_row));
                for (std::vector<T>* v : {&a, &b, &start})
                    for (T& x : *v) x = T(uniform(random));
                std::vector<T> expected = start;
                for (int64_t i = 0; i < c.m; ++i)
                    for (int64_t j = 0; j < c.n; ++j) {
                        T sum = accumulate ? start[size_t(i * c_row + j)] : T(0);
                        for (int64_t p = 0; p < c.k; ++p)
                            sum = std::fma(a[size_t(i * a_row + p * a_column)], b[size_t(p * b_row + j)], sum);
                        expected[size_t(i * c_row + j)] = sum;
                    }
                for (InstructionSet set : instruction_sets()) {
                    std::vector<T> found = start;
                    contract::find_tile_function(dtype, set)(a.data(), a_row, a_column, b.data(), b_row, found.data(),
                                                             c_row, c.m, c.n, c.k, accumulate);
                    EXPECT_EQ(std::memcmp(found.data(), expected.data(), found.size() * sizeof(T)), 0)
                        << c.m << " " << c.n << " " << c.k << (across ? " across" : "") << (accumulate ? " +" : "");
                }
            }
}

TEST(Attention, TilesAreChainsOfFma) {
    expect_chains<float>(DType::f32);
    expect_chains<double>(DType::f64);
    EXPECT_EQ(contract::find_tile_function(DType::i32, InstructionSet::avx2), nullptr);
}

// Forward and gradients at once, of any sizes.
constexpr std::string_view everything = R"(
graph f(q: f32[s0, s1, s2], k: f32[s0, s3, s2], v: f32[s0, s3, s4], m: f32[s1, s3], g: f32[s0, s1, s4], d: f32[s0, s1]) -> f32[s0, s1, s4], f32[s0, s1], f32[s0, s1, s2], f32[s0, s3, s2], f32[s0, s3, s4] {
    both = attention(q, k, v, m, causal: CAUSAL)                           : (f32[s0, s1, s4], f32[s0, s1])
    y = get(both, index: 0)                                                : f32[s0, s1, s4]
    l = get(both, index: 1)                                                : f32[s0, s1]
    all = attention_gradient(q, k, v, l, d, g, m, causal: CAUSAL)          : (f32[s0, s1, s2], f32[s0, s3, s2], f32[s0, s3, s4])
    a = get(all, index: 0)                                                 : f32[s0, s1, s2]
    b = get(all, index: 1)                                                 : f32[s0, s3, s2]
    c = get(all, index: 2)                                                 : f32[s0, s3, s4]
    return y, l, a, b, c
})";

GraphRef graph_of(Context& context, bool causal) {
    std::string text(everything);
    for (size_t at; (at = text.find("CAUSAL")) != std::string::npos;) text.replace(at, 6, causal ? "true" : "false");
    return parse_graph(context, text);
}

std::vector<Tensor> random_inputs(const Allocator& allocator, const Dims& sizes) {
    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    const auto [h, l, e, s, w] = std::array{sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]};
    std::vector<Tensor> inputs;
    for (const Dims& shape : {Dims{h, l, e}, Dims{h, s, e}, Dims{h, s, w}, Dims{l, s}, Dims{h, l, w}, Dims{h, l}}) {
        Tensor& t = inputs.emplace_back(Tensor::empty(allocator, DType::f32, shape));
        for (int64_t i = 0; i < t.numel(); ++i) t.data<float>()[i] = normal(random);
    }
    return inputs;
}

TEST(Attention, EnginesThreadsAndInstructionSetsAgree) {
    const Allocator allocator;
    for (bool causal : {false, true}) {
        std::vector<std::vector<Tensor>> expected;
        for (InstructionSet set : instruction_sets())
            for (int threads : {1, 2, 4})
                for (EngineKind engine : {EngineKind::interp, EngineKind::jit}) {
                    if (engine == EngineKind::jit && !has_llvm_backend()) continue;
                    Context context;
                    ThreadPool pool(threads);
                    Machine machine(allocator, pool, set);
                    Decisions decisions;
                    // One executable for all sizes: they are parameters of its kernels, scratch included.
                    Executable executable(run_pipeline(graph_of(context, causal), PipelineOptions{}, decisions),
                                          machine, engine);
                    size_t next = 0;
                    for (const Dims& sizes :
                         {Dims{5, 150, 24, 300, 9}, Dims{2, 64, 64, 128, 64}, Dims{3, 3, 5, 2, 70}}) {
                        std::vector<Tensor> outputs;
                        executable.run(random_inputs(allocator, sizes), outputs);
                        if (next == expected.size()) expected.push_back(outputs);
                        expect_same(expected[next++], outputs, causal ? "causal" : "all");
                    }
                }
    }
}

}  // namespace
}  // namespace tenon
