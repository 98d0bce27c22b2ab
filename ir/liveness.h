// What results and ordered nodes of a body need; the rest is dropped when the graph is frozen.
#pragma once
#include <span>
#include <vector>

#include "ir/graph.h"

namespace tenon {

class Liveness {
public:
    explicit Liveness(const Graph& g) : graph_(g), live_(g.nodes.size(), false) {}
    bool operator[](NodeId id) const { return live_[id.index]; }
    void mark_ordered(std::span<const NodeId> body);  // effects and all that they need
    void mark(NodeId root);

private:
    bool is_ordered(NodeId id) const;

    const Graph& graph_;
    std::vector<bool> live_;
    std::vector<NodeId> stack_;
};

}  // namespace tenon
