// From a kernel's region (ir/loops.h) to the block interpreter's programs.
#pragma once

#include "jit/backend.h"
#include "jit/blocks/block_program.h"
#include "jit/kernel.h"

namespace tenon {

/// One program a stage, which point into `plans`.
std::vector<BlockProgram> translate_kernel(const KernelSource& source, const KernelInfo& info,
                                           InstructionSet instructions, ProgramPlans& plans);

}  // namespace tenon
