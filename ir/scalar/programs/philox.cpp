#include "ir/scalar/philox.h"
#include "ir/scalar/recorded.h"

namespace tenon::scalar {

TENON_PROGRAMS(philox)

}  // namespace tenon::scalar
