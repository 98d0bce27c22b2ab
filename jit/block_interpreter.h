// Runs any kernel in blocks of elements with the precompiled routines: the oracle of every other engine, and fast
// enough to be the first tier.
#pragma once

#include <memory>

#include "jit/backend.h"
#include "jit/kernel.h"
#include "jit/machine.h"

namespace tenon {

/// Translates a kernel once; cheap (some microseconds).
std::shared_ptr<CompiledKernel> interpret_kernel(const KernelSource& source, const KernelInfo& info,
                                                 InstructionSet instructions, WorkspacePool& workspaces);

}  // namespace tenon
