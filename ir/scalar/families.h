// The families of scalar functions, a header and a list of functions each.
#pragma once

#define TENON_FAMILIES(X) \
    X(arithmetic)         \
    X(division)           \
    X(comparison)         \
    X(exponential)        \
    X(logarithm)          \
    X(trigonometric)      \
    X(hyperbolic)         \
    X(error_function)     \
    X(philox)
