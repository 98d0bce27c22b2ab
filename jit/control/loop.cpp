#include "jit/control/loop.h"

#include <cstring>

#include "ir/build/regions.h"
#include "ir/build/take_apart.h"
#include "runtime/interrupt.h"

namespace tenon {

Loop::Loop(const Graph& graph, NodeId node) : form_(graph.attributes(node)) {
    for (unsigned k = 0; k < 2; ++k) regions_.push_back(extract_region(graph, node, k));
}

size_t Loop::scratch_bytes(std::span<const Sizes> sizes) const {
    return Places::bytes(sizes[0].results, 1) + Places::bytes(sizes[1].results, 2);
}

void Loop::run(const Call& call) {
    const std::vector<size_t>& sizes = call.sizes[1].results;
    const std::array<std::byte*, 1> condition{call.scratch};
    places_.set(sizes, 2, call.scratch + Places::bytes(call.sizes[0].results, 1));
    inputs_.assign(call.reads.begin(), call.reads.end());
    outputs_.resize(sizes.size());
    const auto stack_of = [&](size_t result) { return call.writes[form_.first_stack() + result - form_.carried]; };
    int64_t turns = 0;
    for (;; ++turns) {
        check_interrupt();
        call.run(0, inputs_, condition);
        if (!*reinterpret_cast<const bool*>(condition[0])) break;
        if (turns == form_.max_turns) throw_too_many_turns(form_.max_turns);
        for (size_t k = 0; k < outputs_.size(); ++k) {
            outputs_[k] = places_(k, turns);
            if (k >= form_.carried && stack_of(k)) outputs_[k] = stack_of(k) + size_t(turns) * sizes[k];
        }
        call.run(1, inputs_, outputs_);
        std::copy(outputs_.begin(), outputs_.begin() + ptrdiff_t(form_.carried), inputs_.begin());
    }
    for (size_t k = 0; k < form_.carried; ++k)
        if (call.writes[k] && sizes[k] > 0) std::memcpy(call.writes[k], inputs_[k], sizes[k]);
    if (!form_.is_bounded()) return;
    if (std::byte* count = call.writes[form_.carried]) std::memcpy(count, &turns, sizeof turns);
    for (size_t k = form_.carried; k < sizes.size(); ++k)
        if (std::byte* stack = stack_of(k); stack && sizes[k] > 0)
            std::memset(stack + size_t(turns) * sizes[k], 0, size_t(form_.max_turns - turns) * sizes[k]);
}

}  // namespace tenon
