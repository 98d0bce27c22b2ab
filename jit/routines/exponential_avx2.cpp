#include "ir/scalar/exponential.h"
#include "jit/routines/elementwise.h"

TENON_ROUTINES(exponential)
