// Nodes as an argument, in whatever they lie: `{a, b}`, a vector, an array, a span. Valid during the call.
#pragma once
#include <concepts>
#include <initializer_list>
#include <span>

#include "ir/graph.h"

namespace tenon {

class NodeList {
public:
    NodeList() = default;
    NodeList(std::initializer_list<NodeId> nodes) : nodes_(nodes.begin(), nodes.size()) {}
    template <class Range>
        requires std::convertible_to<const Range&, std::span<const NodeId>>
    NodeList(const Range& nodes) : nodes_(nodes) {}

    operator std::span<const NodeId>() const { return nodes_; }

private:
    std::span<const NodeId> nodes_;
};

}  // namespace tenon
