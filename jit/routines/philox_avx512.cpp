#include "ir/scalar/philox.h"
#include "jit/routines/drawn.h"

TENON_ROUTINES(philox)
