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

std::string text_of(bool causal) {
    std::string text(everything);
    for (size_t at; (at = text.find("CAUSAL")) != std::string::npos;) text.replace(at, 6, causal ? "true" : "false");
    return text;
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

using Inputs = std::vector<Tensor> (*)(const Allocator&, const Dims&);

// On every engine, instruction set and number of threads the same bits, of each of these sizes.
void expect_agreement(const std::string& text, Inputs inputs, const std::vector<Dims>& all_sizes) {
    const Allocator allocator;
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
                Executable executable(run_pipeline(parse_graph(context, text), PipelineOptions{}, decisions), machine,
                                      engine);
                size_t next = 0;
                for (const Dims& sizes : all_sizes) {
                    std::vector<Tensor> outputs;
                    executable.run(inputs(allocator, sizes), outputs);
                    if (next == expected.size()) expected.push_back(outputs);
                    expect_same(expected[next++], outputs, "another bit");
                }
            }
}

TEST(Attention, EnginesThreadsAndInstructionSetsAgree) {
    for (bool causal : {false, true})
        expect_agreement(text_of(causal), random_inputs,
                         {Dims{5, 150, 24, 300, 9}, Dims{2, 64, 64, 128, 64}, Dims{3, 3, 5, 2, 70}});
}

// Functions that read a table by positions and by data, with dropout; of the table a gradient is summed up.
constexpr std::string_view with_functions = R"(
graph f(q: f32[s0, s1, s2, s3], k: f32[s0, s1, s4, s3], v: f32[s0, s1, s4, s5], g: f32[s0, s1, s2, s5], d: f32[s0, s1, s2], key: i64[], offset: i64[], table: f32[s6], ids: i64[s0, s4]) -> f32[s0, s1, s2, s5], f32[s0, s1, s2], f32[s0, s1, s2, s3], f32[s0, s1, s4, s3], f32[s0, s1, s4, s5], f32[1, 8, s6] {
    both = flex_attention(q, k, v, key, offset, table, ids, causal: true, dropout: 0.25)  : (f32[s0, s1, s2, s5], f32[s0, s1, s2]) (s: f32[], b: i64[], h: i64[], i: i64[], j: i64[], t: f32[s6], n: i64[s0, s4]) {
        apart = sub(j, i)                : i64[]
        near = take(t, apart, axis: 0)   : f32[]
        sum = add(s, near)               : f32[]
        tanh = tanh(sum)                 : f32[]
        yield tanh
    } (b_1: i64[], h_1: i64[], i_1: i64[], j_1: i64[], t_1: f32[s6], n_1: i64[s0, s4]) {
        row = take(n_1, b_1, axis: 0)    : i64[s4]
        mine = take(row, j_1, axis: 0)   : i64[]
        sees = less(mine, 3)             : bool[]
        yield sees
    }
    y = get(both, index: 0)              : f32[s0, s1, s2, s5]
    l = get(both, index: 1)              : f32[s0, s1, s2]
    all = flex_attention_gradient(q, k, v, l, d, g, key, offset, table, ids, causal: true, dropout: 0.25, examples: 1, elements: [s6], reads: [0])  : (f32[s0, s1, s2, s3], f32[s0, s1, s4, s3], f32[s0, s1, s4, s5], f32[1, 8, s6]) (s_2: f32[], b_2: i64[], h_2: i64[], i_2: i64[], j_2: i64[], t_2: f32[s6], n_2: i64[s0, s4]) {
        apart_2 = sub(j_2, i_2)              : i64[]
        near_2 = take(t_2, apart_2, axis: 0) : f32[]
        sum_2 = add(s_2, near_2)             : f32[]
        tanh_2 = tanh(sum_2)                 : f32[]
        yield tanh_2
    } (s_3: f32[], b_3: i64[], h_3: i64[], i_3: i64[], j_3: i64[], t_3: f32[s6], n_3: i64[s0, s4], grad: f32[]) {
        apart_3 = sub(j_3, i_3)              : i64[]
        near_3 = take(t_3, apart_3, axis: 0) : f32[]
        sum_3 = add(s_3, near_3)             : f32[]
        tanh_3 = tanh(sum_3)                 : f32[]
        square = mul(tanh_3, tanh_3)         : f32[]
        slope = sub(1, square)               : f32[]
        back = mul(grad, slope)              : f32[]
        all_places = iota(sizes: [s6], dtype: i64) : i64[s6]
        place = take(all_places, apart_3, axis: 0) : i64[]
        yield back, back, place
    } (b_4: i64[], h_4: i64[], i_4: i64[], j_4: i64[], t_4: f32[s6], n_4: i64[s0, s4]) {
        row_4 = take(n_4, b_4, axis: 0)      : i64[s4]
        mine_4 = take(row_4, j_4, axis: 0)   : i64[]
        sees_4 = less(mine_4, 3)             : bool[]
        yield sees_4
    }
    a = get(all, index: 0)               : f32[s0, s1, s2, s3]
    b_5 = get(all, index: 1)             : f32[s0, s1, s4, s3]
    c = get(all, index: 2)               : f32[s0, s1, s4, s5]
    e = get(all, index: 3)               : f32[1, 8, s6]
    return y, l, a, b_5, c, e
})";

std::vector<Tensor> inputs_with_functions(const Allocator& allocator, const Dims& sizes) {
    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    const auto [b, h, t, d, s, e, n] = std::array{sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], sizes[6]};
    std::vector<Tensor> inputs;
    const auto add = [&](const Dims& shape) {
        Tensor& x = inputs.emplace_back(Tensor::empty(allocator, DType::f32, shape));
        for (int64_t i = 0; i < x.numel(); ++i) x.data<float>()[i] = normal(random);
    };
    for (const Dims& shape : {Dims{b, h, t, d}, Dims{b, h, s, d}, Dims{b, h, s, e}, Dims{b, h, t, e}, Dims{b, h, t}})
        add(shape);
    for (int64_t number : {7, 11}) inputs.push_back(Tensor::scalar(allocator, DType::i64, Scalar(number)));
    add({n});
    Tensor& ids = inputs.emplace_back(Tensor::empty(allocator, DType::i64, {b, s}));
    for (int64_t i = 0; i < ids.numel(); ++i) ids.data<int64_t>()[i] = int64_t(random() % 5);
    return inputs;
}

TEST(Attention, FunctionsOfAPairAgree) {
    expect_agreement(std::string(with_functions), inputs_with_functions,
                     {Dims{2, 5, 150, 24, 300, 9, 40}, Dims{1, 2, 64, 64, 128, 64, 500}, Dims{3, 9, 3, 5, 2, 70, 2}});
}

TEST(Attention, ScattersAddOneTermAfterTheOther) {
    std::mt19937 random(5);
    const int64_t m = 9, n = 13, row = 17;
    std::vector<int64_t> places(size_t(m * row));
    std::vector<float> terms(places.size()), found(6, 1.0f), expected = found;
    for (size_t k = 0; k < places.size(); ++k) {
        places[k] = int64_t(random() % found.size());
        terms[k] = float(random()) * 0x1p-20f;
    }
    for (int64_t i = 0; i < m; ++i)
        for (int64_t j = 0; j < n; ++j) expected[size_t(places[size_t(i * row + j)])] += terms[size_t(i * row + j)];
    contract::find_scatter_function(DType::f32)(found.data(), places.data(), terms.data(), row, m, n);
    EXPECT_EQ(found, expected);
    EXPECT_EQ(contract::find_scatter_function(DType::i32), nullptr);
}

}  // namespace
}  // namespace tenon
