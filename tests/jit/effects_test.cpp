// Graphs drawn at random, of elementwise ops, updates of slices, commits and asserts, against their plain meaning:
// every value is made once from the inputs as they were; commits happen in order, up to an assert that fails.
#include <gtest/gtest.h>

#include <array>
#include <random>
#include <string>

#include <fmt/format.h>

#include "ir/pipeline/pipeline.h"
#include "ir/text/text.h"
#include "jit/executable.h"
#include "jit/llvm_loader.h"
#include "runtime/diagnostic.h"

namespace tenon {
namespace {

constexpr int size = 6, inputs = 4;
using Vector = std::array<float, size>;

struct RandomGraph {
    std::string text;
    std::array<Vector, inputs> before, after;  // of the inputs
    std::vector<Vector> results;
    bool fails = false;
    size_t effects = 0;  // that happen
};

RandomGraph random_graph(uint64_t seed) {
    std::mt19937_64 generator(seed);
    const auto below = [&](size_t n) { return size_t(generator() % n); };
    RandomGraph g;
    std::vector<std::pair<std::string, Vector>> values;
    std::string header;
    for (int k = 0; k < inputs; ++k) {
        for (float& x : g.before[size_t(k)]) x = float(below(9)) - 4;
        values.emplace_back(fmt::format("x{}", k), g.before[size_t(k)]);
        header += fmt::format("x{}: f32[{}], ", k, size);
    }
    g.after = g.before;
    std::string body;
    const size_t count = 3 + below(12);
    for (size_t n = 0; n < count; ++n) {
        const auto& [a, x] = values[below(values.size())];
        const auto& [b, y] = values[below(values.size())];
        const std::string name = fmt::format("v{}", n);
        Vector z = x;
        switch (below(8)) {
            case 0:
            case 1:
                for (int k = 0; k < size; ++k) z[size_t(k)] = x[size_t(k)] + y[size_t(k)];
                body += fmt::format("    {} = add({}, {}) : f32[{}]\n", name, a, b, size);
                break;
            case 2:
                for (int k = 0; k < size; ++k) z[size_t(k)] = x[size_t(k)] * 0.5f;
                body += fmt::format("    {} = mul({}, 0.5) : f32[{}]\n", name, a, size);
                break;
            case 3:  // backwards
                for (int k = 0; k < size; ++k) z[size_t(k)] = x[size_t(size - 1 - k)];
                body += fmt::format("    {} = flip({}, axes: [0]) : f32[{}]\n", name, a, size);
                break;
            case 4: {  // a[p : p + n] = b[q : q + n]
                const size_t length = 1 + below(size), p = below(size - length + 1), q = below(size - length + 1);
                for (size_t k = 0; k < length; ++k) z[p + k] = y[q + k];
                body += fmt::format("    s{0} = slice({1}, starts: [{2}], stops: [{3}], steps: [1]) : f32[{4}]\n", n, a,
                                    p, p + length, length);
                body += fmt::format("    t{0} = slice({1}, starts: [{2}], stops: [{3}], steps: [1]) : f32[{4}]\n", n, b,
                                    q, q + length, length);
                body += fmt::format("    {0} = update({1}, s{2}, t{2}) : f32[{3}]\n", name, a, n, size);
                break;
            }
            case 5:
            case 6: {
                const size_t target = below(inputs);
                body += fmt::format("    commit(x{}, {})\n", target, a);
                if (!g.fails) g.after[target] = x, ++g.effects;
                continue;
            }
            default: {
                const bool holds = below(6) != 0;
                body += fmt::format("    assert({})\n", holds ? "yes" : "no");
                if (!holds) g.fails = true;
                if (!g.fails) ++g.effects;
                continue;
            }
        }
        values.emplace_back(name, z);
    }
    std::string results, types;
    for (size_t n = below(4); n > 0; --n) {
        const auto& [a, x] = values[below(values.size())];
        results += (results.empty() ? " " : ", ") + a;
        types += fmt::format("{}f32[{}]", types.empty() ? "" : ", ", size);
        g.results.push_back(x);
    }
    g.text = fmt::format("graph f({}yes: bool[], no: bool[]) -> {} {{\n{}    return{}\n}}\n", header,
                         types.empty() ? "none" : types, body, results);
    return g;
}

void check(Context& context, const RandomGraph& g, Machine& machine, EngineKind engine, bool strided) {
    Decisions decisions;
    Executable executable(run_pipeline(parse_graph(context, g.text), PipelineOptions{.verify = true}, decisions),
                          machine, engine);
    for (int round = 0; round < 3; ++round) {  // memory is reused from round to round
        std::vector<Tensor> arguments;
        for (const Vector& x : g.before) {
            const Tensor t = Tensor::from<float>(machine.allocator(), x, {size});
            if (!strided) arguments.push_back(t);
            else {
                const Tensor column = Tensor::zeros(machine.allocator(), DType::f32, {size, 2}).select(1, 1);
                copy_strided(column, t);
                arguments.push_back(column);
            }
        }
        arguments.push_back(Tensor::scalar(machine.allocator(), DType::boolean, true));
        arguments.push_back(Tensor::scalar(machine.allocator(), DType::boolean, false));
        std::vector<Tensor> outputs;
        bool failed = false;
        try {
            executable.run(arguments, outputs);
        } catch (const Error& error) {
            failed = true;
            ASSERT_EQ(error.diagnostic.kind, "assertion");
        }
        ASSERT_EQ(failed, g.fails);
        ASSERT_EQ(executable.effects_done(), g.effects);
        const auto elements = [](const Tensor& t) {
            const Tensor dense = t.contiguous();
            Vector x;
            std::copy_n(dense.data<float>(), size, x.begin());
            return x;
        };
        for (size_t k = 0; k < inputs; ++k) ASSERT_EQ(elements(arguments[k]), g.after[k]) << "x" << k;
        for (size_t k = 0; k < outputs.size(); ++k) ASSERT_EQ(elements(outputs[k]), g.results[k]) << "result " << k;
        for (const Tensor& out : outputs) {  // nobody else has their memory
            ASSERT_EQ(out.storage->use_count(), 1u);
            for (const Tensor& argument : arguments) ASSERT_NE(out.storage, argument.storage);
        }
    }
}

TEST(EffectsTest, RandomGraphs) {
    Context context;
    Allocator allocator;
    ThreadPool pool(1);
    Machine machine(allocator, pool);
    for (uint64_t seed = 1; seed <= 400; ++seed) {
        const RandomGraph g = random_graph(seed);
        check(context, g, machine, EngineKind::interp, seed % 4 == 0);
        if (testing::Test::HasFailure()) FAIL() << "seed " << seed << "\n" << g.text;
    }
}

TEST(EffectsTest, RandomGraphsAsMachineCode) {
    if (!has_llvm_backend()) GTEST_SKIP() << "this build is without LLVM";
    Context context;
    Allocator allocator;
    ThreadPool pool(1);
    for (uint64_t seed = 1; seed <= 12; ++seed) {
        Machine machine(allocator, pool);
        const RandomGraph g = random_graph(seed);
        check(context, g, machine, EngineKind::jit, false);
        if (testing::Test::HasFailure()) FAIL() << "seed " << seed << "\n" << g.text;
    }
}

}  // namespace
}  // namespace tenon
