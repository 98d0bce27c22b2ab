// What tenon_llvm.so exports. The caller owns the result. Throws Error "value" on a processor below x86-64-v3.
#pragma once
#include "jit/backend.h"

extern "C" {
tenon::Backend* tenon_create_backend(tenon::InstructionSet instructions);
}
