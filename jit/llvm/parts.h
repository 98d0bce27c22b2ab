// What values of a region are made of there, as code that is emitted twice needs them.
#pragma once
#include <vector>

#include "ir/graph.h"

namespace tenon::llvm_engine {

/// What these values are made of in the region, in order; of what a fold is made of there only if it is a root.
std::vector<NodeId> parts(const Graph&, const Region&, std::vector<NodeId> roots);
/// Is a position made of nothing but arithmetic on positions there?
bool is_arithmetic(const Graph&, const Region&, NodeId position);

/// What a fold's body and bounds are made of in the region around it, in order.
std::vector<NodeId> needed_by_fold(const Graph&, const Region&, NodeId fold);
int repeated_cost(const Graph&, const Region&, NodeId fold);  ///< of these, in additions

}  // namespace tenon::llvm_engine
