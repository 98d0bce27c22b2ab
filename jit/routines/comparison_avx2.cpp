#include "jit/routines/comparison.inc"
