#include "jit/routines/trigonometric.inc"
