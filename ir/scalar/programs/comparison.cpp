#include "ir/scalar/comparison.h"
#include "ir/scalar/recorded.h"

namespace tenon::scalar {

TENON_PROGRAMS(comparison)

}  // namespace tenon::scalar
