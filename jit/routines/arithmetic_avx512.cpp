#include "jit/routines/arithmetic.inc"
