// Machine code gives the bits of the block interpreter, whatever the kernel and the vectors.
#include <gtest/gtest.h>

#include <cstring>

#include <fmt/format.h>

#include "ir/text/text.h"
#include "jit/block_interpreter.h"
#include "jit/llvm_loader.h"
#include "runtime/cpu.h"
#include "tests/jit/random_kernels.h"

namespace tenon {
namespace {

class LlvmKernels : public testing::TestWithParam<InstructionSet> {
protected:
    void SetUp() override {
        if (!has_llvm_backend()) GTEST_SKIP() << "this build is without LLVM";
        if (GetParam() > best_instruction_set()) GTEST_SKIP() << "this processor has no AVX-512";
        backend = load_llvm_backend(GetParam());
    }
    std::unique_ptr<Backend> backend;
};

TEST_P(LlvmKernels, GiveTheBitsOfTheInterpreter) {
    set_float_environment();
    WorkspacePool workspaces;
    const char* only = std::getenv("TENON_TEST_SEED");
    const uint64_t first = only ? std::strtoull(only, nullptr, 10) : 1, count = only ? 1 : 180, batch = 12;
    for (uint64_t begin = first; begin < first + count; begin += batch) {
        Context context;
        std::vector<RandomKernel> kernels;
        std::vector<KernelSource> sources;
        for (uint64_t seed = begin; seed < std::min(begin + batch, first + count); ++seed) {
            kernels.push_back(random_kernel(context, seed));
            sources.push_back(kernels.back().source);
        }
        const auto compiled = backend->compile(sources);
        ASSERT_EQ(compiled.size(), kernels.size());
        for (size_t k = 0; k < kernels.size(); ++k) {
            const RandomKernel& kernel = kernels[k];
            const uint64_t seed = begin + k;
            KernelMemory expected(kernel, seed), found(kernel, seed);
            const auto interpreted = interpret_kernel(kernel.source, kernel.info, best_instruction_set(), workspaces);
            const uint32_t faults = expected.run(kernel, *interpreted, seed);
            EXPECT_EQ(found.run(kernel, *compiled[k], seed + 1), faults) << "seed " << seed;
            const std::string unequal = difference(kernel, expected, found);
            EXPECT_EQ(unequal, "") << "seed " << seed << "\n" << print(*kernel.source.graph);
            if (HasFailure()) return;
        }
    }
}

// A fold alone, over `count` elements: down each of `width` columns or along a row.
RandomKernel fold_kernel(Context& context, const char* op, DType dtype, bool rows, int64_t count, bool symbolic,
                         int64_t width = 40) {
    const std::string type(name_of(dtype)), size = symbolic ? "n" : std::to_string(count),
                                            columns = std::to_string(width);
    std::string text = "graph (x: " + type + "[" + (symbolic ? "n" : "40") + "]) -> " + type + "[" + columns + "] {\n" +
                       "kernel = kernel(x, name: \"fold\") : " + type + "[" + columns + "] (a: buffer " + type +
                       ", b: buffer " + type + ") {\n" +
                       "zero = extent(value: 0) : index\n width = extent(value: " + columns +
                       ") : index\n count = extent(value: " + size + ") : index\n";
    const std::string head = std::string("fold = fold(zero, count, op: \"") + op + "\", order: \"" +
                             (rows ? "rows" : "lanes") + "\") : " + type + " (k: index) {\n";
    if (rows) {
        text += "for(zero, width, kind: \"vector\", step: 1) (j: index) {\n" + head +
                "row = mul(k, width) : index\n p = add(row, j) : index\n load = load(a, p) : " + type +
                "\n yield load\n}\n" + "store(b, j, fold)\n yield\n}\n";
    } else text += head + "load = load(a, k) : " + type + "\n yield load\n}\n store(b, zero, fold)\n";
    RandomKernel kernel;
    kernel.source.graph = parse_graph(context, text + "yield\n}\n return kernel\n}\n");
    kernel.source.kernel = kernel.source.graph->results()[0];
    kernel.info = analyse_kernel(*kernel.source.graph, kernel.source.kernel);
    if (symbolic) kernel.extents = {count};
    kernel.dtypes = {dtype, dtype};
    kernel.elements = {(rows ? width : 1) * count, width};
    return kernel;
}

TEST_P(LlvmKernels, FoldInTheOrderOfTheContract) {
    WorkspacePool workspaces;
    Context context;
    std::vector<RandomKernel> kernels;
    for (int64_t count : {0, 1, 2, 5, 31, 32, 33, 63, 65, 1023, 1024, 1025, 4096, 5000, 70001}) {
        for (bool rows : {false, true}) {
            if (rows && count > 5000) continue;
            for (const char* op : {"add", "maximum", "mul"})
                for (DType dtype : {DType::f32, DType::f64, DType::i16, DType::boolean}) {
                    if (dtype == DType::boolean && op[1] != 'a') continue;
                    kernels.push_back(fold_kernel(context, op, dtype, rows, count, false));
                    kernels.push_back(fold_kernel(context, op, dtype, rows, count, true));
                }
        }
    }
    kernels.push_back(fold_kernel(context, "add", DType::f32, false, 1100000, true));
    for (int64_t width : {65, 1100})  // columns in blocks, of which the last is not whole
        for (int64_t count : {0, 3, 66, 200})
            for (DType dtype : {DType::f32, DType::f64, DType::boolean}) {
                const char* const op = dtype == DType::boolean ? "maximum" : "add";
                kernels.push_back(fold_kernel(context, op, dtype, true, count, count == 200, width));
            }
    kernels.push_back(fold_kernel(context, "add", DType::f32, true, 4200, false, 65));
    std::vector<KernelSource> sources;
    for (const RandomKernel& kernel : kernels) sources.push_back(kernel.source);
    const auto compiled = backend->compile(sources);
    for (size_t k = 0; k < kernels.size(); ++k) {
        const auto interpreted =
            interpret_kernel(kernels[k].source, kernels[k].info, best_instruction_set(), workspaces);
        for (uint64_t seed : {1, 0}) {  // 0: negative zeros
            KernelMemory expected(kernels[k], seed), found(kernels[k], seed);
            expected.run(kernels[k], *interpreted, seed);
            found.run(kernels[k], *compiled[k], seed);
            ASSERT_EQ(difference(kernels[k], expected, found), "")
                << print(*kernels[k].source.graph) << kernels[k].elements[0];
        }
    }
}

// b[j, i] = a[i, j] for j below `rows` and i below `columns`.
RandomKernel transposing_kernel(Context& context, DType dtype, int64_t rows, int64_t columns, bool symbolic) {
    const std::string type(name_of(dtype)), n = symbolic ? "n" : std::to_string(rows),
                                            m = symbolic ? "m" : std::to_string(columns);
    RandomKernel kernel;
    kernel.source.graph = parse_graph(context, fmt::format(R"(graph (x: {0}[{2}, {1}]) -> {0}[{1}, {2}] {{
kernel = kernel(x, name: "turn") : {0}[{1}, {2}] (a: buffer {0}, b: buffer {0}) {{
    zero = extent(value: 0) : index
    rows = extent(value: {1}) : index
    columns = extent(value: {2}) : index
    for(zero, rows, kind: "parallel", step: 1) (j: index) {{
        row = mul(j, columns) : index
        for(zero, columns, kind: "vector", step: 1) (i: index) {{
            line = mul(i, rows) : index
            from = add(line, j) : index
            load = load(a, from) : {0}
            to = add(row, i) : index
            store(b, to, load)
            yield
        }}
        yield
    }}
    yield
}}
return kernel
}}
)",
                                                           type, n, m));
    kernel.source.kernel = kernel.source.graph->results()[0];
    kernel.info = analyse_kernel(*kernel.source.graph, kernel.source.kernel);
    for (SizeId size : kernel.info.extents)
        kernel.extents.push_back(context.to_string(size, {"m", "n"}) == "n" ? rows : columns);
    kernel.dtypes = {dtype, dtype};
    kernel.elements = {rows * columns, rows * columns};
    return kernel;
}

TEST_P(LlvmKernels, ReadLinesInSquares) {
    WorkspacePool workspaces;
    Context context;
    struct Case {
        int64_t rows, columns;
    };
    std::vector<RandomKernel> kernels;
    std::vector<Case> cases;
    for (const Case& c : std::vector<Case>{
             {1, 50}, {2, 40}, {3, 100}, {4, 33}, {7, 7}, {8, 8}, {16, 16}, {33, 70}, {64, 5}, {50, 1500}})
        for (DType dtype :
             {DType::f64, DType::f32, DType::f16, DType::bf16, DType::i64, DType::i16, DType::u8, DType::boolean})
            for (bool symbolic : {false, true}) {
                kernels.push_back(transposing_kernel(context, dtype, c.rows, c.columns, symbolic));
                cases.push_back(c);
            }
    std::vector<KernelSource> sources;
    for (const RandomKernel& kernel : kernels) sources.push_back(kernel.source);
    const auto compiled = backend->compile(sources);
    for (size_t k = 0; k < kernels.size(); ++k) {
        const auto interpreted = interpret_kernel(kernels[k].source, kernels[k].info, GetParam(), workspaces);
        for (const CompiledKernel* code : {static_cast<const CompiledKernel*>(interpreted.get()),
                                           static_cast<const CompiledKernel*>(compiled[k].get())}) {
            KernelMemory memory(kernels[k], 3);
            memory.run(kernels[k], *code, 3);
            const auto [rows, columns] = cases[k];
            const size_t size = size_of(kernels[k].dtypes[0]);
            for (int64_t j = 0; j < rows; ++j)
                for (int64_t i = 0; i < columns; ++i)
                    ASSERT_EQ(std::memcmp(&memory.buffer(0)[size_t(i * rows + j) * size],
                                          &memory.buffer(1)[size_t(j * columns + i) * size], size),
                              0)
                        << name_of(kernels[k].dtypes[0]) << " " << rows << " x " << columns << " at " << j << ", " << i;
        }
    }
}

TEST_P(LlvmKernels, AreShownBelowTheirLoops) {
    Context context;
    const RandomKernel kernel = fold_kernel(context, "add", DType::f32, false, 5000, false);
    const std::string text = backend->dump({&kernel.source, 1}, "llvm"),
                      assembly = backend->dump({&kernel.source, 1}, "asm");
    EXPECT_NE(text.find("; kernel = kernel(x, name: \"fold\")"), std::string::npos) << text;
    EXPECT_NE(text.find(";     fold = fold(zero, count, op: \"add\", order: \"lanes\")"), std::string::npos) << text;
    EXPECT_NE(text.find("define void @fold.0("), std::string::npos) << text;
    EXPECT_NE(assembly.find("fold.0:"), std::string::npos) << assembly;
    EXPECT_EQ(text.find("reassoc"), std::string::npos);
}

// Of LLVM instructions in a kernel's function.
size_t instructions(const std::string& text) {
    size_t count = 0;
    for (size_t at = text.find("\n  "); at != std::string::npos; at = text.find("\n  ", at + 1)) ++count;
    return count;
}

// What is long in sin, cos, a power of integers and so on is a routine that the kernel calls, however often it is used.
TEST_P(LlvmKernels, CallWhatIsLong) {
    struct Use {
        const char *op, *dtype;
        int operands;
        size_t most;
    };
    for (const Use& use : {Use{"sin", "f32", 1, 120}, Use{"cos", "f64", 1, 120}, Use{"tan", "f32", 1, 120},
                           Use{"fmod", "f64", 2, 90}, Use{"floor_divide", "f32", 2, 120}, Use{"pow", "i64", 2, 30},
                           Use{"pow", "f64", 2, 260}, Use{"erfc", "f64", 1, 260}}) {
        const auto kernel_of = [&](Context& context, int repeats) {
            const std::string type(use.dtype);
            std::string text = "graph (x: " + type + "[4096]) -> " + type + "[4096] {\n" + "kernel = kernel(x, name: \"long\") : " +
                               type + "[4096] (a: buffer " + type + ", b: buffer " + type +
                               ") {\nzero = extent(value: 0) : index\ncount = extent(value: 4096) : index\n" +
                               "for(zero, count, kind: \"vector\", step: 1) (j: index) {\nv0 = load(a, j) : " + type + "\n";
            for (int k = 1; k <= repeats; ++k) {
                const std::string before = "v" + std::to_string(k - 1);
                text += "v" + std::to_string(k) + " = " + use.op + "(" + before + (use.operands == 2 ? ", v0" : "") +
                        ") : " + type + "\n";
            }
            RandomKernel kernel;
            kernel.source.graph = parse_graph(
                context, text + "store(b, j, v" + std::to_string(repeats) + ")\nyield\n}\nyield\n}\nreturn kernel\n}\n");
            kernel.source.kernel = kernel.source.graph->results()[0];
            return kernel;
        };
        Context context;
        const RandomKernel one = kernel_of(context, 1), many = kernel_of(context, 13);
        const size_t few = instructions(backend->dump({&one.source, 1}, "llvm")),
                     all = instructions(backend->dump({&many.source, 1}, "llvm"));
        // Whole vectors and what is left of them are two loops.
        EXPECT_LE((all - few) / 12, 2 * use.most) << use.op << " of " << use.dtype;
    }
}

INSTANTIATE_TEST_SUITE_P(Processors, LlvmKernels, testing::Values(InstructionSet::avx2, InstructionSet::avx512),
                         [](const auto& info) { return info.param == InstructionSet::avx2 ? "avx2" : "avx512"; });

}  // namespace
}  // namespace tenon
