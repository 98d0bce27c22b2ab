// Between the steps of a run nothing is allocated: kernels and their scratch, products, indexed reads and writes and sorting work in memory
// that is there from the runs before.
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

}  // namespace
}  // namespace tenon
