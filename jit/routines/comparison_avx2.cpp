#include "ir/scalar/comparison.h"
#include "jit/routines/elementwise.h"

TENON_ROUTINES(comparison)
