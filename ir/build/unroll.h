// A scan as the turns that it stands for, one after the other.
#pragma once
#include <span>

#include "ir/build/builder.h"
#include "ir/regions.h"

namespace tenon {

// A graph of operands, of these types, to the values of the scan: each turn takes its slices, and at the end the stacks
// are made. The number of turns is a constant.
GraphRef unroll(const Graph& region, const ScanForm&, std::span<const TypeId> operands);

}  // namespace tenon
