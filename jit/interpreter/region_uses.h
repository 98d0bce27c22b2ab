// Who uses what in one region of a kernel, and how long: what the translator knows before it writes the first
// instruction of the region.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>

#include "ir/graph.h"

namespace tenon {

/// A cast to its own dtype is what it casts.
NodeId canonical(const Graph&, NodeId);

using BufferNumbers = std::unordered_map<uint32_t, int32_t>;  // by parameter of the kernel's region, or scratch

struct RegionUses {
    struct Uses {
        uint32_t count = 0, last = 0;  // last: a position among the region's nodes
        NodeId store;                  // a use as the value of a store in the same region, the last such
    };
    std::unordered_map<uint32_t, Uses> values;                             // by node
    std::unordered_map<int32_t, uint32_t> first_store, last_load, stores;  // by buffer; stores: how many
    bool is_stored(int32_t buffer) const { return stores.contains(buffer); }
};

/// `nodes`: those of the region to look at, in order. Uses inside inner regions count at the node that owns them.
RegionUses find_uses(const Graph&, const Region&, std::span<const NodeId> nodes, const BufferNumbers&);

}  // namespace tenon
