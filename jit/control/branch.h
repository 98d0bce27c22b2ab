// cond: one run of one of its regions.
#pragma once

#include "jit/control/control.h"

namespace tenon {

class Branch final : public Control {
public:
    Branch(const Graph& graph, NodeId node);
    size_t scratch_bytes(std::span<const Sizes>) const override;
    void run(const Call&) override;
};

}  // namespace tenon
