#include "jit/routines/casts.inc"
