#include "jit/routines/folds.inc"
