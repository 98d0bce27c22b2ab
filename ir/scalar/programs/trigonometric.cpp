#include "ir/scalar/trigonometric.h"
#include "ir/scalar/recorded.h"

namespace tenon::scalar {

TENON_PROGRAMS(trigonometric)

}  // namespace tenon::scalar
