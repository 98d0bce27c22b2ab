// What tenon_llvm.so exports. The caller owns the result. Throws Error "internal" on a processor below x86-64-v3.
#pragma once
#include "jit/backend.h"

extern "C" {
tenon::Backend* tenon_create_backend();
/// As on a lesser processor: "x86-64-v3" uses AVX2 where there would be AVX-512.
tenon::Backend* tenon_create_backend_for(const char* processor);
}
