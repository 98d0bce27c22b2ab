// batch: the graph of one example becomes that of a whole batch. Needs nothing (it inlines calls itself); afterwards
// parameters and results have the batch's dimension where the request says.
#pragma once
#include "ir/differentiate/batching.h"

namespace tenon {

GraphRef batch(const Graph&, const BatchRequest&);

}  // namespace tenon
