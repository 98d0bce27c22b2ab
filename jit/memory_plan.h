// Where the values of a run lie, at the sizes that it has, and how much memory that is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "ir/graph.h"
#include "jit/step_builder.h"

namespace tenon {

struct MemoryPlan {
    std::vector<size_t> bytes;                       ///< a memory of the steps
    std::vector<std::pair<uint32_t, size_t>> arena;  ///< memory, and its offset in the arena
    size_t arena_bytes = 0;
    Decisions decisions;
};
MemoryPlan plan_memory(const Graph&, const StepPlan&, std::span<const int64_t> symbols);

/// What a run takes at most: inputs and results all the time, and the arena. Intermediate values take the most at one of
/// its steps; these are the ones that are in use there.
struct MemoryPeak {
    size_t inputs = 0, results = 0, arena = 0;  ///< bytes
    size_t around_turns = 0;                    ///< of all regions: what they work in, one after the other
    std::vector<size_t> arenas;  ///< the same by depth, the arena first: the machine keeps what each depth has needed
    struct Value {
        NodeId maker;
        size_t bytes = 0;
    };
    NodeId step;                ///< of the peak; none where there are no steps
    size_t in_use = 0;          ///< of the arena, there
    std::vector<Value> values;  ///< the largest first
    size_t bytes() const { return inputs + results + arena + around_turns; }
};
MemoryPeak find_peak(const StepPlan&, const MemoryPlan&);

}  // namespace tenon
