#include "jit/routines/division.inc"
