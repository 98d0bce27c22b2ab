// Numbers of any dtype, as emitters write them down.
#pragma once

#include <cstdint>
#include <string_view>

#include "ir/graph.h"

namespace tenon {

struct Literal {
    double real = 0;
    int64_t integer = 0;  ///< counts where the dtype is not a float
};

/// The value of a `constant` node.
Literal literal_of(const Graph&, NodeId constant);

Scalar scalar_of(const Graph&, NodeId constant);  ///< the same, as it is written

/// Its bits as one element of its dtype, the others 0.
uint64_t element_bits(const Graph&, NodeId constant);

/// What a fold begins with: −0 for a sum of floats, so that a sum of −0 stays −0. Throws Error "internal" for an op that
/// does not fold.
Literal fold_identity(std::string_view op, DType);
/// Whether a fold that begins so gives +0 where there is nothing to fold: it begins with −0.
bool begins_below_zero(const Literal& start, DType);

}  // namespace tenon
