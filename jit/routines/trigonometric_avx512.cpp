#include "ir/scalar/trigonometric.h"
#include "jit/routines/elementwise.h"

TENON_ROUTINES(trigonometric)
