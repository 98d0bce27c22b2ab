// Emitted CUDA C++ is what NVRTC compiles for sm_90. No GPU is needed for that, only the toolkit.
#include <gtest/gtest.h>

#include "ir/scalar/program.h"
#include "ir/text/text.h"
#include "jit/cuda/emitter.h"
#include "jit/cuda/nvrtc.h"
#include "jit/cuda/scalar.h"
#include "tests/jit/random_kernels.h"

namespace tenon {
namespace {

const char* elementwise = R"(graph (x: f32[n], y: f32[n]) -> f32[n] {
    kernel = kernel(x, y, name: "swish")  : f32[n] (a: buffer f32, b: buffer f32, c: buffer f32) {
        zero = extent(value: 0)  : index
        count = extent(value: n)  : index
        for(zero, count, kind: "parallel", step: 1024) (i: index) {
            next = add(i, 1024:i64)  : index
            end = minimum(next, count)  : index
            for(i, end, kind: "vector", step: 1) (j: index) {
                load = load(a, j)  : f32
                load_1 = load(b, j)  : f32
                sigmoid = sigmoid(load)  : f32
                mul = mul(load_1, sigmoid)  : f32
                store(c, j, mul)
                yield
            }
            yield
        }
        yield
    }
    return kernel
}
)";

CudaSource emitted(Context& context, const char* text) {
    const GraphRef graph = parse_graph(context, text);
    const NodeId kernel = graph->results()[0];
    return emit_cuda({graph, kernel, {}}, analyse_kernel(*graph, kernel), "swish");
}

TEST(CudaKernels, AreReadableText) {
    Context context;
    const CudaSource source = emitted(context, elementwise);
    ASSERT_EQ(source.stages.size(), 1u);
    EXPECT_EQ(source.stages[0].name, "swish_0");
    EXPECT_EQ(source.stages[0].grid, CudaStage::iterations);
    const size_t kernel = source.text.find("extern \"C\"");
    ASSERT_NE(kernel, std::string::npos);
    EXPECT_EQ(
        source.text.substr(kernel),
        R"(extern "C" __global__ void __launch_bounds__(256) swish_0(const f32* __restrict__ b0, const f32* __restrict__ b1, f32* __restrict__ b2, i64 n0, u64* scalars, i64 begin, i64 end, u32* faults) {
    for (i64 turn = begin + blockIdx.x; turn < end; turn += gridDim.x) {
        const i64 i_ = i64(0) + turn * 1024;
        const i64 next_ = (i_ + i64(1024ll));
        const i64 end_ = smaller(next_, n0);
        for (i64 j_ = i_ + threadIdx.x; j_ < end_; j_ += blockDim.x) {
            const f32 load_ = b0[j_];
            const f32 load_1_ = b1[j_];
            const f32 sigmoid_ = sigmoid_f32(load_);
            const f32 mul_ = mul_f32(load_1_, sigmoid_);
            b2[j_] = mul_;
        }
        __syncthreads();    // what follows may read what was written
        __syncthreads();
    }
}
)");
}

class CudaCompilation : public testing::Test {
protected:
    void SetUp() override {
        std::string reason;
        nvrtc = Nvrtc::open(reason);
        if (!nvrtc) GTEST_SKIP() << reason;
    }
    void expect_compiles(const CudaSource& source, const std::string& what) {
        std::string code;
        try {
            code = nvrtc->compile(source.text, "kernel", "sm_90");
        } catch (const std::exception& error) { FAIL() << what << "\n" << error.what() << source.text; }
        EXPECT_EQ(code.substr(1, 3), "ELF") << what;
        for (const CudaStage& stage : source.stages) EXPECT_NE(code.find(stage.name), std::string::npos) << what;
    }
    std::unique_ptr<Nvrtc> nvrtc;
};

TEST_F(CudaCompilation, OfAnElementwiseKernel) {
    Context context;
    expect_compiles(emitted(context, elementwise), nvrtc->version());
}

TEST_F(CudaCompilation, OfRandomKernels) {
    for (uint64_t seed = 1; seed <= 24; ++seed) {
        Context context;
        const RandomKernel kernel = random_kernel(context, seed);
        expect_compiles(emit_cuda(kernel.source, kernel.info, "random"), "seed " + std::to_string(seed));
        if (HasFailure()) return;
    }
}

TEST_F(CudaCompilation, OfEveryScalarFunction) {
    using namespace cuda_engine;
    CudaSource all{"#include \"kernels.cuh\"\nnamespace tenon {\n", {}};
    for (bool helpers : {true, false})  // they stand before who calls them
        for (const scalar::Function* function : scalar::all_functions())
            for (int d = 0; d < dtype_count; ++d)
                if (function->is_helper == helpers)
                    all.text += scalar_function(function->name, DType(d)) + fault_function(function->name, DType(d));
    for (int from = 0; from < dtype_count; ++from)
        for (int to = 0; to < dtype_count; ++to) all.text += cast_function(DType(from), DType(to));
    all.text += "}\n";
    expect_compiles(all, "all of them");
}

}  // namespace
}  // namespace tenon
