// The gradient of one turn of a scan, as a graph (scan_gradient.cpp).
#pragma once
#include <vector>

#include "ir/graph.h"
#include "ir/regions.h"

namespace tenon {

enum class TurnRole : uint8_t {
    carry_cotangent,  // of what the turn leaves                        carried
    left_value,       // what the turn has left: the turn before got it  carried
    captured_sum,     // the running sum of a captured operand          carried
    stack_cotangent,  // of what the turn gives to a stack              sliced
    carry_start,      // a sum to begin a carry's cotangent with        sliced
    slice_start,      // a sum to begin a slice's cotangent with        of one turn by itself
    slice,            // what the turn got of an operand                sliced
    saved,            // what the turn has computed or got: a result    sliced
    captured,
};
constexpr bool is_carried(TurnRole r) { return r <= TurnRole::captured_sum; }
constexpr bool is_sliced(TurnRole r) { return !is_carried(r) && r != TurnRole::captured && r != TurnRole::slice_start; }

struct TurnParameter {  // of a parameter
    TurnRole role;
    size_t index;  // which carry, captured operand, stack, sliced operand; of `saved` the node of the region
};

// How the turns of a derivative get what it reads of the forward turns.
enum class TurnReads : uint8_t {
    // Each value that a formula names, as one that is saved, by itself: so its cotangent, where this is differentiated
    // again, is the one that it has written out. What of it is made again comes after all differentiation
    // (settle_turns).
    values,
    // Of a scan inside a region: views, and what comes of captured values alone, are made again.
    views_again,
};

// What a turn's gradient begins with.
struct TurnBegin {
    std::vector<bool> given;   // by carry: its value, as the turn leaves it, has a cotangent
    std::vector<bool> starts;  // by carry: its cotangent, as the turn got it, begins with a sum that it is given
    bool fills = false;        // each of those given has one before the turn too, of −0.0 where nothing leads there
    std::vector<bool> slice_starts = {};  // by slice, as `starts`; empty: none
    std::vector<bool> absent = {};        // by carry: what the turn got is −0.0 which stands for nothing; empty: none
    bool operator==(const TurnBegin&) const = default;
};
struct TurnGradient {
    TurnBegin begin;
    GraphRef graph;
    std::vector<TurnParameter> parameters;
    // Which have a cotangent: by carry, by operand of those captured, by slice; `left`: of which carries the turn gets what
    // was left, and gives what was got. Results are these, in this order.
    std::vector<bool> carries, left, sums, slices;
    std::vector<bool> only_begun;             // by carry: the sum is what it begins with
    std::vector<bool> reads_left, reads_got;  // by carry: does the derivative read what the turn has left, or got?
};

struct TurnRequest {
    const Graph& region;
    const ScanForm& form;
    std::vector<bool> needs;   // by operand of the scan: does it need a cotangent, in any turn?
    std::vector<bool> stacks;  // by stack: is there a cotangent of what turns give to it?
    TurnReads reads;
    std::vector<bool> left;  // by carry: the turn gives what it got in any case; empty: where it reads that
};
TurnGradient turn_gradient(const TurnRequest&, const TurnBegin&);

// By node of a turn: is it a view, or made of what is captured alone? `considered`: by node, empty for all. To make it again
// costs less than the memory in which it would lie once a turn.
std::vector<bool> made_again(const Graph& turn, size_t first_captured, std::span<const uint8_t> considered = {});

// The region with nodes of its own regions that give what derivatives of `results` by `parameters` read of them, as
// results behind its own: what a loop in a turn has kept is kept of every turn, and not made again by the derivative.
GraphRef with_inner_results(const GraphRef& region, std::span<const size_t> results,
                            std::span<const size_t> parameters);

}  // namespace tenon
