// Which values get memory of their own, and what each of these reads.
#pragma once
#include <vector>

#include "ir/passes/passes.h"
#include "ir/positions.h"

namespace tenon {

// How the element that a value reads of another lies to its own position. Of a reduction, "its own position" is that of
// the element folded: full is every reduced element, leading the kept position.
enum class Alignment : uint8_t {
    full,     // the same linear position
    leading,  // that of the leading (for reductions: the kept) dimensions
    single,   // there is but one element
    reduced,  // of a reduction: that of the dimensions that are folded
    other,
};
struct Read {
    NodeId source;  // a value with memory
    Alignment alignment;
};

struct Memory {
    std::vector<bool> has;                 // values that are computed into memory
    std::vector<bool> wanted;              // … since an op that is no fused one, or the graph's result, needs it there
    std::vector<std::vector<Read>> reads;  // of those, through the values computed on the way
    std::vector<int> cost;                 // of computing an element from memory, in cheap scalar ops
};

bool is_fusable(const Graph&, NodeId);  // computed by kernels: elementwise, movement, reductions, …
// A name for its operand's memory: never a value with memory of its own.
bool is_name(const Graph&, NodeId);
NodeId through_names(const Graph&, NodeId);  // the value whose memory it names, or itself
// It is its operand with the last two dimensions swapped, and nothing else: products read that where it lies.
bool swaps_last_two(const Graph&, NodeId);

// `kept`: by node, what is to have memory, or empty. Decisions: what is kept in memory only so that no kernel grows too
// large.
Memory assign_memory(const Graph&, Decisions&, const std::vector<bool>& kept = {});

/// Whether the node lies in a `no_compile { }` of the script: then it is a kernel of its own, which no engine compiles.
/// What backward computes carries the metadata too, but is compiled.
bool stays_interpreted(const Graph&, NodeId);

}  // namespace tenon
