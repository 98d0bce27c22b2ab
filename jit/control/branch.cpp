#include "jit/control/branch.h"

#include "ir/build/regions.h"

namespace tenon {

Branch::Branch(const Graph& graph, NodeId node) {
    for (unsigned k = 0; k < 2; ++k) regions_.push_back(extract_region(graph, node, k));
}

size_t Branch::scratch_bytes(std::span<const Sizes> sizes) const { return Places::bytes(sizes[0].results, 1); }

void Branch::run(const Call& call) {
    const size_t side = *reinterpret_cast<const bool*>(call.reads[0]) ? 0 : 1;
    places_.set(call.sizes[side].results, 1, call.scratch);
    outputs_.assign(call.writes.begin(), call.writes.end());
    for (size_t k = 0; k < outputs_.size(); ++k)
        if (!outputs_[k]) outputs_[k] = places_(k, 0);
    call.run(side, call.reads.subspan(1), outputs_);
}

}  // namespace tenon
