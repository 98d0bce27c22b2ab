// fuse: nodes become `fusion` nodes, one kernel each. Needs simplify for good results; afterwards every elementwise op,
// movement, reduction, cat, update, full and iota is inside a fusion, and what is left outside is library calls,
// structure, effects and reshapes of values in memory. Ordered nodes keep their order. A fusion carries the metadata
// and origin of the last value it makes, the nodes inside keep their own.
//
// Values with memory start as kernels of their own; then kernels that go through the same elements join: a producer
// with its consumer where each element depends on the one in the same place, siblings that read the same memory, small
// ones that do the same to other tensors. A reduction takes in what goes through the elements it reduces (rows: also
// what uses its result along the row), and what follows element by element from its result.
#include <algorithm>
#include <cassert>
#include <map>
#include <queue>
#include <string>
#include <unordered_map>

#include "ir/build/copier.h"
#include "ir/passes/expressions.h"
#include "ir/passes/materialise.h"
#include "ir/passes/passes.h"
#include "ir/passes/prepare.h"

namespace tenon {

namespace {

constexpr int most_operations = 1000;  // of one kernel; beyond it compile time grows and registers spill
constexpr size_t most_buffers = 32;
constexpr int64_t short_row = 16, many_elements = 32768;

struct Group {
    enum class Kind : uint8_t { elements, rows, columns, alone } kind = Kind::elements;
    bool interpreted = false;     // `compile: false`: joins nothing
    std::vector<NodeId> members;  // values with memory, ascending
    SizeId kept, reduced{1};      // how many elements it goes through: kept · reduced
    int cost = 0;
    bool has_member(NodeId id) const { return std::binary_search(members.begin(), members.end(), id); }
};

class Fuser {
public:
    Fuser(const Graph& g, Decisions& decisions)
        : graph_(g), context_(*g.context), facts_(context_, g.equalities), decisions_(decisions),
          memory_(assign_memory(g)), group_of_(g.nodes.size(), -1), readers_(g.nodes.size()), builder_(context_),
          copy_(g, builder_) {}

    GraphRef run() {
        for (NodeId id : graph_.body())
            if (memory_.has[id.index]) found(id);
        find_dependences();
        join_producers();
        join_siblings();
        join_alike();
        return write();
    }

private:
    struct Contents {  // what a kernel reads from outside, the nodes that it computes, those it gives: ascending
        std::vector<NodeId> inputs, nodes, outputs;
    };

    // ---- the groups to begin with
    SizeId numel(NodeId id) const { return facts_.product(graph_.type(id).sizes); }
    bool reduces(NodeId id) const { return row(graph_[id].op).lowering == Lowering::reduce; }
    void found(NodeId id) {
        Group g;
        g.members = {id};
        g.kept = numel(id);
        g.cost = memory_.cost[id.index];
        g.interpreted = stays_interpreted(graph_, id);
        if (graph_[id].op == op<"cat">() || graph_[id].op == op<"update">()) g.kind = Group::Kind::alone;
        else if (reduces(id)) {
            const Type& from = graph_.type(graph_.operand(id, 0));
            const std::vector<int64_t> axes = graph_.attributes(id).integers("axes");
            for (int64_t a : axes) g.reduced = facts_.mul(g.reduced, from.sizes[size_t(a)]);
            g.kind =
                from.rank() == 0 || axes.back() + 1 == int64_t(from.rank()) ? Group::Kind::rows : Group::Kind::columns;
        }
        group_of_[id.index] = int(groups_.size());
        groups_.push_back(std::move(g));
    }

    // ---- items: groups, and every node outside them; an edge to each item that it needs
    using Item = uint32_t;  // a group's index, or groups_.size() + a node's
    Item item_of(NodeId id) const {
        const int g = group_of_[id.index];
        return g >= 0 ? Item(g) : Item(groups_.size() + id.index);
    }
    bool is_item(NodeId id) const { return group_of_[id.index] >= 0 || !is_fusable(graph_, id); }
    void find_dependences() {
        needs_.assign(groups_.size() + graph_.nodes.size(), {});
        NodeId last_ordered;
        for (NodeId id : graph_.body()) {
            if (memory_.has[id.index]) {
                for (const Read& r : memory_.reads[id.index]) {
                    need(item_of(id), r.source);
                    readers_[r.source.index].push_back(id);
                }
                if (graph_[id].op == op<"update">()) need(item_of(id), graph_.operand(id, 0));
            } else if (!is_fusable(graph_, id)) {
                for (NodeId o : graph_.operands_of(id)) need(item_of(id), o);
                if (row(graph_[id].op).effect == Effect::ordered) {
                    if (last_ordered) needs_[item_of(id)].push_back(item_of(last_ordered));
                    last_ordered = id;
                }
            }
        }
    }
    void need(Item item, NodeId value) {
        value = through_reshapes(graph_, value);
        const Op o = graph_[value].op;
        if (o == op<"param">() || o == op<"constant">() || o == op<"tensor">() || !is_item(value)) return;
        std::vector<Item>& list = needs_[item];
        const Item needed = item_of(value);
        if (needed != item && std::find(list.begin(), list.end(), needed) == list.end()) list.push_back(needed);
    }
    // Does `from` need `to` by way of a third item?
    bool needs_indirectly(Item from, Item to) const {
        std::vector<bool> seen(needs_.size());
        std::vector<Item> stack;
        for (Item i : needs_[from])
            if (i != to) stack.push_back(i);
        while (!stack.empty()) {
            const Item at = stack.back();
            stack.pop_back();
            if (at == to) return true;
            if (seen[at]) continue;
            seen[at] = true;
            stack.insert(stack.end(), needs_[at].begin(), needs_[at].end());
        }
        return false;
    }

    // ---- joining
    int64_t hint(SizeId size) const {
        if (size.is_inline_constant()) return size.bits;
        std::vector<int64_t> hints;
        for (const auto& s : graph_.symbols) hints.push_back(s.hint);
        return context_.evaluate(size, hints);
    }
    // A long reduction with little beside it is split among threads by schedule: nothing that needs its result may go
    // through its elements.
    bool long_reduction(const Group& g) const {
        const int64_t kept = hint(g.kept), reduced = hint(g.reduced);
        if (g.kind == Group::Kind::rows) return kept < 16 && kept * reduced >= 65536;
        return g.kind == Group::Kind::columns && kept < 4096 && kept * reduced >= 65536;
    }
    bool scalars(const Group& g) const { return g.kind == Group::Kind::elements && g.kept == SizeId(1); }
    std::string name(const Group& g) const { return std::string(graph_.name_of(g.members.back())); }

    // The group of both, or the reason against it.
    std::string refuse(const Group& a, const Group& b, Group& joined) const {
        if (a.kind == Group::Kind::alone || b.kind == Group::Kind::alone)
            return "cat and update are kernels of their own";
        if (a.interpreted || b.interpreted) return "`compile: false` keeps an op a kernel of its own";
        const bool reduce_a = a.kind != Group::Kind::elements, reduce_b = b.kind != Group::Kind::elements;
        joined = reduce_b ? b : a;
        if (reduce_a && reduce_b) {
            if (a.kind != b.kind || a.kept != b.kept || a.reduced != b.reduced) return "they reduce different elements";
        } else if (reduce_a || reduce_b) {
            const Group &reduction = reduce_a ? a : b, &other = reduce_a ? b : a;
            const SizeId all = facts_.mul(reduction.kept, reduction.reduced);
            const bool along = other.kept == all && reduction.kind == Group::Kind::rows;
            if (!scalars(other) && other.kept != reduction.kept && !along) return "they go through different elements";
            if (along && other.kept != reduction.kept) {
                if (long_reduction(reduction)) return "a reduction this long is shared among threads";
                if (hint(reduction.reduced) < short_row && hint(all) >= many_elements)
                    return "rows this short are slow to go through one by one";
            }
        } else if (a.kept != b.kept && !scalars(a) && !scalars(b)) return "they go through different elements";
        else if (scalars(a)) joined = b;
        joined.members.clear();
        std::merge(a.members.begin(), a.members.end(), b.members.begin(), b.members.end(),
                   std::back_inserter(joined.members));
        joined.cost = a.cost + b.cost;
        if (joined.cost > most_operations) return "together they are too large for one kernel";
        for (NodeId reader : joined.members)
            for (const Read& r : memory_.reads[reader.index])
                if (joined.has_member(r.source) && !reaches(joined, reader, r))
                    return "an element of " + std::string(graph_.name_of(reader)) + " needs other elements of " +
                           std::string(graph_.name_of(r.source));
        if (buffers(joined) > most_buffers) return "together they read and write too many tensors";
        return {};
    }
    // Is the element read made in the same iteration of the joined kernel's nest, before it is needed?
    bool reaches(const Group& g, NodeId reader, const Read& r) const {
        const SizeId source = numel(r.source), mine = numel(reader);
        const bool before = !reduces(r.source) && depends_on_no_reduction(g, r.source);
        if (reduces(reader) && long_reduction(g) && !before)
            return false;  // its elements would wait for another whole reduction
        if (r.alignment == Alignment::single) return source == g.kept || before;
        if (g.kind == Group::Kind::elements) return r.alignment == Alignment::full;
        const bool source_kept = reduces(r.source) || source == g.kept;
        if (reduces(reader))
            return source_kept ? r.alignment == Alignment::leading
                               : r.alignment == Alignment::full && g.kind == Group::Kind::rows;
        const bool reader_kept = mine == g.kept;
        if (reader_kept)
            return source_kept &&
                   (r.alignment == Alignment::full || (r.alignment == Alignment::leading && mine == source));
        return source_kept ? r.alignment == Alignment::leading : r.alignment == Alignment::full;
    }
    bool depends_on_no_reduction(const Group& g, NodeId id) const {
        std::vector<NodeId> seen{id};
        for (size_t k = 0; k < seen.size(); ++k)
            for (const Read& r : memory_.reads[seen[k].index]) {
                if (!g.has_member(r.source)) continue;
                if (reduces(r.source)) return false;
                if (std::find(seen.begin(), seen.end(), r.source) == seen.end()) seen.push_back(r.source);
            }
        return true;
    }
    size_t buffers(const Group& g) const {
        std::vector<NodeId> outside;
        for (NodeId m : g.members)
            for (const Read& r : memory_.reads[m.index])
                if (!g.has_member(r.source) && std::find(outside.begin(), outside.end(), r.source) == outside.end())
                    outside.push_back(r.source);
        return outside.size() + g.members.size();
    }
    // Would a value that is computed again for backward be there earlier than it is needed, and memory with it?
    bool undoes_checkpoint(const Group& a, const Group& b, const Group& joined) const {
        const auto comes_earlier = [&](const Group& g) {
            return joined.members.front() < g.members.front() &&
                   std::any_of(
                       g.members.begin(), g.members.end(),
                       [&](NodeId m) { return (graph_[m].flags & recomputed_flag) && needed_outside(joined, m); });
        };
        return comes_earlier(a) || comes_earlier(b);
    }
    bool try_join(int a, int b, bool report) {
        Group joined;
        std::string reason = refuse(groups_[size_t(a)], groups_[size_t(b)], joined);
        if (reason.empty() && undoes_checkpoint(groups_[size_t(a)], groups_[size_t(b)], joined))
            reason = "a checkpoint's value is computed again where it is needed, no earlier";
        if (reason.empty() && (needs_indirectly(Item(a), Item(b)) || needs_indirectly(Item(b), Item(a))))
            reason = "something between them is no part of a kernel";
        if (reason.empty()) {
            merge(a, b, std::move(joined));
            return true;
        }
        if (report)
            decisions_.push_back({"not fused", name(groups_[size_t(a)]) + " with " + name(groups_[size_t(b)]),
                                  std::move(reason), graph_.origins[groups_[size_t(b)].members.back().index]});
        return false;
    }
    void merge(int a, int b, Group joined) {  // a's members become b's
        for (NodeId m : groups_[size_t(a)].members) group_of_[m.index] = b;
        groups_[size_t(a)] = {};
        groups_[size_t(b)] = std::move(joined);
        std::vector<Item>& mine = needs_[size_t(b)];
        mine.insert(mine.end(), needs_[size_t(a)].begin(), needs_[size_t(a)].end());
        needs_[size_t(a)].clear();
        for (std::vector<Item>& list : needs_) std::replace(list.begin(), list.end(), Item(a), Item(b));
        std::sort(mine.begin(), mine.end());
        mine.erase(std::unique(mine.begin(), mine.end()), mine.end());
        std::erase(mine, Item(b));
    }
    void join_producers() {
        for (NodeId id : graph_.body()) {
            if (!memory_.has[id.index]) continue;
            bool again = true;
            std::vector<int> refused;
            while (again) {  // the nearest producer first
                again = false;
                const int mine = group_of_[id.index];
                std::vector<NodeId> sources;
                for (const Read& r : memory_.reads[id.index]) sources.push_back(r.source);
                std::sort(sources.begin(), sources.end(), std::greater<>());
                for (NodeId source : sources) {
                    const int other = group_of_[source.index];
                    if (other < 0 || other == mine || std::find(refused.begin(), refused.end(), other) != refused.end())
                        continue;
                    if (try_join(other, mine, true)) {
                        again = true;
                        break;
                    }
                    refused.push_back(other);
                }
            }
        }
    }
    // Kernels that go through the same elements and read the same memory; and 0-dim values, which take no loop.
    void join_siblings() {
        std::vector<std::vector<int>> readers(graph_.nodes.size());
        for (NodeId id : graph_.body())
            if (memory_.has[id.index])
                for (const Read& r : memory_.reads[id.index])
                    if (r.alignment == Alignment::full) readers[r.source.index].push_back(int(id.index));
        const auto join = [&](int first, int second) {
            const int a = group_of_[size_t(first)], b = group_of_[size_t(second)];
            if (a == b) return;
            const Group &x = groups_[size_t(a)], &y = groups_[size_t(b)];
            if (x.kind == y.kind && x.kept == y.kept && x.reduced == y.reduced)
                try_join(std::max(a, b), std::min(a, b), false);
        };
        for (const std::vector<int>& list : readers)
            for (size_t k = 1; k < list.size(); ++k) join(list[0], list[k]);
        int scalar = -1;
        for (NodeId id : graph_.body()) {
            if (!memory_.has[id.index] || !scalars(groups_[size_t(group_of_[id.index])])) continue;
            if (scalar >= 0) join(scalar, int(id.index));
            scalar = int(id.index);
        }
    }

    // Small kernels that do the same to other tensors, an optimiser's update of each parameter: one kernel with a nest
    // each.
    void join_alike() {
        std::map<std::vector<uint64_t>, std::vector<int>> alike;
        for (size_t g = 0; g < groups_.size(); ++g)
            if (!groups_[g].members.empty() && groups_[g].kind == Group::Kind::elements && !scalars(groups_[g]) &&
                !groups_[g].interpreted)
                alike[likeness(groups_[g])].push_back(int(g));
        for (const auto& [key, list] : alike) {
            int last = list[0];
            for (size_t k = 1; k < list.size(); ++k) {
                Group joined = groups_[size_t(list[k])];
                const Group& other = groups_[size_t(last)];
                joined.kept = facts_.add(joined.kept, other.kept);
                joined.cost += other.cost;
                joined.members.insert(joined.members.end(), other.members.begin(), other.members.end());
                std::sort(joined.members.begin(), joined.members.end());
                const bool small = hint(joined.kept) <= many_elements && joined.cost <= most_operations &&
                                   buffers(joined) <= 2 * most_buffers;
                if (small && !undoes_checkpoint(groups_[size_t(list[k])], other, joined) &&
                    !needs(Item(list[k]), Item(last)) && !needs(Item(last), Item(list[k])))
                    merge(last, list[k], std::move(joined));
                last = list[k];
            }
        }
    }
    bool needs(Item from, Item to) const {
        return std::find(needs_[from].begin(), needs_[from].end(), to) != needs_[from].end() ||
               needs_indirectly(from, to);
    }
    // What the kernel does, but for sizes and for which tensors: ops, attributes, dtypes and how they hang together.
    std::vector<uint64_t> likeness(const Group& g) const {
        const Contents c = contents(g);
        std::unordered_map<NodeId, uint64_t> place;
        std::vector<uint64_t> key{c.inputs.size(), c.outputs.size()};
        for (NodeId id : c.nodes) {
            key.push_back(uint64_t(graph_[id].op.row) << 40 | uint64_t(graph_.type(id).dtype) << 32 |
                          graph_[id].attr.index);
            for (NodeId o : graph_.operands_of(id)) {
                const bool literal = graph_[o].op == op<"constant">();
                const auto [it, fresh] = place.try_emplace(o, place.size());
                key.push_back(literal ? uint64_t(graph_[o].attr.index) << 8 | 1
                                      : it->second << 8 | uint64_t(graph_.type(o).dtype) << 4);
            }
            place.try_emplace(id, place.size());
        }
        return key;
    }

    // ---- writing the graph
    GraphRef write() {
        builder_.set_origin_rule(context_.name("fuse"));
        copy_.copy_params();
        for (NodeId id : graph_.body())
            if (is_item(id)) {
                const Item item = item_of(id);
                if (item >= groups_.size() || groups_[item].members.front() == id) items_.push_back(item);
            }
        std::vector<int> waiting(needs_.size());
        std::vector<std::vector<Item>> users(needs_.size());
        const auto place = [&](Item i) {
            return i < groups_.size() ? groups_[i].members.front().index : uint32_t(i - groups_.size());
        };
        const auto later = [&](Item a, Item b) { return place(a) > place(b); };
        std::priority_queue<Item, std::vector<Item>, decltype(later)> ready(later);
        for (Item i : items_) {
            waiting[i] = int(needs_[i].size());
            for (Item n : needs_[i]) users[n].push_back(i);
            if (waiting[i] == 0) ready.push(i);
        }
        size_t done = 0;
        for (; !ready.empty(); ++done) {
            const Item item = ready.top();
            ready.pop();
            if (item < groups_.size()) write_group(groups_[item]);
            else write_node(NodeId(uint32_t(item - groups_.size())));
            for (Item user : users[item])
                if (--waiting[user] == 0) ready.push(user);
        }
        assert(done == items_.size());
        std::vector<NodeId> results;
        for (NodeId r : graph_.results()) results.push_back(in_memory(r));
        return builder_.finish(results, graph_.name);
    }
    // The value as a node outside fusions; a reshape of one is written where it is first needed.
    NodeId in_memory(NodeId id) {
        if (copy_.has(id) || graph_[id].op == op<"constant">() || graph_[id].op == op<"tensor">()) return copy_(id);
        assert(graph_[id].op == op<"reshape">());
        in_memory(graph_.operand(id, 0));
        return copy_.copy(id);
    }
    void write_node(NodeId id) {
        for (NodeId o : graph_.operands_of(id)) in_memory(o);
        copy_.copy(id);
    }

    Contents contents(const Group& g) const {
        Contents c;
        std::vector<bool> seen(graph_.nodes.size());
        std::vector<NodeId> stack;
        for (NodeId m : g.members)
            if (needed_outside(g, m)) c.outputs.push_back(m);
        stack = c.outputs;
        NodeId base;
        std::vector<NodeId>
            views;  // an update's view is an address: its movement is inside even where it is in memory too
        if (graph_[g.members[0]].op == op<"update">()) {
            base = graph_.operand(g.members[0], 0);
            for (NodeId view = graph_.operand(g.members[0], 1); view != base; view = graph_.operand(view, 0))
                views.push_back(view);
        }
        while (!stack.empty()) {
            const NodeId id = stack.back();
            stack.pop_back();
            if (seen[id.index] || graph_[id].op == op<"constant">()) continue;
            seen[id.index] = true;
            const bool view = std::find(views.begin(), views.end(), id) != views.end();
            const bool outside =
                (memory_.has[id.index] && !g.has_member(id) && !view) || !is_fusable(graph_, id) || id == base;
            (outside ? c.inputs : c.nodes).push_back(id);
            if (!outside)
                for (NodeId o : graph_.operands_of(id)) stack.push_back(o);
        }
        std::sort(c.inputs.begin(), c.inputs.end());
        std::sort(c.nodes.begin(), c.nodes.end());
        return c;
    }
    bool needed_outside(const Group& g, NodeId m) const {
        if (memory_.wanted[m.index]) return true;
        const std::vector<NodeId>& readers = readers_[m.index];
        return std::any_of(readers.begin(), readers.end(), [&](NodeId reader) { return !g.has_member(reader); });
    }
    void write_group(const Group& g) {
        const Contents c = contents(g);
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
            decisions_.push_back({"interpreted", kernel, "`compile: false` keeps it on the interpreter", stamp.origin});
    }
    void report(const std::string& kernel, const Contents& c) {
        std::string ops;
        SizeId apart(0), together(0);
        const auto bytes = [&](NodeId id) {
            return context_.mul(numel(id), SizeId(int64_t(size_of(graph_.type(id).dtype))));
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
        decisions_.push_back({"fused", kernel, std::move(reason), graph_.origins[c.outputs.back().index]});
    }

    const Graph& graph_;
    Context& context_;
    const SizeFacts facts_;
    Decisions& decisions_;
    const Memory memory_;
    std::vector<int> group_of_;                 // of values with memory, −1 of others
    std::vector<Group> groups_;                 // empty: joined into another
    std::vector<std::vector<NodeId>> readers_;  // values with memory that read this one
    std::vector<std::vector<Item>> needs_;
    std::vector<Item> items_;
    Builder builder_;
    Copier copy_;
    int kernels_ = 0;
};

}  // namespace

GraphRef fuse(const Graph& graph, Decisions& decisions) { return Fuser(*prepare_fusion(graph), decisions).run(); }

}  // namespace tenon
