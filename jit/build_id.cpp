#include "jit/build_id.h"

#include "build_number.h"

namespace tenon {

std::string_view build_id() { return TENON_BUILD_ID; }

}  // namespace tenon
