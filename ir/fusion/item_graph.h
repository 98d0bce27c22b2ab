// What needs what among kernels to be and other steps, while kernels are joined: two may become one only if neither
// needs the other by way of a third. Items are kept in an order in which each stands after what it needs, so that such
// a way can lead through items between the two alone; joining moves those that are in the way (Pearce and Kelly, "A
// dynamic topological sort algorithm for directed acyclic graphs", 2006).
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "ir/marks.h"

namespace tenon {

class ItemGraph {
public:
    using Item = uint32_t;

    /// To begin with items stand in the order of their numbers: an item needs lower ones only.
    explicit ItemGraph(size_t items);
    void need(Item user, Item needed);

    enum class Joined : uint8_t {
        yes,
        needed_between,  // one needs the other by way of a third
        too_far,         // it takes too long to tell
    };
    /// Makes `other` a part of `into`, if it can. With `apart` neither may need the other in any way.
    Joined join(Item other, Item into, bool apart = false);
    /// The item that this one is part of by now.
    Item find(Item);
    /// What an item that is part of no other needs, each once.
    const std::vector<Item>& needs(Item item) { return tidy(needs_[item], item); }
    /// How many items were looked at so far.
    size_t steps() const { return steps_; }

private:
    using Edges = std::vector<std::vector<Item>>;

    const std::vector<Item>& tidy(std::vector<Item>& list, Item owner);
    template <class Between>
    Joined collect(Edges& edges, Item from, Item to, bool apart, Between between, std::vector<Item>& found);

    std::vector<Item> part_of_;
    Edges needs_, users_;
    std::vector<uint32_t> place_;  // in the order
    Marks listed_, met_;
    size_t steps_ = 0;
};

}  // namespace tenon
