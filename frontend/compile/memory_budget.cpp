#include "frontend/compile/memory_budget.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "runtime/diagnostic.h"

namespace tenon {

namespace {

size_t allowed_bytes(const MemoryBudget& budget, size_t without) {
    if (budget.bytes > 0) return budget.bytes;
    return static_cast<size_t>(std::floor(budget.fraction * static_cast<double>(without)));
}

[[noreturn]] void fail(const MemoryBudget& budget, const BudgetChoice& choice, size_t least) {
    const double fraction = static_cast<double>(least) / static_cast<double>(choice.without.peak);
    const double shown = std::ceil(fraction * 1000) / 1000;  // rounded up: it has to suffice
    Diagnostic d;
    d.kind = "memory";
    d.message = fmt::format(
        "a memory budget of {} bytes is less than any plan of this graph takes: {} bytes without it, "
        "{} bytes at least",
        choice.allowed, choice.without.peak, least);
    d.help = budget.bytes > 0 ? fmt::format("write `memory: {}` or more", least)
                              : fmt::format("write `memory: {}` or more", shown);
    throw Error(std::move(d));
}

}  // namespace

BudgetChoice choose_within(const MemoryBudget& budget, size_t levels,
                           const std::function<BudgetCandidate(size_t level)>& plan) {
    BudgetChoice choice;
    choice.levels = levels;
    choice.without = choice.chosen = plan(0);
    choice.allowed = allowed_bytes(budget, choice.without.peak);
    size_t least = choice.without.peak;
    for (size_t level = 1; choice.chosen.peak > choice.allowed; ++level) {
        if (level > levels) fail(budget, choice, least);
        choice.chosen = plan(level);
        least = std::min(least, choice.chosen.peak);
    }
    return choice;
}

}  // namespace tenon
