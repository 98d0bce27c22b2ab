#include "ir/scalar/exponential.h"
#include "ir/scalar/recorded.h"

namespace tenon::scalar {

TENON_PROGRAMS(exponential)

}  // namespace tenon::scalar
