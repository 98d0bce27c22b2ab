#include "ir/scalar/logarithm.h"
#include "jit/routines/elementwise.h"

TENON_ROUTINES(logarithm)
