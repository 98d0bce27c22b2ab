// Kernels of one form that need nothing of each other are one dispatch, with the bits that they have one by one.
#include <gtest/gtest.h>

#include "ir/text/text.h"
#include "jit/llvm_loader.h"
#include "tests/jit/computer.h"

namespace tenon {
namespace {

// A graph and what its runs leave in its inputs and results.
class Trial {
public:
    explicit Trial(std::string_view text) : graph_(parse_graph(context_, text)) {}

    struct Run {
        std::vector<Tensor> values;  // inputs, then results
        int64_t regions = 0;         // parallel ones, of one run
        size_t together = 0;         // decisions
        size_t arena_bytes = 0;
    };
    // `apart`: under an observer, to which each step is told by itself.
    Run run(EngineKind engine, int threads, bool apart = false) {
        struct Steps final : RunObserver {
            void step_done(const GraphRef&, NodeId, int64_t) override { ++count; }
            size_t count = 0;
        } steps;
        ThreadPool pool(threads);
        Machine machine(allocator_, pool);
        if (apart) machine.set_observer(&steps);
        Decisions decisions;
        Executable executable(run_pipeline(graph_, PipelineOptions{}, decisions), machine, engine);
        std::vector<Tensor> inputs, outputs;
        for (NodeId p : graph_->params()) {
            Dims shape;
            for (SizeId size : graph_->type(p).sizes) shape.push_back(*context_.as_constant(size));
            inputs.push_back(Tensor::empty(allocator_, DType::f32, shape));
            for (int64_t k = 0; k < inputs.back().numel(); ++k)
                inputs.back().data<float>()[k] = float((k * 7 + int64_t(inputs.size())) % 101 - 50) / 16;
        }
        Run done;
        for (int round = 0; round < 2; ++round) {
            const int64_t before = pool.regions();
            executable.run(inputs, outputs);
            done.regions = pool.regions() - before;
        }
        for (const Decision& d : executable.decisions()) done.together += d.what == DecisionKind::together;
        done.arena_bytes = executable.arena_bytes();
        done.values = inputs;
        done.values.insert(done.values.end(), outputs.begin(), outputs.end());
        EXPECT_TRUE(!apart || steps.count >= 2 * executable.kernel_count());
        return done;
    }
    Run expect_same_everywhere(const std::string& what) {
        const Run one = run(EngineKind::interp, 1, true);
        Run two = run(EngineKind::interp, 2);
        expect_same(one.values, two.values, what);
        expect_same(one.values, run(EngineKind::interp, 1).values, what);
        if (has_llvm_backend()) expect_same(one.values, run(EngineKind::jit, 2).values, what + ", machine code");
        return two;
    }

private:
    Context context_;
    const Allocator allocator_;
    const GraphRef graph_;
};

// Too long for alike ones to be one kernel; the sizes differ.
TEST(StepBatches, AreOneParallelRegion) {
    Trial trial(R"(
graph step(a: f32[300, 128], b: f32[90000], c: f32[400, 128], g: f32[300, 128], h: f32[90000], i: f32[400, 128], x: f32[300, 128]) -> f32[300, 128] {
    ga = mul(g, 0.125)  : f32[300, 128]
    na = sub(a, ga)     : f32[300, 128]
    gb = mul(h, 0.125)  : f32[90000]
    nb = sub(b, gb)     : f32[90000]
    gc = mul(i, 0.125)  : f32[400, 128]
    nc = sub(c, gc)     : f32[400, 128]
    e = exp(x)          : f32[300, 128]
    commit(a, na)
    commit(b, nb)
    commit(c, nc)
    return e
})");
    const Trial::Run run = trial.expect_same_everywhere("updates");
    EXPECT_EQ(run.together, 1);
    EXPECT_EQ(run.regions, 2);  // the updates, and exp
}

// Each by itself is done before another thread has woken; all of them are worth it.
TEST(StepBatches, SmallKernelsAreSharedAmongThreads) {
    std::string text = "graph step(", body, results, names;
    for (int k = 0; k < 9; ++k) {
        const std::string n = std::to_string(k);
        text += (k ? ", x" : "x") + n + ": f32[150, 128], w" + n + ": f32[128]";
        body += "    m" + n + " = mul(x" + n + ", w" + n + ")  : f32[150, 128]\n    t" + n + " = tanh(m" + n +
                ")  : f32[150, 128]\n    s" + n + " = sum(t" + n + ", axes: [1])  : f32[150]\n";
        results += (k ? ", s" : "s") + n;
        names += k ? ", f32[150]" : "f32[150]";
    }
    Trial trial(text + ") -> " + names + " {\n" + body + "    return " + results + "\n}");
    const Trial::Run run = trial.expect_same_everywhere("rows");
    EXPECT_EQ(run.together, 1);
    EXPECT_EQ(run.regions, 1);
}

// One needs the other, reads what the other writes in place, or writes what the other reads: one after the other.
TEST(StepBatches, LeaveWhatNeedsEachOtherInOrder) {
    Trial chain(R"(
graph step(a: f32[70000], b: f32[128, 128]) -> f32[70000], f32[70000], f32[128, 128] {
    x = cumsum(a, axis: 0)  : f32[70000]
    y = exp(x)              : f32[70000]
    z = cumsum(y, axis: 0)  : f32[70000]
    u = exp(z)              : f32[70000]
    m = matmul(b, b)        : f32[128, 128]
    v = exp(m)              : f32[128, 128]
    return y, u, v
})");
    chain.expect_same_everywhere("chain");
    Trial swap(R"(
graph step(a: f32[70000], b: f32[70000]) -> none {
    x = mul(a, 3)    : f32[70000]
    na = add(b, x)   : f32[70000]
    y = mul(b, 3)    : f32[70000]
    nb = add(a, y)   : f32[70000]
    commit(a, na)
    commit(b, nb)
    return
})");
    swap.expect_same_everywhere("swap");
}

// A small update that stands before a product waits for the next one of its form.
TEST(StepBatches, BringAlikeKernelsTogether) {
    Trial trial(R"(
graph step(a: f32[130, 130], b: f32[130, 130], x: f32[130, 130], s: f32[]) -> none {
    p = matmul(x, x)   : f32[130, 130]
    q = matmul(p, x)   : f32[130, 130]
    r = matmul(p, q)   : f32[130, 130]
    ga = matmul(q, r)  : f32[130, 130]
    la = mul(ga, s)    : f32[130, 130]
    na = sub(a, la)    : f32[130, 130]
    gb = matmul(r, r)  : f32[130, 130]
    lb = mul(gb, s)    : f32[130, 130]
    nb = sub(b, lb)    : f32[130, 130]
    commit(a, na)
    commit(b, nb)
    return
})");
    const Trial::Run run = trial.expect_same_everywhere("products between");
    EXPECT_EQ(run.together, 1);
    EXPECT_EQ(run.arena_bytes, 3 * (130 * 130 * 4 + 48));
}

// What waits keeps what it reads; where that makes the peak, it does not wait.
TEST(StepBatches, TakeNoMoreMemory) {
    std::string body, returned;
    std::string text = "graph step(x: f32[128, 128]";
    for (int k = 0; k < 6; ++k) {
        const std::string n = std::to_string(k);
        text += ", w" + n + ": f32[128, 128]";
        body += "    p" + n + " = matmul(x, w" + n + ")  : f32[128, 128]\n    s" + n + " = sum(p" + n +
                ", axes: [1])  : f32[128]\n    t" + n + " = matmul(p" + n + ", p" + n + ")  : f32[128, 128]\n    c" +
                n + " = sum(t" + n + ", axes: [1])  : f32[128]\n";
        returned += (k ? ", s" : "s") + n + ", c" + n;
    }
    std::string types;
    for (int k = 0; k < 12; ++k) types += k ? ", f32[128]" : "f32[128]";
    Trial trial(text + ") -> " + types + " {\n" + body + "    return " + returned + "\n}");
    const Trial::Run run = trial.expect_same_everywhere("peak");
    EXPECT_EQ(run.arena_bytes, 2 * 128 * 128 * 4);
}

}  // namespace
}  // namespace tenon
