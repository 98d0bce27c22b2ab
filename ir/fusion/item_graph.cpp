#include "ir/fusion/item_graph.h"

#include <algorithm>
#include <cassert>
#include <numeric>

namespace tenon {

namespace {
constexpr size_t most_looked_at = 4096;  // for one join: little is gained by what is that far apart
}

ItemGraph::ItemGraph(size_t items) : part_of_(items), needs_(items), users_(items), place_(items) {
    std::iota(part_of_.begin(), part_of_.end(), 0u);
    std::iota(place_.begin(), place_.end(), 0u);
}

void ItemGraph::need(Item user, Item needed) {
    assert(needed < user);
    needs_[user].push_back(needed);
    users_[needed].push_back(user);
}

ItemGraph::Item ItemGraph::find(Item item) {
    while (part_of_[item] != item) item = part_of_[item] = part_of_[part_of_[item]];
    return item;
}

// Each item once, and none that has become a part of another.
const std::vector<ItemGraph::Item>& ItemGraph::tidy(std::vector<Item>& list, Item owner) {
    listed_.begin(part_of_.size());
    listed_.add(owner);
    size_t kept = 0;
    for (Item item : list)
        if (listed_.add(item = find(item))) list[kept++] = item;
    list.resize(kept);
    return list;
}

// What is reached from `from` by these edges and lies between the two.
template <class Between>
ItemGraph::Joined ItemGraph::collect(Edges& edges, Item from, Item to, bool apart, Between between, std::vector<Item>& found) {
    met_.begin(part_of_.size());
    std::vector<Item> stack{from};
    for (size_t begin = steps_; !stack.empty();) {
        const Item at = stack.back();
        stack.pop_back();
        if (++steps_ - begin > most_looked_at) return Joined::too_far;
        for (Item item : tidy(edges[at], at)) {
            if (item == to) {
                if (at != from || apart) return Joined::needed_between;
            } else if (between(place_[item]) && met_.add(item)) {
                found.push_back(item);
                stack.push_back(item);
            }
        }
    }
    return Joined::yes;
}

ItemGraph::Joined ItemGraph::join(Item other, Item into, bool apart) {
    other = find(other);
    into = find(into);
    assert(other != into);
    const auto [low, high] = place_[other] < place_[into] ? std::pair(other, into) : std::pair(into, other);
    std::vector<Item> before, after;  // what must stand before both, and what behind
    const uint32_t first = place_[low], last = place_[high];
    Joined joined = collect(needs_, high, low, apart, [&](uint32_t place) { return place > first; }, before);
    if (joined == Joined::yes)
        joined = collect(users_, low, high, apart, [&](uint32_t place) { return place < last; }, after);
    if (joined != Joined::yes) return joined;

    const auto by_place = [&](Item a, Item b) { return place_[a] < place_[b]; };
    std::sort(before.begin(), before.end(), by_place);
    std::sort(after.begin(), after.end(), by_place);
    std::vector<uint32_t> places{first, last};
    for (const std::vector<Item>* moved : {&before, &after})
        for (Item item : *moved) places.push_back(place_[item]);
    std::sort(places.begin(), places.end());
    size_t next = 0;
    for (Item item : before) place_[item] = places[next++];
    place_[into] = places[next++];
    for (Item item : after) place_[item] = places[next++];

    part_of_[other] = into;
    for (Edges* edges : {&needs_, &users_}) {
        std::vector<Item>&mine = (*edges)[into], &theirs = (*edges)[other];
        if (mine.size() < theirs.size()) std::swap(mine, theirs);
        mine.insert(mine.end(), theirs.begin(), theirs.end());
        theirs = {};
    }
    return Joined::yes;
}

}  // namespace tenon
