#include "jit/memory_plan.h"

#include <algorithm>

#include <fmt/format.h>

#include "jit/plan.h"
#include "jit/value_sizes.h"

namespace tenon {

MemoryPlan plan_memory(const Graph& graph, const StepPlan& steps, std::span<const int64_t> symbols) {
    MemoryPlan plan;
    std::vector<Lifetime> lifetimes;
    std::vector<uint32_t> memories;
    for (uint32_t m = 0; m < steps.memories.size(); ++m) {
        const StepMemory& memory = steps.memories[m];
        plan.bytes.push_back(bytes_of(graph, memory.type, symbols));
        if (memory.kind != MemoryKind::arena) continue;
        lifetimes.push_back({plan.bytes[m], memory.first, memory.last});
        memories.push_back(m);
    }
    const ArenaPlan arena = plan_arena(lifetimes);
    plan.arena_bytes = arena.bytes;
    for (size_t k = 0; k < memories.size(); ++k) {
        plan.arena.emplace_back(memories[k], arena.offsets[k]);
        if (arena.reuses[k] < 0) continue;
        const StepMemory &mine = steps.memories[memories[k]],
                         &theirs = steps.memories[memories[size_t(arena.reuses[k])]];
        plan.decisions.push_back(
            {DecisionKind::reused, std::string(graph.name_of(mine.maker)),
             fmt::format("takes the memory of {}, which is not read any more", graph.name_of(theirs.maker)),
             graph.origins[mine.maker.index]});
    }
    return plan;
}

MemoryPeak find_peak(const StepPlan& steps, const MemoryPlan& plan) {
    MemoryPeak peak;
    peak.arena = plan.arena_bytes;
    peak.arenas = {plan.arena_bytes};
    for (uint32_t m = 0; m < steps.memories.size(); ++m) {
        if (steps.memories[m].kind == MemoryKind::input) peak.inputs += plan.bytes[m];
        if (steps.memories[m].kind == MemoryKind::output) peak.results += plan.bytes[m];
    }
    if (steps.steps.empty()) return peak;
    std::vector<int64_t> change(steps.steps.size() + 1);  // from the step before
    for (const auto& [m, offset] : plan.arena) {
        change[steps.memories[m].first] += int64_t(plan.bytes[m]);
        change[steps.memories[m].last + 1] -= int64_t(plan.bytes[m]);
    }
    int64_t in_use = 0;
    size_t at = 0;
    for (size_t s = 0; s < steps.steps.size(); ++s) {
        in_use += change[s];
        if (size_t(in_use) <= peak.in_use) continue;
        peak.in_use = size_t(in_use);
        at = s;
    }
    peak.step = steps.steps[at].node;
    for (const auto& [m, offset] : plan.arena)
        if (steps.memories[m].first <= at && at <= steps.memories[m].last)
            peak.values.push_back({steps.memories[m].maker, plan.bytes[m]});
    std::stable_sort(peak.values.begin(), peak.values.end(),
                     [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
    return peak;
}

}  // namespace tenon
