// Kernels drawn at random from everything ir/loops.h allows, with memory to run them on: engines are compared on them.
#pragma once

#include <memory>
#include <random>
#include <span>
#include <vector>

#include "ir/build/builder.h"
#include "jit/backend.h"
#include "jit/kernel.h"

namespace tenon {

struct RandomKernel {
    KernelSource source;
    KernelInfo info;
    std::vector<int64_t> extents;   // values of info.extents
    std::vector<DType> dtypes;      // of the buffers: operands, then results
    std::vector<int64_t> elements;  // of the buffers
};

RandomKernel random_kernel(Context& context, uint64_t seed);

/// The buffers of one run; one operand in three holds hostile values: NaN, infinities, both zeros, denormals, extremes.
/// Seed 0: floats are negative zeros.
class KernelMemory {
public:
    KernelMemory(const RandomKernel& kernel, uint64_t seed);
    /// Runs every stage, parallel ones in pieces. Returns the faults reported.
    uint32_t run(const RandomKernel& kernel, const CompiledKernel& code, uint64_t seed);
    std::span<const std::byte> buffer(size_t k) const { return buffers_[place_[k]]; }

private:
    std::vector<std::vector<std::byte>> buffers_;
    std::vector<size_t> place_;  // of a buffer's memory in buffers_: results in place have none of their own
    std::vector<uint64_t> scalars_;
};

/// Equal bits, NaNs counting as one value. The first difference, or an empty text.
std::string difference(const RandomKernel& kernel, const KernelMemory& expected, const KernelMemory& found);

}  // namespace tenon
