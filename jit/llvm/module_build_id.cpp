// The number of the build that this module is of; see jit/build_id.h.
#include "build_number.h"

extern "C" {
extern const char tenon_llvm_build_id[];
const char tenon_llvm_build_id[] = TENON_BUILD_ID;
}
