// Every scalar function: the families, one a header. What a function is stands in ir/scalar/function.h.
#pragma once
#include "ir/scalar/arithmetic.h"
#include "ir/scalar/comparison.h"
#include "ir/scalar/division.h"
#include "ir/scalar/error_function.h"
#include "ir/scalar/exponential.h"
#include "ir/scalar/families.h"
#include "ir/scalar/hyperbolic.h"
#include "ir/scalar/logarithm.h"
#include "ir/scalar/philox.h"
#include "ir/scalar/trigonometric.h"

namespace tenon::scalar {

template <class Visit, class... F>
constexpr void for_each_of(Functions<F...>, Visit&& visit) {
    (visit.template operator()<F>(), ...);
}

// Calls visit.template operator()<F>() for every function F.
template <class Visit>
constexpr void for_each_function(Visit&& visit) {
#define TENON_FAMILY(family) for_each_of(family, visit);
    TENON_FAMILIES(TENON_FAMILY)
#undef TENON_FAMILY
}

}  // namespace tenon::scalar
