#include "ir/scalar/hyperbolic.h"
#include "ir/scalar/recorded.h"

namespace tenon::scalar {

TENON_PROGRAMS(hyperbolic)

}  // namespace tenon::scalar
