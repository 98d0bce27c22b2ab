#include "ir/scalar/error_function.h"
#include "ir/scalar/recorded.h"

namespace tenon::scalar {

TENON_PROGRAMS(error_function)

}  // namespace tenon::scalar
