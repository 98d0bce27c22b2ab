#include "ir/scalar/logarithm.h"
#include "ir/scalar/recorded.h"

namespace tenon::scalar {

TENON_PROGRAMS(logarithm)

}  // namespace tenon::scalar
