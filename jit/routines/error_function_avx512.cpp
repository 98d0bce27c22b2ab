#include "ir/scalar/error_function.h"
#include "jit/routines/elementwise.h"

TENON_ROUTINES(error_function)
