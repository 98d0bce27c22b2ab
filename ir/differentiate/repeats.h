// Nodes with regions that a derivative has emitted once more, with what it reads of them behind their results.
#pragma once
#include <vector>

#include "ir/build/builder.h"

namespace tenon {

// To what differentiates next such a node and those that repeat it are one: what the first derivative reads adds to the
// cotangents of the values of the one that is repeated, where that stands, and its gradient is that of the widest.
struct Repeated {
    NodeId first, widest;
    std::vector<NodeId> others;  // the repeats
};
std::vector<Repeated> find_repeats(Builder&);

}  // namespace tenon
