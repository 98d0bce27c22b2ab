// A value that dies in a kernel lends its memory to a result: a large one wherever it can, a small one where that makes no
// further kernel.
#include <gtest/gtest.h>

#include "ir/text/text.h"
#include "jit/llvm_loader.h"
#include "tests/jit/computer.h"

namespace tenon {
namespace {

// Two products, two results from both: each product's memory is that of a result. The first product is read transposed
// too in the second graph, where it cannot be overwritten.
constexpr std::string_view pointwise = R"(
graph f(x: f32[600, 8], w: f32[8, 600], u: f32[8, 600]) -> f32[600, 600] {
    a = matmul(x, w)                          : f32[600, 600]
    b = matmul(x, u)                          : f32[600, 600]
    t = tanh(a)                               : f32[600, 600]
    p = mul(t, b)                             : f32[600, 600]
    q = add(t, b)                             : f32[600, 600]
    s = matmul(p, q)                          : f32[600, 600]
    return s
})";
constexpr std::string_view transposed = R"(
graph f(x: f32[600, 8], w: f32[8, 600]) -> f32[600, 600] {
    a = matmul(x, w)                          : f32[600, 600]
    p = permute(a, axes: [1, 0])              : f32[600, 600]
    q = add(a, p)                             : f32[600, 600]
    s = matmul(q, q)                          : f32[600, 600]
    return s
})";

// Two kernels of one form, on small values: of the first one the operand dies in both, in the other graph in one alone.
constexpr std::string_view alike = R"(
graph f(x: f32[40, 40], w: f32[40, 40]) -> f32[40, 40] {
    a = matmul(x, w)                          : f32[40, 40]
    t = tanh(a)                               : f32[40, 40]
    b = matmul(t, w)                          : f32[40, 40]
    u = tanh(b)                               : f32[40, 40]
    c = matmul(u, w)                          : f32[40, 40]
    return c
})";
constexpr std::string_view unlike = R"(
graph f(x: f32[40, 40], w: f32[40, 40]) -> f32[40, 40], f32[40, 40] {
    a = matmul(x, w)                          : f32[40, 40]
    t = tanh(a)                               : f32[40, 40]
    b = matmul(t, w)                          : f32[40, 40]
    u = tanh(b)                               : f32[40, 40]
    c = matmul(u, w)                          : f32[40, 40]
    return c, b
})";

std::vector<Tensor> inputs_of(const Allocator& allocator, const Graph& graph) {
    std::vector<Tensor> inputs;
    for (NodeId p : graph.params()) {
        Dims shape;
        for (SizeId size : graph.type(p).sizes) shape.push_back(*graph.context->as_constant(size));
        Tensor& t = inputs.emplace_back(Tensor::empty(allocator, DType::f32, shape));
        for (int64_t k = 0; k < t.numel(); ++k) t.data<float>()[k] = float((k * 37 + 11) % 101) / 64 - 0.75f;
    }
    return inputs;
}

// How many values took the memory of another one; the results are those of ops by themselves, on every engine.
int64_t lent(std::string_view text) {
    Context context;
    Computer computer(2);
    const GraphRef graph = parse_graph(context, text);
    const std::vector<Tensor> inputs = inputs_of(computer.allocator(), *graph);
    const std::vector<Tensor> expected = computer.run(graph, inputs, EngineKind::eager);
    int64_t count = 0;
    for (EngineKind engine : {EngineKind::interp, EngineKind::jit}) {
        if (engine == EngineKind::jit && !has_llvm_backend()) continue;
        const auto executable = computer.compile(graph, engine);
        std::vector<Tensor> outputs;
        for (int run = 0; run < 2; ++run) {
            executable->run(inputs, outputs);
            expect_same(expected, outputs, std::string(text));
        }
        count = std::count_if(executable->decisions().begin(), executable->decisions().end(),
                              [](const Decision& d) { return d.what == DecisionKind::in_place; });
    }
    return count;
}

TEST(LentMemory, ResultsTakeThatOfOperandsThatDie) { EXPECT_EQ(lent(pointwise), 2); }
TEST(LentMemory, NotWhereAnElementIsReadElsewhere) { EXPECT_EQ(lent(transposed), 0); }

TEST(LentMemory, SmallOnesWhereAllKernelsOfAFormDo) {
    EXPECT_EQ(lent(alike), 2);
    EXPECT_EQ(lent(unlike), 0);
}

}  // namespace
}  // namespace tenon
