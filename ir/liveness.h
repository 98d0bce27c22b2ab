// What results and ordered nodes of a body need; the rest is dropped when the graph is frozen. The results of one node
// live together: which of them a derivative will name is not known before, and one that nobody reads costs nothing.
#pragma once
#include <span>
#include <unordered_map>
#include <vector>

#include "ir/graph.h"

namespace tenon {

class Liveness {
public:
    explicit Liveness(const Graph&);
    bool operator[](NodeId id) const { return live_[id.index]; }
    void mark_ordered(std::span<const NodeId> body);  // effects and all that they need
    void mark(NodeId root);

private:
    bool is_ordered(NodeId id) const;

    const Graph& graph_;
    std::vector<bool> live_;
    std::unordered_map<uint32_t, std::vector<NodeId>> results_;  // of nodes with several
    std::vector<NodeId> stack_;
};

}  // namespace tenon
