// Which kernels are one: whatever session they are made in, and whatever sizes that their code need not know.
#include "jit/kernel_form.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "ir/pipeline/pipeline.h"
#include "ir/row.h"
#include "ir/text/text.h"
#include "jit/executable.h"
#include "jit/llvm_loader.h"

namespace tenon {
namespace {

GraphRef scheduled(Context& context, std::string_view text) {
    Decisions decisions;
    return run_pipeline(parse_graph(context, text), PipelineOptions{.verify = true}, decisions);
}
std::vector<KernelForm> forms(const Graph& graph) {
    std::vector<KernelForm> out;
    for (NodeId id : graph.body())
        if (graph[id].op == op<"kernel">()) out.push_back(kernel_form(graph, id, {}));
    return out;
}
KernelForm only_form(Context& context, const std::string& text) {
    const std::vector<KernelForm> found = forms(*scheduled(context, text));
    EXPECT_EQ(found.size(), 1u) << text;
    return found.at(0);
}
std::string on_elements(int64_t n, std::string_view op, std::string_view literal = "2.0") {
    return fmt::format(
        "graph f(x: f32[{0}]) -> f32[{0}] {{\n    y = {1}(x) : f32[{0}]\n    z = mul(y, {2}) : f32[{0}]\n"
        "    return z\n}}\n",
        n, op, literal);
}
std::string column(int64_t k, int64_t width = 8) {
    return fmt::format(
        "graph f(x: f32[64, {1}, 256]) -> f32[64, 256] {{\n"
        "    s = slice(x, starts: [0, {0}, 0], stops: [64, {2}, 256], steps: [1, 1, 1]) : f32[64, 1, 256]\n"
        "    y = reshape(s, sizes: [64, 256]) : f32[64, 256]\n"
        "    z = tanh(y) : f32[64, 256]\n    return z\n}}\n",
        k, width, k + 1);
}

TEST(KernelForm, IsTheSameInAnotherSession) {
    Context first, second;
    for (int k = 0; k < 100; ++k) second.name("other" + std::to_string(k));
    second.attr({{second.name("sizes"), AttrValue(int64_t(3))}});
    scheduled(second, on_elements(7, "exp"));
    for (const std::string& text : {on_elements(5000, "tanh"), column(3)}) {
        const KernelForm a = only_form(first, text), b = only_form(second, text);
        EXPECT_EQ(a.hash, b.hash);
        EXPECT_EQ(a.uses, b.uses);
        EXPECT_EQ(a.hash.text().size(), 32u);
    }
}

TEST(KernelForm, DoesNotDependOnSizesThatDecideNothing) {
    Context c;
    EXPECT_EQ(only_form(c, on_elements(5000, "tanh")).hash, only_form(c, on_elements(7777, "tanh")).hash);
    EXPECT_EQ(only_form(c, column(3)).hash, only_form(c, column(5)).hash);      // an offset
    EXPECT_EQ(only_form(c, column(3)).hash, only_form(c, column(3, 99)).hash);  // a stride
    EXPECT_NE(only_form(c, on_elements(5000, "tanh")).hash, only_form(c, on_elements(3, "tanh")).hash);
    EXPECT_NE(only_form(c, on_elements(5000, "tanh")).hash, only_form(c, on_elements(500000, "tanh")).hash);
    EXPECT_NE(only_form(c, on_elements(5000, "tanh")).hash, only_form(c, on_elements(5000, "sin")).hash);
    EXPECT_NE(only_form(c, on_elements(5000, "tanh")).hash, only_form(c, on_elements(5000, "tanh", "3.0")).hash);
}

TEST(KernelForm, StandsByItself) {
    Context c;
    const GraphRef graph = scheduled(c, column(3));
    for (NodeId id : graph->body()) {
        if ((*graph)[id].op != op<"kernel">()) continue;
        const KernelForm form = kernel_form(*graph, id, {});
        EXPECT_GE(form.parameters.size(), 2u);
        const KernelSource standing = standing_kernel(*graph, id, {}, form);
        EXPECT_EQ(standing.graph->symbols.size(), form.parameters.size());
        EXPECT_FALSE(find_fault(*standing.graph, Symbols::borrowed));
        EXPECT_EQ(standing.graph->attributes(standing.kernel).text("name"), "tanh_" + form.hash.text().substr(0, 16));
        // Standing it is of the form that it was.
        const KernelForm again = kernel_form(*standing.graph, standing.kernel, {});
        EXPECT_EQ(again.parameters.size(), form.parameters.size());
    }
}

// The parts of a cat, some of one length: their loops are one code, each with memory and an offset of its own.
TEST(KernelForm, AlikeStagesShareTheirCode) {
    Context c;
    const GraphRef graph = scheduled(c, R"(
graph f(a: f32[8, 300], b: f32[8, 300], d: f32[8, 70], e: f32[8, 300], g: f32[8, 70]) -> f32[8, 1040] {
    y = cat(a, b, d, e, g, axis: 1) : f32[8, 1040]
    return y
})");
    const NodeId kernel = *std::find_if(graph->body().begin(), graph->body().end(),
                                        [&](NodeId id) { return (*graph)[id].op == op<"kernel">(); });
    const KernelSource standing = standing_kernel(*graph, kernel, {}, kernel_form(*graph, kernel, {}));
    const KernelInfo info = analyse_kernel(*standing.graph, standing.kernel);
    ASSERT_EQ(info.stages.size(), 5u);
    std::vector<StageForm> stages;
    for (const KernelStage& stage : info.stages) stages.push_back(stage_form(standing, info, stage).value());
    EXPECT_EQ(stages[1].hash, stages[3].hash);
    EXPECT_EQ(stages[2].hash, stages[4].hash);
    EXPECT_NE(stages[1].hash, stages[2].hash);
    EXPECT_EQ(stages[3].buffers, (std::vector<uint32_t>{3, 5}));

    for (const EngineKind engine : {EngineKind::interp, EngineKind::jit}) {
        if (engine == EngineKind::jit && !has_llvm_backend()) continue;
        const Allocator allocator;
        ThreadPool pool(1);
        Machine machine(allocator, pool);
        Executable executable(graph, machine, engine);
        std::vector<Tensor> parts, whole;
        for (const int64_t width : {300, 300, 70, 300, 70}) {
            parts.push_back(Tensor::empty(allocator, DType::f32, Dims{8, width}));
            for (int64_t k = 0; k < 8 * width; ++k)
                parts.back().data<float>()[k] = float(parts.size() * 10000 + size_t(k));
        }
        executable.run(parts, whole);
        for (int64_t i = 0, at = 0; i < 8; ++i)
            for (const Tensor& part : parts)
                for (int64_t j = 0; j < part.shape[1]; ++j, ++at)
                    ASSERT_EQ(whole[0].data<float>()[at], part.data<float>()[i * part.shape[1] + j]) << i << ", " << j;
    }
}

// One code for all columns: each run gives its own.
TEST(KernelForm, OneCodeServesAllItsSizes) {
    for (const EngineKind engine : {EngineKind::interp, EngineKind::jit}) {
        if (engine == EngineKind::jit && !has_llvm_backend()) continue;
        Context c;
        const Allocator allocator;
        ThreadPool pool(2);
        Machine machine(allocator, pool);
        Tensor x = Tensor::empty(allocator, DType::f32, Dims{64, 8, 256});
        for (int64_t k = 0; k < x.numel(); ++k) x.data<float>()[k] = float(k % 1000) / 500 - 1;
        std::vector<Tensor> whole, part;
        Executable all(scheduled(c,
                                 "graph f(x: f32[64, 8, 256]) -> f32[64, 8, 256] {\n    z = tanh(x) : f32[64, 8, 256]\n"
                                 "    return z\n}\n"),
                       machine, engine);
        all.run(std::vector<Tensor>{x}, whole);
        for (int64_t k = 0; k < 8; ++k) {
            Executable one(scheduled(c, column(k)), machine, engine);
            one.run(std::vector<Tensor>{x}, part);
            for (int64_t i = 0; i < 64; ++i)
                EXPECT_EQ(
                    std::memcmp(part[0].data<float>() + i * 256, whole[0].data<float>() + (i * 8 + k) * 256, 1024), 0)
                    << i << ", " << k;
        }
        EXPECT_LE(machine.kernel_count(), 4u);  // the whole, columns 0, 1 and all others
    }
}

}  // namespace
}  // namespace tenon
