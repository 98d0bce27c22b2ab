// What a value's history leads to. A functional derivative makes leaves of its own, which the script never sees: what
// depends on these alone, of this derivative or of others, is a constant to the script, what depends on more has a history.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <unordered_set>
#include <utility>

#include "frontend/history/tape_entry.h"

namespace tenon {

/// Looks for leaves that are not among `own`, and not of a derivative that is over.
class HistoryBeside {
public:
    explicit HistoryBeside(std::span<const TensorRef> own) {
        for (const TensorRef& leaf : own) own_.insert(leaf->autograd.get());
    }
    /// Whether this is such a leaf.
    bool is_beside(const Autograd& leaf) const { return !leaf.is_over && !own_.contains(&leaf); }
    /// Whether one lies behind this edge of the tape.
    bool leads(const Edge& edge);

private:
    using Result = std::pair<const TapeEntry*, uint32_t>;
    std::unordered_set<const Autograd*> own_;
    std::set<Result> without_;  // where the search has ended without one
};

}  // namespace tenon
