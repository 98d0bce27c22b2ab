// Sums of pads whose places cover the whole, each element once, as the gradients of `split`'s parts are: no element is a sum
// of two, and the tensors one after the other are the sum.
#pragma once
#include <span>
#include <unordered_map>
#include <vector>

#include "ir/graph.h"

namespace tenon {

class TiledSums {
public:
    TiledSums(const Graph&, std::span<const uint32_t> uses);  // how often each node is used

    struct Tiling {
        size_t axis = 0;           // along which the pads lie
        std::vector<NodeId> pads;  // in the order of their places
    };
    const Tiling* find(NodeId sum) const {
        const auto found = tilings_.find(sum);
        return found == tilings_.end() ? nullptr : &found->second;
    }
    bool is_inside(NodeId id) const {
        return !inside_.empty() && inside_[id.index];
    }  // a pad or a sum on the way to one

private:
    struct Open {  // a sum of pads, or one, that may become one
        Tiling tiling;
        SizeId length{0};
        std::vector<NodeId> sums;
    };
    void begin(NodeId pad);
    void join(NodeId sum, std::span<const uint32_t> uses);
    bool put_in_order(NodeId sum, Tiling&) const;

    const Graph& graph_;
    std::unordered_map<NodeId, Open> open_;
    std::unordered_map<NodeId, Tiling> tilings_;
    std::vector<bool> inside_;
};

}  // namespace tenon
