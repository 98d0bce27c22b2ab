// One graph on several engines, and swapped from one to the other between runs: the results cannot tell.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "ir/pipeline/pipeline.h"
#include "ir/text/text.h"
#include "jit/executable.h"
#include "jit/llvm_loader.h"
#include "jit/plan.h"

namespace tenon {
namespace {

// A step of a classifier: softmax, its logarithm, a product, and an update of the weights.
constexpr std::string_view step = R"(
graph step(x: f32[n, 8], t: f32[n, 5], w: f32[8, 5], b: f32[5], rate: f32[]) -> f32[], f32[n, 5] {
    m = matmul(x, w)                                   : f32[n, 5]
    a = add(m, b)                                      : f32[n, 5]
    top = max(a, axes: [1], keepdim: true)             : f32[n, 1]
    s = sub(a, top)                                    : f32[n, 5]
    e = exp(s)                                         : f32[n, 5]
    z = sum(e, axes: [1], keepdim: true)               : f32[n, 1]
    p = div(e, z)                                      : f32[n, 5]
    r = sub(p, t)                                      : f32[n, 5]
    q = mul(r, r)                                      : f32[n, 5]
    loss = sum(q, axes: [0, 1], keepdim: false)        : f32[]
    y = permute(x, axes: [1, 0])                       : f32[8, n]
    g = matmul(y, r)                                   : f32[8, 5]
    h = mul(g, rate)                                   : f32[8, 5]
    u = sub(w, h)                                      : f32[8, 5]
    k = sum(r, axes: [0], keepdim: false)              : f32[5]
    l = mul(k, rate)                                   : f32[5]
    v = sub(b, l)                                      : f32[5]
    commit(w, u)
    commit(b, v)
    return loss, p
})";

class TiersTest : public testing::Test {
protected:
    struct State {
        Tensor w, b;
    };
    TiersTest() {
        Decisions decisions;
        graph = run_pipeline(parse_graph(context, step), PipelineOptions{.verify = true}, decisions);
    }
    Tensor random(const Dims& shape) {
        std::normal_distribution<float> normal;
        Tensor t = Tensor::empty(allocator, DType::f32, shape);
        for (int64_t k = 0; k < t.numel(); ++k) t.data<float>()[k] = normal(generator);
        return t;
    }
    std::vector<Tensor> run(Executable& executable, const State& state, const Tensor& x, const Tensor& t) {
        std::vector<Tensor> outputs;
        executable.run(std::vector<Tensor>{x, t, state.w, state.b, rate}, outputs);
        return outputs;
    }
    State copy(const State& s) const { return {s.w.clone(), s.b.clone()}; }
    static void expect_same(const Tensor& a, const Tensor& b) {
        ASSERT_EQ(a.shape, b.shape);
        EXPECT_EQ(std::memcmp(a.bytes(), b.bytes(), a.element_bytes()), 0);
    }

    Context context;
    Allocator allocator;
    std::mt19937 generator{3};
    GraphRef graph;
    Tensor rate = Tensor::scalar(allocator, DType::f32, 0.01);
};

TEST_F(TiersTest, SizesMayChangeFromRunToRun) {
    ThreadPool one(1), four(4);
    Machine machine(allocator, one), threaded(allocator, four);
    Executable executable(graph, machine, EngineKind::interp), parallel(graph, threaded, EngineKind::interp);
    State state{random({8, 5}), random({5})}, other = copy(state);
    for (int64_t n : {3, 1, 700, 3, 0, 5000, 700}) {
        const Tensor x = random({n, 8}), t = random({n, 5});
        const State before = copy(state);
        const std::vector<Tensor> found = run(executable, state, x, t);
        EXPECT_EQ(found[1].shape, Dims({n, 5}));
        // A fresh executable, on one thread and on four.
        Executable fresh(graph, machine, EngineKind::interp);
        State again = copy(before);
        expect_same(run(fresh, again, x, t)[1], found[1]);
        expect_same(again.w, state.w);
        expect_same(run(parallel, other, x, t)[0], found[0]);
        expect_same(other.w, state.w);
        expect_same(other.b, state.b);
    }
    EXPECT_EQ(state.w.storage->version, 7u);
    EXPECT_EQ(machine.counters().llvm, 0);
    EXPECT_GT(machine.counters().interp, 0);
}

TEST_F(TiersTest, MachineCodeFromTheFirstRun) {
    if (!has_llvm_backend()) GTEST_SKIP() << "this build is without LLVM";
    ThreadPool pool(2);
    Machine machine(allocator, pool), reference(allocator, pool);
    Executable compiled(graph, machine, EngineKind::jit), interpreted(graph, reference, EngineKind::interp);
    State a{random({8, 5}), random({5})}, b = copy(a);
    for (int64_t n : {40, 3, 0, 2000}) {
        const Tensor x = random({n, 8}), t = random({n, 5});
        const std::vector<Tensor> found = run(compiled, a, x, t), expected = run(interpreted, b, x, t);
        expect_same(found[0], expected[0]);
        expect_same(found[1], expected[1]);
        expect_same(a.w, b.w);
        expect_same(a.b, b.b);
    }
    EXPECT_EQ(machine.counters().llvm, int64_t(compiled.kernel_count()));
    EXPECT_EQ(machine.counters().interp, 0);
}

TEST_F(TiersTest, TheSwapCannotBeSeen) {
    if (!has_llvm_backend()) GTEST_SKIP() << "this build is without LLVM";
    ThreadPool pool(2);
    Machine machine(allocator, pool), reference(allocator, pool);
    machine.hold_compiler(true);
    Executable automatic(graph, machine, EngineKind::automatic), interpreted(graph, reference, EngineKind::interp);
    State a{random({8, 5}), random({5})}, b = copy(a);
    const Tensor x = random({64, 8}), t = random({64, 5});
    const auto compare = [&] {
        const std::vector<Tensor> found = run(automatic, a, x, t), expected = run(interpreted, b, x, t);
        expect_same(found[0], expected[0]);
        expect_same(found[1], expected[1]);
        expect_same(a.w, b.w);
    };
    for (int k = 0; k < 2; ++k) compare();
    EXPECT_EQ(machine.counters().llvm, 0);
    EXPECT_EQ(machine.counters().interp, int64_t(automatic.kernel_count()));
    EXPECT_FALSE(machine.has_loaded_backend());
    // From here on the kernels are the compiler's, and count as such whether it is done or not.
    for (int k = 0; k < 3; ++k) compare();
    EXPECT_EQ(machine.counters().llvm, int64_t(automatic.kernel_count()));
    EXPECT_FALSE(machine.has_loaded_backend());
    machine.hold_compiler(false);
    machine.wait_for_compiler();
    EXPECT_TRUE(machine.has_loaded_backend());
    for (int k = 0; k < 5; ++k) compare();
    EXPECT_EQ(machine.counters().llvm, int64_t(automatic.kernel_count()));
    EXPECT_EQ(machine.counters().interp, int64_t(automatic.kernel_count()));
}

TEST_F(TiersTest, EqualKernelsAreOne) {
    ThreadPool pool(1);
    Machine machine(allocator, pool);
    const NodeId kernel =
        *std::find_if(graph->body().begin(), graph->body().end(), [&](NodeId id) { return (*graph)[id].regions == 1; });
    Decisions decisions;
    const GraphRef again = run_pipeline(parse_graph(context, step), PipelineOptions{}, decisions);
    const NodeId same =
        *std::find_if(again->body().begin(), again->body().end(), [&](NodeId id) { return (*again)[id].regions == 1; });
    EXPECT_EQ(machine.kernel(graph, kernel, {}).cached, machine.kernel(again, same, {}).cached);
    EXPECT_NE(machine.kernel(graph, kernel, {}).cached, machine.kernel(again, same, {{0, 0}}).cached);
}

TEST(ArenaTest, ValuesThatLiveTogetherLieApart) {
    std::mt19937 generator(1);
    for (int round = 0; round < 200; ++round) {
        std::vector<Lifetime> lifetimes(1 + generator() % 30);
        for (Lifetime& l : lifetimes) {
            l.bytes = generator() % 1000;
            l.first = generator() % 40;
            l.last = l.first + generator() % 10;
        }
        const ArenaPlan plan = plan_arena(lifetimes);
        for (size_t a = 0; a < lifetimes.size(); ++a) {
            EXPECT_EQ(plan.offsets[a] % 64, 0u);
            EXPECT_LE(plan.offsets[a] + lifetimes[a].bytes, plan.bytes);
            for (size_t b = 0; b < a; ++b) {
                const bool together =
                    lifetimes[a].first <= lifetimes[b].last && lifetimes[b].first <= lifetimes[a].last;
                const bool apart = plan.offsets[a] + lifetimes[a].bytes <= plan.offsets[b] ||
                                   plan.offsets[b] + lifetimes[b].bytes <= plan.offsets[a];
                EXPECT_TRUE(!together || apart);
            }
        }
    }
    const Lifetime chain[] = {{100, 0, 1}, {100, 1, 2}, {100, 2, 3}};
    const ArenaPlan plan = plan_arena(chain);
    EXPECT_EQ(plan.bytes, 256u);
    EXPECT_EQ(plan.reuses[2], 0);
}

}  // namespace
}  // namespace tenon
