#include <algorithm>
#include <unordered_map>

#include "ir/build/copier.h"
#include "ir/differentiate/regions.h"
#include "ir/row.h"

namespace tenon {

namespace {

constexpr uint8_t marks = recompute_flag | recomputed_flag;

// The region without the results after the first `count`.
GraphRef with_fewer(const Graph& region, size_t count) {
    Builder builder(*region.context);
    Copier copy(region, builder);
    copy.copy_params();
    copy.copy_body();
    std::vector<NodeId> results;
    for (NodeId r : region.results().first(count)) results.push_back(copy(r));
    return builder.finish(results, region.name);
}

class Merger {
public:
    Merger(const Graph& graph, NodeId derived) : graph_(graph), derived_(derived) {}

    // Of each node the one that gives what it gives, and more; itself where there is none.
    bool find() {
        std::vector<NodeId> nodes;
        for (NodeId id : graph_.body())
            if (row(graph_[id].op).regions > 0) nodes.push_back(id);
        for (size_t k = nodes.size(); k-- > 0;)
            for (size_t other = 0; other < nodes.size(); ++other)
                if (k != other && may_stand_for(nodes[other], nodes[k]) && is_part_of(nodes[k], nodes[other])) {
                    stands_for_[nodes[k]] = nodes[other];
                    break;
                }
        return !stands_for_.empty();
    }
    GraphRef run(std::vector<NodeId>* image) {
        Builder builder(*graph_.context);
        Copier copy(graph_, builder);
        copy.copy_params();
        std::unordered_map<NodeId, NodeId> made;  // of those that stand for others
        for (NodeId id : graph_.body()) {
            const NodeId whole = last(id);
            if (const auto known = made.find(whole); known != made.end()) {
                copy.map(id, known->second);
                continue;
            }
            if (whole == id && !is_whole(id)) {
                copy.copy(id);
                continue;
            }
            // Its operands are the part's: they are there already.
            const NodeId node = copy.copy(whole);
            made.emplace(whole, node);
            copy.map(id, node);
        }
        std::vector<NodeId> results, kept;
        for (NodeId r : graph_.results()) results.push_back(copy(r));
        const GraphRef merged = builder.finish(results, graph_.name, false, &kept);
        if (image) {
            image->assign(graph_.nodes.size(), NodeId());
            for (uint32_t k = 0; k < graph_.nodes.size(); ++k)
                if (copy.has(NodeId(k))) (*image)[k] = kept[copy(NodeId(k)).index];
        }
        return merged;
    }

private:
    NodeId last(NodeId id) const {
        for (auto it = stands_for_.find(id); it != stands_for_.end(); it = stands_for_.find(id)) id = it->second;
        return id;
    }
    bool is_whole(NodeId id) const {
        return std::any_of(stands_for_.begin(), stands_for_.end(), [&](const auto& e) { return e.second == id; });
    }
    // With `derived`, what is not derived keeps its place: one derived node takes one.
    bool may_stand_for(NodeId whole, NodeId part) const {
        if (stands_for_.contains(whole)) return false;
        return !derived_ || (whole >= derived_ && (part >= derived_ || !is_whole(whole)));
    }
    bool is_part_of(NodeId part, NodeId whole) {
        const Node &a = graph_[part], &b = graph_[whole];
        const auto x = graph_.operands_of(part), y = graph_.operands_of(whole);
        if (a.op != b.op || a.attr != b.attr || (a.flags & marks) || (b.flags & marks) ||
            graph_.metas[part.index] != graph_.metas[whole.index] ||
            !std::equal(x.begin(), x.end(), y.begin(), y.end()))
            return false;
        for (unsigned k = 0; k < a.regions; ++k) {
            const GraphRef p = extract_region(graph_, part, k), w = extract_region(graph_, whole, k);
            const size_t count = p->results().size();
            if (count > w->results().size() || (count == w->results().size() && whole > part)) return false;
            if (!equal(*p, *with_fewer(*w, count))) return false;
        }
        return true;
    }

    const Graph& graph_;
    const NodeId derived_;
    std::unordered_map<NodeId, NodeId> stands_for_;
};

}  // namespace

GraphRef merge_regions(const Graph& graph, NodeId derived, std::vector<NodeId>* image) {
    Merger merger(graph, derived);
    return merger.find() ? merger.run(image) : nullptr;
}

}  // namespace tenon
