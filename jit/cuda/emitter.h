// Kernels (ir/loops.h) as CUDA C++: each stage one __global__ function, each scalar op a device function.
//
// How loops meet the machine: iterations of a parallel stage go to blocks, those of a vector loop to threads, so a fold
// over rows is a thread's and a fold over lanes a warp's. A stage with a fold over lanes has blocks of one warp.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "jit/backend.h"
#include "jit/kernel.h"

namespace tenon {

/// How a stage is launched: `name`(buffers…, extents…, scalars, begin, end, faults), the pointers of device memory.
struct CudaStage {
    std::string name;
    int threads = 256;  // a block
    enum Grid : uint8_t {
        one,
        iterations,
        elements
    } grid = one;  // blocks: one, one an iteration, one for `threads` iterations
};

struct CudaSource {
    std::string text;  // includes "kernels.cuh"
    std::vector<CudaStage> stages;
};

/// Throws Error "internal" for what loops.h does not allow.
CudaSource emit_cuda(const KernelSource& source, const KernelInfo& info, const std::string& name);

/// The kernels as text, for people: each below its loops. `locate` says where in a script a node comes from ("3:40").
std::string dump_cuda(std::span<const KernelSource> kernels, const std::function<std::string(Span)>& locate = {});
/// The same as PTX for every GPU from compute capability 8.0 on. Throws Error "internal" where there is no NVRTC.
std::string dump_ptx(std::span<const KernelSource> kernels, const std::function<std::string(Span)>& locate = {});

}  // namespace tenon
