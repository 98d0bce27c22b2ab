// The middle end's work grows as graphs do, and takes no more stack for a longer one.
#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "ir/differentiate/gradient.h"
#include "ir/fusion/fusion_groups.h"
#include "ir/pipeline/pipeline.h"
#include "ir/text/text.h"
#include "jit/block_interpreter.h"
#include "jit/step_builder.h"
#include "tests/ir/large_graphs.h"
#include "tests/jit/computer.h"

namespace tenon {
namespace {

// Visits of nodes while f runs; 0 where they are not counted.
template <class F>
uint64_t visits(F f) {
    const uint64_t before = GraphVisits::count;
    f();
    return GraphVisits::count - before;
}

struct Work {
    std::string pass;
    uint64_t visits = 0;
};
std::vector<Work> work_of(const LargeGraph& form, size_t nodes) {
    Context context;
    GraphRef graph = form.make(context, nodes);
    std::vector<Work> work;
    Decisions decisions;
    for (const Pass& pass : passes()) {
        PassSetting setting{Target{}, decisions};
        work.push_back({std::string(pass.name), visits([&] { graph = pass.run(*graph, setting); })});
    }
    work.push_back({"verify", visits([&] { verify(*graph); })});
    work.push_back({"print", visits([&] { print(*graph); })});
    const Allocator allocator;
    work.push_back({"steps", visits([&] { build_steps(*graph, allocator); })});
    return work;
}

TEST(LargeGraphs, WorkGrowsAsTheyDo) {
    if (visits([] {
            Context c;
            large_graph_forms[0].make(c, 10);
        }) == 0)
        GTEST_SKIP() << "visits are not counted in this build";
    for (const LargeGraph& form : large_graph_forms) {
        const std::vector<Work> small = work_of(form, 1000), large = work_of(form, 8000);
        for (size_t k = 0; k < small.size(); ++k) {
            EXPECT_LE(large[k].visits, 12 * small[k].visits + 1000) << form.name << ", " << small[k].pass;
            EXPECT_LE(large[k].visits, 8000u * 400) << form.name << ", " << small[k].pass;
        }
    }
}

TEST(LargeGraphs, JoiningLooksAtFewItems) {
    for (const LargeGraph& form : large_graph_forms) {
        const auto steps = [&](size_t nodes) {
            Context context;
            Decisions decisions;
            return FusionGroups(*simplify(*form.make(context, nodes)), decisions).steps();
        };
        const size_t small = steps(1000), large = steps(8000);
        EXPECT_LE(large, 12 * small + 1000) << form.name;
        EXPECT_LE(large, 8000u * 2000) << form.name;
    }
}

// In 256 KiB, which a frame a node would not fit in.
void run_on_a_small_stack(void (*f)()) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256 * 1024);
    pthread_t thread;
    const auto entry = [](void* g) -> void* {
        reinterpret_cast<void (*)()>(g)();
        return nullptr;
    };
    ASSERT_EQ(pthread_create(&thread, &attributes, entry, reinterpret_cast<void*>(f)), 0);
    pthread_join(thread, nullptr);
    pthread_attr_destroy(&attributes);
}

TEST(LargeGraphs, NeedNoMoreStack) {
    run_on_a_small_stack([] {
        for (const LargeGraph& form : large_graph_forms) {
            Context context;
            const GraphRef graph = form.make(context, 5000);
            Decisions decisions;
            const GraphRef scheduled = run_pipeline(graph, PipelineOptions{.verify = true}, decisions);
            const Allocator allocator;
            ThreadPool pool(1);
            Machine machine(allocator, pool);
            Executable executable(scheduled, machine, EngineKind::interp);
            EXPECT_GT(executable.kernel_count(), 0u) << form.name;
        }
    });
}

// Chained checkpoints, forward and backward.
TEST(LargeGraphs, NeedNoMoreStackToBeDifferentiated) {
    run_on_a_small_stack([] {
        Context c;
        Builder b(c);
        NodeId x = b.parameter(c.tensor(DType::f32, std::vector<SizeId>{SizeId(4)}));
        {
            Builder::StampScope scope(b, Stamp{.origin = {}, .meta = {}, .flags = recompute_flag});
            for (int k = 0; k < 5000; ++k) x = b.emit(op<"tanh">(), {x});
        }
        x = b.emit(op<"exp">(), {x});
        const GraphRef graph = b.finish({x});
        const std::vector<size_t> first{0};
        const Joint joint = make_joint(*graph, first, first, false);
        Decisions decisions;
        const Split split = rematerialise(split_joint(joint), decisions);
        EXPECT_GT(split.backward->body().size(), 5000u);
        run_pipeline(split.backward, PipelineOptions{.verify = true}, decisions);
    });
}

// What is cut into kernels has the bits of what is not: the chain, value by value, on the host.
TEST(LargeGraphs, AChainHasItsValue) {
    Context context;
    const size_t nodes = 5000;
    const GraphRef graph = large_graphs::chain(context, nodes);
    Computer computer(1);
    std::vector<Tensor> inputs;
    for (const float value : {0.5f, 0.25f}) {
        inputs.push_back(Tensor::empty(computer.allocator(), DType::f32, Dims{10}));
        std::fill_n(inputs.back().data<float>(), 10, value);
    }
    float x = 0.5f;
    for (size_t k = 0; k < nodes; ++k) x = k % 3 ? x + 0.25f : x * 0.25f;
    for (const EngineKind engine : {EngineKind::interp, EngineKind::jit}) {
        if (engine == EngineKind::jit && !TENON_LLVM) continue;
        const std::vector<Tensor> have = computer.run(graph, inputs, engine);
        for (int k = 0; k < 10; ++k) EXPECT_EQ(have[0].data<float>()[k], x);
    }
}

// A run within a run: the second takes memory of its own, and a third of the outer level the first's again.
TEST(Arena, NestedRunsLieApart) {
    const Allocator allocator;
    ThreadPool pool(1);
    Machine machine(allocator, pool);
    std::byte* first = nullptr;
    {
        const ArenaScope outer(machine, 256);
        first = outer.data();
        std::fill_n(first, 256, std::byte{1});
        {
            const ArenaScope inner(machine, 100000), innermost(machine, 64);
            EXPECT_TRUE(inner.data() + 100000 <= first || first + 256 <= inner.data());
            EXPECT_TRUE(innermost.data() + 64 <= inner.data() || inner.data() + 100000 <= innermost.data());
            std::fill_n(inner.data(), 100000, std::byte{2});
            std::fill_n(innermost.data(), 64, std::byte{3});
        }
        const ArenaScope nothing(machine, 0);
        EXPECT_EQ(nothing.data(), nullptr);
        EXPECT_TRUE(std::all_of(first, first + 256, [](std::byte b) { return b == std::byte{1}; }));
    }
    EXPECT_EQ(ArenaScope(machine, 200).data(), first);
    const ArenaScope larger(machine, 1 << 20);
    std::fill_n(larger.data(), 1 << 20, std::byte{4});
}

// Of kernels that nobody has any more not all are kept.
TEST(Machine, ForgetsKernelsThatNobodyHas) {
    Context context;
    const Allocator allocator;
    ThreadPool pool(1);
    Machine machine(allocator, pool);
    Decisions decisions;
    const auto executable = [&](int64_t size) {
        Builder b(context);
        const NodeId x = b.parameter(context.tensor(DType::f32, std::vector<SizeId>{SizeId(size)}));
        return std::make_unique<Executable>(
            run_pipeline(b.finish({b.emit(op<"tanh">(), {x})}), PipelineOptions{}, decisions), machine,
            EngineKind::interp);
    };
    const auto kept = executable(1);
    for (int64_t size = 2; size < 3000; ++size) executable(size);
    EXPECT_LE(machine.kernel_count(), 1024u);
    EXPECT_GT(machine.kernel_count(), 1u);
}

}  // namespace
}  // namespace tenon
