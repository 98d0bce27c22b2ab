// The seam between kernels and the engines that compile them: block interpreter, LLVM, CUDA.
//
// A kernel (ir/loops.h) is a list of stages, in the order of its body: a top-level `for` is a stage (its iterations may
// be split over calls where it is parallel), scalar code between two of them is a stage that runs once. See kernel.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "runtime/cpu.h"

namespace tenon {

/// Operand and result of a kernel that share memory; every other buffer that is written overlaps no other one. The
/// kernel reads the operand only at the position it writes, and before it writes it.
struct InPlace {
    uint32_t operand = 0, result = 0;  ///< each counted from 0
    friend bool operator==(const InPlace&, const InPlace&) = default;
};

/// A kernel to compile. Sizes of `graph` outside the kernel's region do not count.
struct KernelSource {
    GraphRef graph;
    NodeId kernel;
    std::vector<InPlace> in_place;
};

/// What a kernel runs on. Each stage gets the same.
struct KernelCall {
    void* const*
        buffers;  ///< one a region parameter: operands, then results; then KernelInfo::scratch, where there is any
    const int64_t* extents;  ///< values of KernelInfo::extents
    uint64_t* scalars;       ///< KernelInfo::scalars, 8 bytes each: written by stages that run once, read by all
    uint32_t* faults;        ///< bits of FaultBit (jit/routines/routines.h), set by an atomic or
};

class CompiledKernel {
public:
    virtual ~CompiledKernel() = default;
    /// Iterations begin … end − 1 of a loop stage (0 … 1 of a stage that runs once). Thread-safe.
    virtual void run(size_t stage, const KernelCall& call, int64_t begin, int64_t end) const = 0;
    /// Whether `run` itself looks for interrupts (runtime/interrupt.h) while it works, and throws them.
    virtual bool sees_interrupts() const { return false; }
};

/// The signature a compiler of machine code gives its stages.
using StageFunction = void (*)(void* const* buffers, const int64_t* extents, uint64_t* scalars, int64_t begin,
                               int64_t end, uint32_t* faults);

class Backend {
public:
    virtual ~Backend() = default;
    /// One compiled kernel a source, in order. Thread-safe.
    virtual std::vector<std::shared_ptr<CompiledKernel>> compile(std::span<const KernelSource> kernels) = 0;
    /// The text of a stage of compilation, for people: "llvm" or "asm", each kernel below its loops. `locate` says
    /// where in a script a node comes from ("3:40").
    virtual std::string dump(std::span<const KernelSource> kernels, std::string_view form,
                             const std::function<std::string(Span)>& locate = {}) = 0;
};

/// What tenon_llvm.so exports, under the name `tenon_create_backend`. The caller owns the result.
using CreateBackend = Backend* (*)(InstructionSet);

}  // namespace tenon
