#include "ir/fusion/minimum_cut.h"

#include <algorithm>

namespace tenon {

namespace {
constexpr size_t most_steps_an_edge = 256;
}

void MinimumCut::edge(Vertex from, Vertex to, int64_t capacity) {
    edges_of_[from].push_back(uint32_t(edges_.size()));
    edges_.push_back({to, capacity});
    edges_of_[to].push_back(uint32_t(edges_.size()));
    edges_.push_back({from, 0});
}

bool MinimumCut::find_distances(Vertex source, Vertex sink) {
    distance_.assign(edges_of_.size(), -1);
    distance_[source] = 0;
    std::vector<Vertex> reached{source};
    for (size_t k = 0; k < reached.size(); ++k) {
        const Vertex at = reached[k];
        for (uint32_t e : edges_of_[at]) {
            ++steps_;
            const Edge& edge = edges_[e];
            if (edge.left == 0 || distance_[edge.to] >= 0) continue;
            distance_[edge.to] = distance_[at] + 1;
            reached.push_back(edge.to);
        }
    }
    return distance_[sink] >= 0;
}

// Along shortest ways until there is none left. False where it takes too long.
bool MinimumCut::push_flow(Vertex source, Vertex sink) {
    next_.assign(edges_of_.size(), 0);
    std::vector<uint32_t> way;  // edges
    for (;;) {
        const Vertex at = way.empty() ? source : edges_[way.back()].to;
        if (at == sink) {
            int64_t most = unlimited;
            for (uint32_t e : way) most = std::min(most, edges_[e].left);
            size_t full = way.size();
            for (size_t k = way.size(); k-- > 0;) {
                edges_[way[k]].left -= most;
                edges_[way[k] ^ 1].left += most;
                if (edges_[way[k]].left == 0) full = k;
            }
            steps_ += way.size();
            way.resize(full);
            continue;
        }
        if (steps_ > most_steps_an_edge * edges_.size()) return false;
        bool goes_on = false;
        for (uint32_t& k = next_[at]; k < edges_of_[at].size(); ++k) {
            ++steps_;
            const uint32_t e = edges_of_[at][k];
            if (edges_[e].left == 0 || distance_[edges_[e].to] != distance_[at] + 1) continue;
            way.push_back(e);
            goes_on = true;
            break;
        }
        if (goes_on) continue;
        if (way.empty()) return true;
        ++next_[edges_[way.back() ^ 1].to];  // a dead end
        way.pop_back();
    }
}

std::vector<bool> MinimumCut::sink_side(Vertex source, Vertex sink) {
    while (find_distances(source, sink))
        if (!push_flow(source, sink)) return {};
    // From where more could flow into the sink.
    std::vector<bool> side(edges_of_.size());
    side[sink] = true;
    std::vector<Vertex> reached{sink};
    for (size_t k = 0; k < reached.size(); ++k)
        for (uint32_t e : edges_of_[reached[k]]) {
            const Vertex from = edges_[e].to;
            if (edges_[e ^ 1].left == 0 || side[from]) continue;
            side[from] = true;
            reached.push_back(from);
        }
    return side;
}

}  // namespace tenon
