// Between the steps of a run nothing is allocated: kernels and their scratch, products, indexed reads and writes and sorting work in memory
// that is there from the runs before, and so do the turns of scans and loops and the sides of conds. Nor is where kernels run together.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "ir/text/text.h"
#include "jit/llvm_loader.h"
#include "tests/jit/computer.h"

static std::atomic<int64_t> allocations{0};

#ifndef TENON_SANITIZED
void* operator new(size_t bytes) {
    allocations.fetch_add(1, std::memory_order_relaxed);
    if (void* const memory = std::malloc(bytes ? bytes : 1)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
#endif

namespace tenon {
namespace {

constexpr std::string_view step = R"(
graph step(x: f32[40, 8], w: f32[8, 5], i: i64[40]) -> f32[40, 5], i64[40, 5], f32[40, 5], f32[40, 8] {
    m = matmul(x, w)                                   : f32[40, 5]
    e = tanh(m)                                        : f32[40, 5]
    s = sum(e, axes: [1], keepdim: true)               : f32[40, 1]
    p = div(e, s)                                      : f32[40, 5]
    t = take(p, i, axis: 0)                            : f32[40, 5]
    c = cumsum(t, axis: 0)                             : f32[40, 5]
    a = argsort(c, axis: 1, descending: true)          : i64[40, 5]
    g = gather(c, a, axis: 1)                          : f32[40, 5]
    h = scatter_add(g, a, p, axis: 1)                  : f32[40, 5]
    r = take_add(h, i, t, axis: 0)                     : f32[40, 5]
    u = matmul(x, r, transpose_a: true)                : f32[8, 5]
    v = sub(w, u)                                      : f32[8, 5]
    o = attention(x, x, x, causal: true)               : (f32[40, 8], f32[40])
    y = get(o, index: 0)                               : f32[40, 8]
    commit(w, v)
    return p, a, r, y
})";

class Counter final : public RunObserver {
public:
    void step_done(const GraphRef&, NodeId, int64_t) override {
        const int64_t now = allocations;
        if (steps++ > 0) between += now - last;
        last = now;
    }
    int64_t steps = 0, between = 0;

private:
    int64_t last = 0;
};

TEST(BetweenSteps, NothingIsAllocated) {
#ifdef TENON_SANITIZED
    GTEST_SKIP() << "allocations are the sanitizer's";
#endif
    for (const EngineKind engine : {EngineKind::interp, EngineKind::jit}) {
        if (engine == EngineKind::jit && !has_llvm_backend()) continue;
        Context context;
        const Allocator allocator;
        ThreadPool pool(1);
        Machine machine(allocator, pool);
        Decisions decisions;
        Executable executable(run_pipeline(parse_graph(context, step), PipelineOptions{}, decisions), machine, engine);
        const Tensor x = Tensor::empty(allocator, DType::f32, Dims{40, 8}),
                     w = Tensor::empty(allocator, DType::f32, Dims{8, 5}),
                     i = Tensor::empty(allocator, DType::i64, Dims{40});
        for (int64_t k = 0; k < x.numel(); ++k) x.data<float>()[k] = float(k % 7) - 3;
        for (int64_t k = 0; k < w.numel(); ++k) w.data<float>()[k] = float(k % 3) - 1;
        for (int64_t k = 0; k < 40; ++k) i.data<int64_t>()[k] = 3 * k % 40;
        std::vector<Tensor> outputs;
        for (int run = 0; run < 3; ++run) executable.run(std::vector<Tensor>{x, w, i}, outputs);
        Counter counter;
        machine.set_observer(&counter);
        executable.run(std::vector<Tensor>{x, w, i}, outputs);
        EXPECT_GE(counter.steps, 10);
        EXPECT_EQ(counter.between, 0);
    }
}

// It writes its input and has no result, for which there would be memory.
constexpr std::string_view regions = R"(
graph step(w: f32[8, 96], u: f32[96, 96], xs: f32[6, 8, 96]) -> none {
    scan = scan(w, xs, u, carried: 1, sliced: 1, turns: 6, reverse: false)  : (f32[8, 96], f32[6, 8, 96]) (h: f32[8, 96], x: f32[8, 96], v: f32[96, 96]) {
        m = matmul(h, v)   : f32[8, 96]
        a = add(m, x)      : f32[8, 96]
        t = tanh(a)        : f32[8, 96]
        yield t, t
    }
    last = get(scan, index: 0)                      : f32[8, 96]
    all = get(scan, index: 1)                       : f32[6, 8, 96]
    sum = sum(all, axes: [0])                       : f32[8, 96]
    some = sum(sum, axes: [0, 1])                   : f32[]
    is = greater(some, 0)                           : bool[]
    side = cond(is, last, sum)  : (f32[8, 96]) (p: f32[8, 96], q: f32[8, 96]) {
        y = matmul(p, q, transpose_b: true)         : f32[8, 8]
        z = matmul(y, q)                            : f32[8, 96]
        yield z
    } (p_1: f32[8, 96], q_1: f32[8, 96]) {
        d = sub(p_1, q_1)                           : f32[8, 96]
        yield d
    }
    start = get(side, index: 0)                     : f32[8, 96]
    loop = while_loop(start, u, carried: 1)  : (f32[8, 96]) (c: f32[8, 96], r: f32[96, 96]) {
        most = max(c, axes: [0, 1])                 : f32[]
        on = greater(most, 0.125)                   : bool[]
        yield on
    } (c_1: f32[8, 96], r_1: f32[96, 96]) {
        n = matmul(c_1, r_1)                        : f32[8, 96]
        half = mul(n, 0.25)                         : f32[8, 96]
        s = sin(half)                               : f32[8, 96]
        yield s
    }
    end = get(loop, index: 0)                       : f32[8, 96]
    commit(w, end)
    return
})";

// Each is too long for alike ones to be one kernel.
constexpr std::string_view updates = R"(
graph step(a: f32[300, 128], b: f32[90000], c: f32[400, 128], d: f32[300, 256], g: f32[300, 128], h: f32[90000], i: f32[400, 128], j: f32[300, 256]) -> none {
    ga = mul(g, 0.125)  : f32[300, 128]
    na = sub(a, ga)     : f32[300, 128]
    gb = mul(h, 0.125)  : f32[90000]
    nb = sub(b, gb)     : f32[90000]
    gc = mul(i, 0.125)  : f32[400, 128]
    nc = sub(c, gc)     : f32[400, 128]
    gd = mul(j, 0.125)  : f32[300, 256]
    nd = sub(d, gd)     : f32[300, 256]
    commit(a, na)
    commit(b, nb)
    commit(c, nc)
    commit(d, nd)
    return
})";

int64_t allocations_of_a_run(std::string_view text, EngineKind engine, int threads) {
    Context context;
    const Allocator allocator;
    ThreadPool pool(threads);
    Machine machine(allocator, pool);
    Decisions decisions;
    const GraphRef graph = parse_graph(context, text);
    Executable executable(run_pipeline(graph, PipelineOptions{}, decisions), machine, engine);
    std::vector<Tensor> inputs, outputs;
    for (NodeId p : graph->params()) {
        Dims shape;
        for (SizeId size : graph->type(p).sizes) shape.push_back(*context.as_constant(size));
        inputs.push_back(Tensor::empty(allocator, DType::f32, shape));
        for (int64_t k = 0; k < inputs.back().numel(); ++k) inputs.back().data<float>()[k] = float(k % 11 - 4) / 64;
    }
    for (int run = 0; run < 3; ++run) executable.run(inputs, outputs);
    const int64_t before = allocations;
    executable.run(inputs, outputs);
    return allocations - before;
}

TEST(BetweenSteps, NothingIsAllocatedInRegions) {
#ifdef TENON_SANITIZED
    GTEST_SKIP() << "allocations are the sanitizer's";
#endif
    for (const EngineKind engine : {EngineKind::interp, EngineKind::jit}) {
        if (engine == EngineKind::jit && !has_llvm_backend()) continue;
        EXPECT_EQ(allocations_of_a_run(regions, engine, 1), 0);
    }
}

TEST(BetweenSteps, NothingIsAllocatedForKernelsThatRunTogether) {
#ifdef TENON_SANITIZED
    GTEST_SKIP() << "allocations are the sanitizer's";
#endif
    for (const int threads : {1, 2}) EXPECT_EQ(allocations_of_a_run(updates, EngineKind::interp, threads), 0);
}

}  // namespace
}  // namespace tenon
