#include "ir/scalar/arithmetic.h"
#include "jit/routines/elementwise.h"

TENON_ROUTINES(arithmetic)
