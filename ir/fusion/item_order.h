// In which order kernels, library calls and effects run.
#pragma once
#include <vector>

#include "ir/graph.h"

namespace tenon {

struct OrderedItem {
    NodeId first;                             // of its nodes
    std::vector<uint32_t> needs;              // items, by their place in the list
    std::vector<NodeId> nodes, reads, makes;  // what it computes; values in memory
};

/// Places in the list. Each item stands after what it needs, and one that writes an input's new value after all that read
/// the old one and after what may fail. Of the items that could come next it is one that leaves less memory in use than
/// there was: an optimiser's update as soon as its gradient is there; or one that makes next to nothing, for which others may wait. Else it is the one whose first node comes first.
std::vector<uint32_t> order_items(const Graph&, std::vector<OrderedItem>);

}  // namespace tenon
