#include "jit/routines/exponential.inc"
