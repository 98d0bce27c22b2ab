#include "jit/contract/micro_kernel.inc"
