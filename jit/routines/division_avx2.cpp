#include "ir/scalar/division.h"
#include "jit/routines/elementwise.h"

TENON_ROUTINES(division)
