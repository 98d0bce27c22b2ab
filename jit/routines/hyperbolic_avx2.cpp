#include "jit/routines/hyperbolic.inc"
