// Less memory for derivatives, level by level: what they read of the values before them is computed again instead of being
// kept until then, by the marks of checkpoints (`recompute`). The ops before derivatives are cut, where little is alive,
// into segments, of which each level makes one more a checkpoint, the first ones first: their values are kept longest.
// So what a level computes again all later levels do, and what they take is for whoever plans the memory to find out
// (Chen et al., "Training deep nets with sublinear memory cost", 2016, has the segments).
#pragma once
#include <vector>

#include "ir/passes/passes.h"

namespace tenon {

class BudgetLevels {
public:
    /// Of a graph whose calls are inlined, with derivatives in it.
    explicit BudgetLevels(GraphRef flat);
    /// Beside level 0, which is the graph as it is; 0 where there are no derivatives.
    size_t count() const { return segments_; }
    /// The same graph, ids and all, with marks of checkpoints.
    GraphRef marked(size_t level) const;

private:
    void find_forward();
    void find_segments();
    std::vector<size_t> cuts(const std::vector<int64_t>& alive, const std::vector<int64_t>& kept) const;
    std::vector<size_t> cuts(size_t wanted, const std::vector<int64_t>& alive, const std::vector<int64_t>& kept) const;
    int64_t bytes(NodeId id) const;

    GraphRef graph_;
    std::vector<int64_t> hints_;
    std::vector<NodeId> forward_;    // ops that depend on no derivative and may be done twice, in order
    std::vector<bool> is_forward_;   // by node
    std::vector<bool> read_;         // by node: by derivatives
    std::vector<uint32_t> segment_;  // by node, from 1
    std::vector<bool> crosses_;      // by node: later segments read it
    size_t segments_ = 0;
};

/// What the marks make of a graph: its copies, in additions, as costs are counted.
int64_t work_again(const Graph&);

}  // namespace tenon
