// How an index moves with a loop variable, read off a kernel's loops.
#pragma once

#include "ir/graph.h"

namespace tenon {

/// What is added to an index when the variable grows by one.
struct Slope {
    enum class Kind : uint8_t {
        none,      // the variable is not in it
        constant,  // `value`
        fixed,     // the same wherever the variable stands, but not known here
        unknown,   // the index is not affine in the variable, or made of what is no index
    } kind = Kind::none;
    int64_t value = 0;

    bool is(int64_t v) const { return kind == Kind::constant && value == v; }
    bool is_affine() const { return kind != Kind::unknown; }
};

/// `variable`: the parameter of a loop's region.
Slope slope_of(const Graph&, NodeId index, NodeId variable);

}  // namespace tenon
