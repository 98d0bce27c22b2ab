// What engines and the executor agree on about a kernel: its stages, its sizes, the scalars that stages share.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ir/graph.h"
#include "jit/backend.h"

namespace tenon {

struct KernelStage {
    std::vector<NodeId> nodes;  ///< the `for`, or scalar code in order
    bool loop = false;
    bool parallel = false;  ///< its iterations may go to any thread
    int64_t step = 1;
    NodeId low, high;  ///< of a loop: static indices (made of extents)
};

/// Memory of the iterations that run on one thread, brought by whoever runs a stage.
struct KernelScratch {
    NodeId node;
    uint32_t stage = 0;  ///< stages run one after the other, so each may have all of it
};

struct KernelInfo {
    std::vector<KernelStage> stages;
    std::vector<SizeId> extents;  ///< distinct symbolic sizes of `extent` nodes, in the order met
    std::vector<NodeId> scalars;  ///< top-level nodes of scalar type and data-dependent indices, in order: their slots
    std::vector<KernelScratch> scratch;  ///< in order: their buffers come after operands and results
    uint32_t operands = 0;        ///< buffers that are read; the others are results
    uint32_t results = 0;
    int64_t arithmetic = 0;  ///< the cost of its scalar rows, each once
    int32_t updates = -1;    ///< result 0 begins as a copy of this operand
    bool may_fault = false;  ///< it divides integers
    NodeId faulting;         ///< the first node that does
    /// The number of the first of `scratch` among the buffers.
    uint32_t first_scratch() const { return operands + results; }
};

KernelInfo analyse_kernel(const Graph&, NodeId kernel);

/// Is the index built of extents and index arithmetic alone? Such nodes belong to no stage: whoever needs one computes
/// it.
bool is_static_index(const Graph&, NodeId);
/// Its value, with the symbolic sizes `info.extents` being `extents`.
int64_t evaluate_index(const Graph&, NodeId, const KernelInfo& info, std::span<const int64_t> extents);
/// The number of iterations of a stage, 1 for one that runs once.
int64_t stage_trips(const Graph&, const KernelStage&, const KernelInfo& info, std::span<const int64_t> extents);

/// Where each of `info.scratch` lies in a thread's memory for them, in bytes, and last how much that is.
std::vector<size_t> scratch_offsets(const Graph&, const KernelInfo& info, std::span<const int64_t> extents);

/// Can operand and result be the same memory? That is so where every element of the operand is read for the last time
/// by the iteration that then writes it.
bool can_run_in_place(const Graph&, NodeId kernel, InPlace);

}  // namespace tenon
