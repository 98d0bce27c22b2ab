// From a scheduled graph to steps over memories: which values share memory, what is written in place, what is copied.
#pragma once

#include <cstdint>
#include <vector>

#include "ir/graph.h"
#include "ir/passes/passes.h"
#include "jit/backend.h"
#include "jit/library/library.h"
#include "runtime/allocator.h"
#include "runtime/tensor.h"

namespace tenon {

enum class StepKind : uint8_t {
    kernel,
    library,
    regions,    ///< the regions of a node, each in steps of its own
    copy,       ///< one read to one write
    assertion,  ///< of one bool read
    commit,     ///< of one value read into the tensor given as input `target`
};

enum class MemoryKind : uint8_t {
    input,
    output,
    arena,
    constant,
    unread,  ///< of a library call's result that nobody reads: none
};

struct StepMemory {
    MemoryKind kind = MemoryKind::arena;
    TypeId type;
    NodeId maker;                  ///< whose value it holds first
    uint32_t first = 0, last = 0;  ///< steps between which it is in use
    Tensor constant;
};

struct StepLayout {
    StepKind kind = StepKind::kernel;
    NodeId node;
    std::vector<uint32_t> reads, writes;  ///< values
    std::vector<InPlace> in_place;        ///< of a kernel
    LibraryPlan library;
    int32_t target = -1;
    bool may_fail = false;  ///< known where there are commits
};

/// Kernel steps of one form, one after the other, that need nothing of each other: they run together.
struct StepBatch {
    uint32_t first = 0, count = 0;
};

struct StepPlan {
    std::vector<StepLayout> steps;
    std::vector<StepBatch> batches;       ///< in order
    std::vector<StepMemory> memories;     ///< the inputs' first, in order
    std::vector<uint32_t> memory_of;      ///< a value
    std::vector<uint32_t> output_memory;  ///< a result of the graph
    Decisions decisions;
};

/// Throws Error "internal" for a graph that is not at the level of ir/loops.h.
StepPlan build_steps(const Graph& scheduled, const Allocator& allocator);

/// Between which steps memories are in use, of steps as they stand: what a step of a batch uses is in use in all of it.
void find_lifetimes(StepPlan&);

}  // namespace tenon
