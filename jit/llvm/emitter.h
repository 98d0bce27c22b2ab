// Kernels (ir/loops.h) as LLVM IR: each stage one function. It translates and never decides, but for the number of
// lanes: a `vector` loop runs in vectors that fill a register, with a masked or scalar rest; a `lanes` fold in vectors
// of 32 or fewer accumulators; a `rows` fold keeps an accumulator a lane. Bits do not depend on it.
#pragma once
#include <span>
#include <string>

#include <llvm/IR/Module.h>

#include "jit/backend.h"
#include "jit/kernel.h"
#include "jit/llvm/vector_facts.h"

namespace tenon::llvm_engine {

/// Adds some stages of the kernel to the module, by number, each as a function of type StageFunction named
/// `name`.number. Throws Error "internal" for what loops.h does not allow.
void emit_stages(llvm::Module& module, const KernelSource& source, const KernelInfo& info,
                 std::span<const uint32_t> stages, const std::string& name, const VectorFacts& facts);

}  // namespace tenon::llvm_engine
