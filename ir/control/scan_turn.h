// The gradient of one turn of a scan, as a graph (scan_gradient.cpp).
#pragma once
#include <vector>

#include "ir/graph.h"
#include "ir/regions.h"

namespace tenon {

enum class TurnRole : uint8_t {
    carry_cotangent,  // of what the turn leaves                        carried
    captured_sum,     // the running sum of a captured operand          carried
    stack_cotangent,  // of what the turn gives to a stack              sliced
    carry_start,      // a sum to begin a carry's cotangent with        sliced
    slice,            // what the turn got of an operand                sliced
    saved,            // what the turn has computed: a result of scan   sliced
    captured,
};
constexpr bool is_carried(TurnRole r) { return r <= TurnRole::captured_sum; }
constexpr bool is_sliced(TurnRole r) { return !is_carried(r) && r != TurnRole::captured; }

struct TurnParameter {  // of a parameter
    TurnRole role;
    size_t index;  // which carry, captured operand, stack, sliced operand; of `saved` the node of the region
};

// The gradient of one turn, where those carries have a cotangent.
struct TurnGradient {
    std::vector<bool> given;  // by carry
    GraphRef graph;
    std::vector<TurnParameter> parameters;
    // Which have a cotangent: by carry, by operand of those captured, by slice. Results are these, in this order.
    std::vector<bool> carries, sums, slices;
};

struct TurnRequest {
    const Graph& region;
    const ScanForm& form;
    std::vector<bool> needs;   // by operand of the scan: does it need a cotangent, in any turn?
    std::vector<bool> stacks;  // by stack: is there a cotangent of what turns give to it?
};
// `given`: the carries whose value, as the turn leaves it, has a cotangent. `starts`: those whose cotangent, as the turn
// got them, begins with a sum that it is given. `fills`: each of those given has one before the turn too, of −0.0 where
// nothing leads there.
TurnGradient turn_gradient(const TurnRequest&, const std::vector<bool>& given, const std::vector<bool>& starts,
                           bool fills = false);

// The region with nodes of its own regions that give what derivatives of `results` by `parameters` read of them, as
// results behind its own: what a loop in a turn has kept is kept of every turn, and not made again by the derivative.
GraphRef with_inner_results(const GraphRef& region, std::span<const size_t> results,
                            std::span<const size_t> parameters);

}  // namespace tenon
