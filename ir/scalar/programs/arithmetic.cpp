#include "ir/scalar/arithmetic.h"
#include "ir/scalar/recorded.h"

namespace tenon::scalar {

TENON_PROGRAMS(arithmetic)

}  // namespace tenon::scalar
