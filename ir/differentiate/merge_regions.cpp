#include <algorithm>
#include <map>
#include <unordered_map>

#include "ir/build/copier.h"
#include "ir/build/regions.h"
#include "ir/differentiate/regions.h"
#include "ir/differentiate/repeats.h"
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

// Of a node with this many values: how many results its region k has, and how many values it has at least.
size_t results_of_region(const Graph& graph, NodeId id, unsigned k, size_t values) {
    if (row(graph[id].op).control != ControlFlow::loop) return values;
    return k == 0 ? 1 : values - LoopForm(graph.attributes(id)).is_bounded();
}
size_t least_values(const Graph& graph, NodeId id) {
    switch (row(graph[id].op).control) {
        case ControlFlow::turns: return ScanForm(graph.attributes(id)).carried;
        case ControlFlow::loop: {
            const LoopForm form(graph.attributes(id));
            return form.carried + form.is_bounded();
        }
        default: return 0;
    }
}

// Nodes with regions without their last values, those that nobody reads: an inner one, too, gives more than it did where
// a derivative reads it.
GraphRef without_unread(const GraphRef& source) {
    if (!has_isolated_regions(*source)) return source;
    const Graph& graph = *source;
    std::vector<bool> has_reader(graph.nodes.size());
    for (NodeId r : graph.results()) has_reader[r.index] = true;
    for (NodeId id : graph.body())
        for (NodeId operand : graph.operands_of(id)) has_reader[operand.index] = true;
    const auto is_unread = [&](NodeId id) { return graph[id].op == op<"get">() && !has_reader[id.index]; };
    std::vector<size_t> read(graph.nodes.size());
    for (NodeId id : graph.body())
        if (graph[id].op == op<"get">() && !is_unread(id)) {
            size_t& count = read[graph.operand(id, 0).index];
            count = std::max(count, size_t(graph.attributes(id).integer("index")) + 1);
        }
    Builder builder(*graph.context);
    Copier copy(graph, builder);
    copy.copy_params();
    for (NodeId id : graph.body()) {
        if (is_unread(id)) continue;
        if (row(graph[id].op).control == ControlFlow::none) {
            copy.copy(id);
            continue;
        }
        const size_t count = std::max(read[id.index], least_values(graph, id));
        std::vector<GraphRef> regions;
        for (unsigned k = 0; k < graph[id].regions; ++k) {
            const GraphRef region = extract_region(graph, id, k);
            regions.push_back(without_unread(with_fewer(*region, results_of_region(graph, id, k, count))));
        }
        std::vector<NodeId> operands;
        for (NodeId operand : graph.operands_of(id)) operands.push_back(copy(operand));
        const std::vector<TypeId>& types = graph.type(id).elements;
        const TypeId type = graph.context->tuple(std::span(types).first(count));
        Builder::StampScope scope(builder, copy.stamp_of(id));
        copy.map(id, emit_typed_with_regions(builder, graph[id].op, type, operands, regions, graph[id].attr));
    }
    return copy.finish();
}

const Node& node_of(const Graph& graph, NodeId id) { return graph[id]; }
const Node& node_of(const Builder& builder, NodeId id) { return builder.node(id); }
MetaId meta_of(const Graph& graph, NodeId id) { return graph.metas[id.index]; }
MetaId meta_of(const Builder& builder, NodeId id) { return builder.stamp_of(id).meta; }

// Does `whole` give what `part` gives, and may be more behind it? What has one of the marks `apart` is one with no other.
template <class Nodes>
bool gives_all_of(const Nodes& from, NodeId part, NodeId whole, uint8_t apart) {
    const Node &a = node_of(from, part), &b = node_of(from, whole);
    const auto x = from.operands_of(part), y = from.operands_of(whole);
    if (a.op != b.op || a.attr != b.attr || (a.flags & apart) || (b.flags & apart) ||
        meta_of(from, part) != meta_of(from, whole) || !std::equal(x.begin(), x.end(), y.begin(), y.end()) ||
        from.type(part).elements.size() > from.type(whole).elements.size())
        return false;
    for (unsigned k = 0; k < a.regions; ++k) {
        const GraphRef p = extract_region(from, part, k), w = extract_region(from, whole, k);
        const size_t count = p->results().size();
        if (count > w->results().size()) return false;
        if (!equal(*without_unread(p), *without_unread(with_fewer(*w, count)))) return false;
    }
    return true;
}

class Merger {
public:
    Merger(const Graph& graph, NodeId derived) : graph_(graph), derived_(derived) {}

    // Of each node the one that gives what it gives, and more; itself where there is none.
    bool find() {
        std::vector<NodeId> nodes;
        for (NodeId id : graph_.body())
            if (row(graph_[id].op).control != ControlFlow::none) nodes.push_back(id);
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
        const size_t fewer = graph_.type(part).elements.size(), more = graph_.type(whole).elements.size();
        return (fewer < more || whole < part) && gives_all_of(graph_, part, whole, marks);
    }

    const Graph& graph_;
    const NodeId derived_;
    std::unordered_map<NodeId, NodeId> stands_for_;
};

// By node: is it one of a derivative's, which alone asks for its values?
std::vector<bool> of_derivatives(Builder& builder) {
    std::vector<bool> is_read(builder.size()), is_read_before(builder.size());
    for (NodeId id : builder.body()) {
        if (builder.node(id).op != op<"get">()) continue;
        const bool derived = bool(builder.context()[builder.stamp_of(id).origin].differentiated);
        (derived ? is_read : is_read_before)[builder.operands_of(id)[0].index] = true;
    }
    for (size_t k = 0; k < is_read.size(); ++k) is_read[k] = is_read[k] && !is_read_before[k];
    return is_read;
}

}  // namespace

// Of two that a script has asked for twice each has its own repeats. The later one is differentiated first.
std::vector<Repeated> find_repeats(Builder& builder) {
    std::vector<Repeated> found;
    std::vector<bool> derived;
    std::map<std::vector<uint32_t>, std::vector<size_t>> alike;  // of one op on the same operands, in `found`
    for (NodeId id : builder.body()) {
        const Node& node = builder.node(id);
        if (row(node.op).control == ControlFlow::none) continue;
        std::vector<uint32_t> key{node.op.row, node.attr.index};
        for (NodeId operand : builder.operands_of(id)) key.push_back(operand.index);
        std::vector<size_t>& known = alike[std::move(key)];
        if (!known.empty() && derived.empty()) derived = of_derivatives(builder);
        Repeated* repeated = nullptr;
        for (size_t k = known.size(); k-- > 0 && derived[id.index];) {
            Repeated& one = found[known[k]];
            const bool is_further = !repeated || one.others.size() < repeated->others.size();
            // To sums a checkpoint makes no difference.
            if (is_further && gives_all_of(builder, one.widest, id, 0)) repeated = &one;
        }
        if (!repeated) {
            known.push_back(found.size());
            found.push_back({id, id, {}});
            continue;
        }
        repeated->others.push_back(id);
        repeated->widest = id;
    }
    std::erase_if(found, [](const Repeated& node) { return node.others.empty(); });
    return found;
}

GraphRef merge_regions(const Graph& graph, NodeId derived, std::vector<NodeId>* image) {
    Merger merger(graph, derived);
    return merger.find() ? merger.run(image) : nullptr;
}

}  // namespace tenon
