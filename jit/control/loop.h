// while_loop: how it goes from turn to turn.
#pragma once

#include "ir/regions.h"
#include "jit/control/control.h"
#include "jit/control/places.h"

namespace tenon {

class Loop final : public Control {
public:
    Loop(const Graph& graph, NodeId node);
    size_t scratch_bytes(std::span<const Sizes>) const override;
    /// Throws Error "value" where there are more turns than `max_turns`.
    void run(const Call&) override;
    size_t first_captured() const override { return form_.carried; }
    int64_t runs(Evaluate) const override { return 16; }

private:
    const LoopForm form_;
    Places places_;  // of the run at hand, as the next
    std::vector<std::byte*> inputs_, outputs_;
};

}  // namespace tenon
