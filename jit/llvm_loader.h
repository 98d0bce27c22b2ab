// Opens tenon_llvm.so, the compiler of machine code: only who needs it pays for loading LLVM.
#pragma once

#include <memory>

#include "jit/backend.h"

namespace tenon {

/// A compiler to those instructions. Looks beside the program. Throws Error "internal" where it is missing or does not fit.
std::unique_ptr<Backend> load_llvm_backend(InstructionSet instructions);

/// Is it there? Loads nothing.
bool has_llvm_backend();

}  // namespace tenon
