#include "ir/scalar/hyperbolic.h"
#include "jit/routines/elementwise.h"

TENON_ROUTINES(hyperbolic)
