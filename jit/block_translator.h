// From a kernel's region (ir/loops.h) to the block interpreter's programs.
#pragma once

#include <deque>

#include "jit/backend.h"
#include "jit/blocks/block_program.h"
#include "jit/kernel.h"

namespace tenon {

/// One program a stage. Fold plans live in `plans`.
std::vector<BlockProgram> translate_kernel(const KernelSource& source, const KernelInfo& info,
                                           InstructionSet instructions, std::deque<FoldPlan>& plans);

}  // namespace tenon
