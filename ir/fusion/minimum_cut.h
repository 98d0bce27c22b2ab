// The cheapest set of edges without which nothing flows from one vertex to another (Dinic, "Algorithm for solution of a
// problem of maximum flow in networks with power estimation", 1970).
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tenon {

class MinimumCut {
public:
    using Vertex = uint32_t;
    static constexpr int64_t unlimited = int64_t{1} << 60;

    explicit MinimumCut(size_t vertices) : edges_of_(vertices) {}
    void edge(Vertex from, Vertex to, int64_t capacity);

    /// By vertex: does it lie on the sink's side of the cut? Of several cuts that cost the same, the one nearest to the
    /// sink. Empty where it takes too long to tell: the work is bounded by the number of edges.
    std::vector<bool> sink_side(Vertex source, Vertex sink);

private:
    struct Edge {  // its reverse is its neighbour in `edges_`: number ^ 1
        Vertex to;
        int64_t left;  // how much more may flow
    };
    bool find_distances(Vertex source, Vertex sink);
    bool push_flow(Vertex source, Vertex sink);

    std::vector<Edge> edges_;
    std::vector<std::vector<uint32_t>> edges_of_;  // a vertex: numbers of edges
    std::vector<int32_t> distance_;                // from the source, −1: not to be reached
    std::vector<uint32_t> next_;                   // of a vertex: the edge to try next
    size_t steps_ = 0;
};

}  // namespace tenon
