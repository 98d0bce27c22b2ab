// The functions of attention: graphs of one pair of a query and a key (ir/regions.h), which loops compute element by
// element.
#pragma once
#include <map>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "ir/build/copier.h"
#include "ir/build/loop_writer.h"
#include "ir/positions.h"

namespace tenon::attention {

/// Why this graph is no function of a pair, and which node says so; empty where it is one: arithmetic on elements, movement,
/// and reads of what it captures at positions that it computes.
std::string why_no_pair_function(const Graph&, NodeId& where);

/// One element of a captured tensor that the function reads: `value` is 0-dim, and of this parameter alone.
struct PairRead {
    size_t parameter;
    NodeId value;
};
/// The reads of those parameters, in order. Throws Error "gradient" where one of them is computed with as a whole, which
/// leads to no element.
std::vector<PairRead> reads_of(const Graph&, const std::vector<bool>& parameters);
/// Where the read's element lies in its tensor, row-major: i64[]. What it is computed from was copied.
NodeId emit_place(Builder&, const Graph&, Copier&, const PairRead&);

/// An index of which something may be known: low ≤ index ≤ high, and 0 ≤ index < extent.
struct Place {
    NodeId index;
    std::optional<int64_t> low, high;
    std::optional<SizeId> extent;
};

/// Scalar code of a region of the node at hand, in the loop that is being written.
///
/// A position is counted from the end where it is negative, and where it is outside of its tensor the nearest one is read:
/// of a pair that a mask hides nothing is known, so none of them can be an error.
class PairCode {
public:
    struct Argument {  // of a parameter, one of these
        NodeId scalar, buffer;
        std::optional<Place> place;
    };
    PairCode(LoopWriter& writer, unsigned region, std::span<const Argument> arguments);
    /// The region's results.
    std::vector<NodeId> write();

private:
    NodeId value(NodeId, const PositionList& at);
    NodeId compute(NodeId, const PositionList& at);
    std::optional<Place> place(NodeId, const PositionList& at);
    std::optional<Place> arithmetic(NodeId, const PositionList& at);
    PositionList read_at(NodeId, const PositionList& at);
    Position bounded(NodeId position, const PositionList& at, SizeId size);
    bool is_within(const Place&, SizeId size) const;
    NodeId index(Position);
    Place constant(int64_t value) { return {w_.size(w_.context().constant(value)), value, value, std::nullopt}; }
    Place below(NodeId index, SizeId extent) {
        const auto count = w_.context().as_constant(extent);
        return {index, 0, count ? std::optional(*count - 1) : std::nullopt, extent};
    }
    const Argument* argument(NodeId) const;

    LoopWriter& w_;
    const Graph& graph_;
    const Region& region_;
    const SizeFacts facts_;
    Positions positions_;
    std::vector<NodeId> variables_;  // of positions
    std::unordered_map<NodeId, size_t> parameters_;
    std::span<const Argument> arguments_;
    std::unordered_map<NodeId, NodeId> scalars_;  // of nodes without dimensions
    std::unordered_map<NodeId, std::optional<Place>> places_;
};

}  // namespace tenon::attention
