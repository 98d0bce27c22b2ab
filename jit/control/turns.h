// scan: how it goes from turn to turn.
#pragma once

#include "ir/regions.h"
#include "jit/control/control.h"
#include "jit/control/places.h"

namespace tenon {

/// A value that a turn both leaves and stacks is written once, into the stack. One that a turn adds to in its own memory stays
/// where it is.
class Turns final : public Control {
public:
    Turns(const Graph& graph, NodeId node);
    size_t first_captured() const override { return form_.carried + form_.sliced; }
    int64_t runs(Evaluate evaluate) const override { return evaluate(form_.turns); }
    size_t scratch_bytes(std::span<const Sizes>) const override;
    void run(const Call&) override;

private:
    bool may_stay(size_t carry) const;

    static constexpr size_t none = SIZE_MAX;
    const ScanForm form_;
    size_t stacks_;
    std::vector<size_t> stack_of_;         // by carry: the stack that gets its value
    std::vector<size_t> result_of_carry_;  // in the region; none where the stack has it
    std::vector<bool> stays_;              // by carry: what it becomes may be written where it lies
    Places places_;                        // of the run at hand, as the next
    std::vector<std::byte*> inputs_, outputs_, carried_;
    std::vector<size_t> first_;  // places of slices
};

}  // namespace tenon
