// fuse: nodes become `fusion` nodes, one kernel each. Needs simplify for good results; afterwards every elementwise op,
// movement, reduction, cat, update, full and iota is inside a fusion, and what is left outside is library calls,
// structure, effects and names of values in memory. Ordered nodes keep their order. A fusion carries the metadata
// and origin of the last value it makes, the nodes inside keep their own. What joins: fusion_groups.h.
#include <algorithm>
#include <cassert>
#include <string>

#include "ir/build/copier.h"
#include "ir/fusion/fusion_groups.h"
#include "ir/fusion/item_order.h"
#include "ir/fusion/prepare.h"
#include "ir/fusion/rematerialise.h"
#include "ir/passes/passes.h"

namespace tenon {

namespace {

class FusionWriter {
public:
    FusionWriter(const Graph& g, Decisions& decisions, const std::vector<bool>& kept)
        : graph_(g), context_(*g.context), decisions_(decisions), groups_(g, decisions, kept), builder_(context_),
          copy_(g, builder_) {}

    GraphRef run() {
        builder_.set_origin_rule(context_.name("fuse"));
        copy_.copy_params();
        std::vector<OrderedItem> items;
        std::vector<uint32_t> place(graph_.nodes.size(), ~0u);  // of an item in the list
        for (NodeId id : graph_.body()) {
            if (!groups_.is_item(id)) continue;
            uint32_t& mine = place[groups_.item_of(id)];
            if (mine != ~0u) continue;
            mine = uint32_t(items.size());
            items.push_back(item(id));
            contents_.push_back({items.back().reads, items.back().nodes, items.back().makes});
        }
        for (OrderedItem& item : items)
            for (Item needed : groups_.needs(groups_.item_of(item.first))) item.needs.push_back(place[needed]);
        std::vector<NodeId> first;
        for (const OrderedItem& item : items) first.push_back(item.first);
        for (uint32_t k : order_items(graph_, std::move(items))) {
            if (const Group* group = groups_.group_of(first[k])) write_group(*group, contents_[k]);
            else write_node(first[k]);
        }
        std::vector<NodeId> results;
        for (NodeId r : graph_.results()) results.push_back(in_memory(r));
        return builder_.finish(results, graph_.name);
    }

private:
    using Item = FusionGroups::Item;

    OrderedItem item(NodeId first) {
        OrderedItem made;
        made.first = first;
        if (const Group* group = groups_.group_of(first)) {
            FusionGroups::Contents c = groups_.contents(*group);
            made.reads = std::move(c.inputs);
            made.nodes = std::move(c.nodes);
            made.makes = std::move(c.outputs);
            return made;
        }
        const auto operands = graph_.operands_of(first);
        made.nodes = made.makes = {first};
        made.reads.assign(operands.begin(), operands.end());
        return made;
    }

    // The value as a node outside fusions; a name of one is written where it is first needed.
    NodeId in_memory(NodeId id) {
        const auto is_there = [&](NodeId at) {
            return copy_.has(at) || graph_[at].op == op<"constant">() || graph_[at].op == op<"tensor">();
        };
        std::vector<NodeId> names;
        for (NodeId at = id; !is_there(at); at = graph_.operand(at, 0)) {
            assert(is_name(graph_, at));
            names.push_back(at);
        }
        for (; !names.empty(); names.pop_back()) copy_.copy(names.back());
        return copy_(id);
    }
    void write_node(NodeId id) {
        for (NodeId o : graph_.operands_of(id)) in_memory(o);
        copy_.copy(id);
    }
    void write_group(const Group& g, const FusionGroups::Contents& c) {
        std::vector<NodeId> operands, outer;
        for (NodeId input : c.inputs) operands.push_back(in_memory(input));
        for (NodeId id : c.nodes) outer.push_back(copy_.has(id) ? copy_(id) : NodeId::none());
        const Stamp stamp = copy_.stamp_of(g.members.back());
        Builder::StampScope scope(builder_, {stamp.origin, stamp.meta, 0});
        const RegionId region = builder_.open_region();
        for (NodeId input : c.inputs) {
            Builder::StampScope inner(builder_, copy_.stamp_of(input));
            copy_.map(input, builder_.parameter(graph_[input].type, context_.name("in")));
        }
        for (NodeId id : c.nodes) copy_.copy(id);
        std::vector<NodeId> yielded;
        std::vector<TypeId> types;
        for (NodeId o : c.outputs) {
            yielded.push_back(copy_(o));
            types.push_back(graph_[o].type);
        }
        builder_.close_region(yielded);
        for (size_t k = 0; k < c.inputs.size(); ++k) copy_.map(c.inputs[k], operands[k]);
        for (size_t k = 0; k < c.nodes.size(); ++k) copy_.map(c.nodes[k], outer[k]);

        const std::string base = graph_.name ? std::string(context_.text(graph_.name)) : "kernel";
        const std::string kernel = base + "." + std::to_string(kernels_++);
        Record record{{context_.name("name"), AttrValue(context_.name(kernel))}};
        if (g.interpreted) record.push_back({context_.name("interpreted"), AttrValue(true)});
        const AttrId attr = context_.attr(std::move(record));
        const NodeId node = builder_.emit_typed(op<"fusion">(), types.size() == 1 ? types[0] : context_.tuple(types),
                                                operands, attr, region, 1);
        if (c.outputs.size() == 1) copy_.map(c.outputs[0], node);
        else
            for (size_t k = 0; k < c.outputs.size(); ++k) {
                Builder::StampScope result(builder_,
                                           {copy_.stamp_of(c.outputs[k]).origin, copy_.stamp_of(c.outputs[k]).meta, 0});
                copy_.map(c.outputs[k],
                          builder_.emit_typed(op<"get">(), types[k], {node},
                                              context_.attr({{context_.name("index"), AttrValue(int64_t(k))}})));
            }
        report(kernel, c);
        if (g.interpreted)
            decisions_.push_back(
                {DecisionKind::interpreted, kernel, "`compile: false` keeps it on the interpreter", stamp.origin});
    }
    void report(const std::string& kernel, const FusionGroups::Contents& c) {
        std::string ops;
        SizeId apart(0), together(0);
        const auto bytes = [&](NodeId id) {
            return context_.mul(groups_.numel(id), SizeId(int64_t(size_of(graph_.type(id).dtype))));
        };
        size_t count = 0;
        for (NodeId id : c.nodes) {
            if (row(graph_[id].op).lowering == Lowering::movement) continue;
            ++count;
            if (count <= 8) ops += (ops.empty() ? "" : " ") + std::string(row(graph_[id].op).name);
            apart = context_.add(apart, bytes(id));
            for (NodeId o : graph_.operands_of(id))
                if (graph_[o].op != op<"constant">()) apart = context_.add(apart, bytes(o));
        }
        for (NodeId id : c.inputs) together = context_.add(together, bytes(id));
        for (NodeId id : c.outputs) together = context_.add(together, bytes(id));
        const std::vector<std::string> symbols = graph_.symbol_names();
        std::string reason = count == 0 ? "moves elements"
                             : count == 1
                                 ? "one op (" + ops + ")"
                                 : std::to_string(count) + " ops (" + ops + (count > 8 ? " …" : "") + "), " +
                                       context_.to_string(together, symbols) + " bytes of memory traffic instead of " +
                                       context_.to_string(apart, symbols);
        decisions_.push_back({DecisionKind::fused, kernel, std::move(reason), graph_.origins[c.outputs.back().index]});
    }

    const Graph& graph_;
    Context& context_;
    Decisions& decisions_;
    FusionGroups groups_;
    Builder builder_;
    Copier copy_;
    std::vector<FusionGroups::Contents> contents_;  // of an item that is a group
    int kernels_ = 0;
};

}  // namespace

GraphRef fuse(const Graph& graph, Decisions& decisions) {
    const Rematerialised step = rematerialise_step(prepare_fusion(graph), decisions);
    return verified(PassId::fuse, FusionWriter(*step.graph, decisions, step.kept).run());
}

}  // namespace tenon
