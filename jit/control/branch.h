// cond: one run of one of its regions.
#pragma once

#include "jit/control/control.h"
#include "jit/control/places.h"

namespace tenon {

class Branch final : public Control {
public:
    Branch(const Graph& graph, NodeId node);
    size_t scratch_bytes(std::span<const Sizes>) const override;
    void run(const Call&) override;

private:
    Places places_;  // of the run at hand, as the next
    std::vector<std::byte*> outputs_;
};

}  // namespace tenon
