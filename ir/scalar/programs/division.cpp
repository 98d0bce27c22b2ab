#include "ir/scalar/division.h"
#include "ir/scalar/recorded.h"

namespace tenon::scalar {

TENON_PROGRAMS(division)

}  // namespace tenon::scalar
