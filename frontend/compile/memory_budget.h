// How much memory a graph may take, and what it computes again for that: compile(f, memory: …).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "frontend/compile/settings.h"

namespace tenon {

/// A plan of the graph at one of its levels (ir/passes/budget.h).
struct BudgetCandidate {
    size_t level = 0;
    size_t peak = 0;         ///< bytes that a call takes at most
    int64_t work_again = 0;  ///< arithmetic that is done a second time for it
};

/// What was chosen, for `explain`.
struct BudgetChoice {
    size_t allowed = 0;  ///< bytes
    size_t levels = 0;   ///< that there are, beside none
    BudgetCandidate without, chosen;
    size_t values = 0;  ///< that are computed again for it
};

/// The first level whose plan fits. Levels come in the order of what they cost, so a larger budget never costs more, and a
/// smaller one never takes more: whatever precedes the level that it gets has not fitted into the larger one. Throws Error
/// "memory" with the least budget that there is a plan for.
BudgetChoice choose_within(const MemoryBudget& budget, size_t levels,
                           const std::function<BudgetCandidate(size_t level)>& plan);

}  // namespace tenon
