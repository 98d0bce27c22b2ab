// Machine code gives the bits of the block interpreter, whatever the kernel and the vectors.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "ir/text.h"
#include "jit/block_interpreter.h"
#include "jit/llvm_loader.h"
#include "runtime/cpu.h"
#include "tests/jit/random_kernels.h"

namespace tenon {
namespace {

std::unique_ptr<Backend> backend_for(const char* processor) {
    load_llvm_backend();    // throws where there is none
    const auto path = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "tenon_llvm.so";
    void* const module = dlopen(path.c_str(), RTLD_NOW);
    const auto create = module ? reinterpret_cast<Backend* (*)(const char*)>(dlsym(module, "tenon_create_backend_for")) : nullptr;
    return std::unique_ptr<Backend>(create ? create(processor) : nullptr);
}

class LlvmKernels : public testing::TestWithParam<const char*> {
protected:
    void SetUp() override {
        if (!has_llvm_backend()) GTEST_SKIP() << "this build is without LLVM";
        if (cpu_info().cpu_class() < std::string_view(GetParam())) GTEST_SKIP() << "the processor is below " << GetParam();
        backend = backend_for(GetParam());
        ASSERT_TRUE(backend);
    }
    std::unique_ptr<Backend> backend;
};

TEST_P(LlvmKernels, GiveTheBitsOfTheInterpreter) {
    set_float_environment();
    WorkspacePool workspaces;
    const char* only = std::getenv("TENON_TEST_SEED");
    const uint64_t first = only ? std::strtoull(only, nullptr, 10) : 1, count = only ? 1 : 240, batch = 12;
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
            const auto interpreted = interpret_kernel(kernel.source, kernel.info, workspaces);
            const uint32_t faults = expected.run(kernel, *interpreted, seed);
            EXPECT_EQ(found.run(kernel, *compiled[k], seed + 1), faults) << "seed " << seed;
            const std::string unequal = difference(kernel, expected, found);
            EXPECT_EQ(unequal, "") << "seed " << seed << "\n" << print(*kernel.source.graph);
            if (HasFailure()) return;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Processors, LlvmKernels, testing::Values("x86-64-v3", "x86-64-v4"),
                         [](const auto& info) { return std::string(info.param).substr(7); });

}    // namespace
}    // namespace tenon
