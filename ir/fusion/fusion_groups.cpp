#include "ir/fusion/fusion_groups.h"

#include <algorithm>
#include <cassert>
#include <map>
#include <unordered_map>

#include "ir/fusion/long_reduction.h"
#include "runtime/integer.h"

namespace tenon {

namespace {
constexpr int most_operations = 1000;  // of one kernel; beyond it compile time grows and registers spill
constexpr size_t most_buffers = 32;
constexpr int64_t short_row = 16, many_elements = 32768;
constexpr int64_t crossed_bytes =
    1 << 20;  // of a tensor that is gone through once for rows and columns: near caches hold less
}  // namespace

FusionGroups::FusionGroups(const Graph& g, Decisions& decisions, const std::vector<bool>& kept)
    : graph_(g), context_(*g.context), facts_(context_, g.equalities), decisions_(decisions),
      memory_(assign_memory(g, decisions, kept)), group_of_(g.nodes.size(), -1), readers_(g.nodes.size()),
      others_before_(g.nodes.size()), items_(g.nodes.size()) {
    for (const SizeSymbol& s : g.symbols) hints_.push_back(s.hint);
    for (NodeId id : g.body())
        if (memory_.has[id.index]) found(id);
    uint32_t others = 0;
    for (NodeId id : g.body()) {
        others_before_[id.index] = others;
        others += is_item(id) && !(g[id].flags & recomputed_flag);
    }
    find_dependences();
    join_producers();
    join_siblings();
    join_crossings();
    join_alike();
}

// ---- the groups to begin with ---------------------------------------------------------------------------------------
void FusionGroups::found(NodeId id) {
    Group g;
    g.members = {id};
    g.kept = numel(id);
    g.cost = memory_.cost[id.index];
    g.interpreted = stays_interpreted(graph_, id);
    if (needs_own_kernel(row(graph_[id].op).memory)) g.kind = Group::Kind::alone;
    else if (reduces(id)) {
        const Type& from = graph_.type(graph_.operand(id, 0));
        const Dims axes = graph_.attributes(id).integers("axes");
        for (int64_t a : axes) g.reduced = facts_.mul(g.reduced, from.sizes[size_t(a)]);
        g.kind = from.rank() == 0 || axes.back() + 1 == int64_t(from.rank()) ? Group::Kind::rows : Group::Kind::columns;
    }
    group_of_[id.index] = int(groups_.size());
    groups_.push_back(std::move(g));
}

void FusionGroups::find_dependences() {
    NodeId last_ordered;
    for (NodeId id : graph_.body()) {
        if (memory_.has[id.index]) {
            for (const Read& r : memory_.reads[id.index]) {
                need(id, r.source);
                if (readers_[r.source.index].empty() || readers_[r.source.index].back() != id)
                    readers_[r.source.index].push_back(id);
            }
            if (row(graph_[id].op).memory == MemoryUse::replaces) need(id, graph_.operand(id, replaced_base));
        } else if (!is_fusable(graph_, id)) {
            for (NodeId o : graph_.operands_of(id)) need(id, o);
            if (!is_ordered(row(graph_[id].op).effect)) continue;
            if (last_ordered) items_.need(id.index, last_ordered.index);
            last_ordered = id;
        }
    }
}
void FusionGroups::need(NodeId user, NodeId value) {
    value = through_names(graph_, value);
    const Op o = graph_[value].op;
    if (o != op<"param">() && o != op<"constant">() && o != op<"tensor">() && is_item(value))
        items_.need(user.index, value.index);
}

// ---- may two groups become one? -------------------------------------------------------------------------------------
// A long reduction with little beside it is split among threads by schedule: nothing that needs its result may go
// through its elements.
bool FusionGroups::is_long(const Group& g) const {
    if (g.kind != Group::Kind::rows && g.kind != Group::Kind::columns) return false;
    return is_long_reduction(g.kind == Group::Kind::rows, hint(g.kept), hint(g.reduced));
}

template <class F>
void FusionGroups::each_member(const Pair& p, F f) const {
    for (int g : {p.a, p.b})
        for (NodeId m : groups_[size_t(g)].members) f(m);
}

// Do they go through the same elements?
std::string FusionGroups::refuse_elements(Pair& p) const {
    const Group &a = groups_[size_t(p.a)], &b = groups_[size_t(p.b)];
    if (a.kind == Group::Kind::alone || b.kind == Group::Kind::alone) return "cat and update are kernels of their own";
    if (a.interpreted || b.interpreted) return "`compile: false` keeps an op a kernel of its own";
    const bool reduce_a = a.kind != Group::Kind::elements, reduce_b = b.kind != Group::Kind::elements;
    const auto shape = [](const Group& g) { return Group{g.kind, g.interpreted, {}, g.kept, g.reduced, 0}; };
    p.joined = shape(reduce_b || (!reduce_a && !scalars(b)) ? b : a);
    if (reduce_a && reduce_b) {
        if (a.kind != b.kind || a.kept != b.kept || a.reduced != b.reduced) return "they reduce different elements";
    } else if (reduce_a || reduce_b) {
        const Group &reduction = reduce_a ? a : b, &other = reduce_a ? b : a;
        const SizeId all = facts_.mul(reduction.kept, reduction.reduced);
        const bool along = other.kept == all && reduction.kind == Group::Kind::rows;
        if (!scalars(other) && other.kept != reduction.kept && !along) return "they go through different elements";
        if (along && other.kept != reduction.kept) {
            if (is_long(reduction)) return "a reduction this long is shared among threads";
            if (hint(reduction.reduced) < short_row && hint(all) >= many_elements)
                return "rows this short are slow to go through one by one";
        }
    } else if (a.kept != b.kept && !scalars(a) && !scalars(b)) return "they go through different elements";
    p.joined.cost = a.cost + b.cost;
    if (p.joined.cost > most_operations) return "together they are too large for one kernel";
    return {};
}

std::string FusionGroups::refuse(Pair& p) {
    if (std::string reason = refuse_elements(p); !reason.empty()) return reason;
    if (std::string reason = refuse_reads(p); !reason.empty()) return reason;
    if (buffers(p) > most_buffers) return "together they read and write too many tensors";
    if (delays_readers(p)) return "others read it, too, and would wait for all that the kernel needs";
    if (undoes_checkpoint(p)) return "what is computed again is computed where it is needed, no earlier";
    return {};
}

// Each element that one member reads of another must be made in the same iteration of the joined kernel's nest.
std::string FusionGroups::refuse_reads(const Pair& p) {
    std::vector<NodeId> members;
    each_member(p, [&](NodeId m) { members.push_back(m); });
    const bool all = p.joined.kind != Group::Kind::elements;
    if (all) std::sort(members.begin(), members.end());  // else there is nothing to wait for
    met_.begin(graph_.nodes.size());                     // values that wait for a reduction of the kernel
    for (NodeId reader : members) {
        const int mine = group_of_[reader.index];
        for (const Read& r : memory_.reads[reader.index]) {
            ++steps_;
            if (!is_inside(p, r.source)) continue;
            const bool waits = met_.has(r.source.index);
            if (waits) met_.add(reader.index);
            if (!all && group_of_[r.source.index] == mine) continue;  // as before
            if (!reaches(p.joined, reader, r, waits))
                return "an element of " + std::string(graph_.name_of(reader)) + " needs other elements of " +
                       std::string(graph_.name_of(r.source));
        }
        if (reduces(reader)) met_.add(reader.index);
    }
    return {};
}

// `source_waits`: it is a reduction's result, or comes after one.
bool FusionGroups::reaches(const Group& g, NodeId reader, const Read& r, bool source_waits) const {
    const SizeId source = numel(r.source), mine = numel(reader);
    if (reduces(reader) && source_waits && is_long(g))
        return false;  // its elements would wait for another whole reduction
    if (r.alignment == Alignment::single) return source == g.kept || !source_waits;
    if (g.kind == Group::Kind::elements) return r.alignment == Alignment::full;
    const bool source_kept = reduces(r.source) || source == g.kept;
    if (reduces(reader))
        return source_kept ? r.alignment == Alignment::leading
                           : r.alignment == Alignment::full && g.kind == Group::Kind::rows;
    const bool reader_kept = mine == g.kept;
    if (reader_kept)
        return source_kept && (r.alignment == Alignment::full || (r.alignment == Alignment::leading && mine == source));
    return source_kept ? r.alignment == Alignment::leading : r.alignment == Alignment::full;
}

size_t FusionGroups::buffers(const Pair& p) {
    size_t count = 0;
    met_.begin(graph_.nodes.size());
    each_member(p, [&](NodeId m) {
        count += is_needed_outside(p, m);
        for (const Read& r : memory_.reads[m.index]) count += !is_inside(p, r.source) && met_.add(r.source.index);
        steps_ += memory_.reads[m.index].size();
    });
    return count;
}

bool FusionGroups::is_needed_outside(const Pair& p, NodeId m) const {
    if (memory_.wanted[m.index]) return true;
    const std::vector<NodeId>& readers = readers_[m.index];
    return std::any_of(readers.begin(), readers.end(), [&](NodeId reader) { return !is_inside(p, reader); });
}

// Is the first of them, which the second reads, next to nothing to compute, and read by others? An optimiser counts its
// steps: no parameter's update should wait for another one's gradient.
bool FusionGroups::delays_readers(const Pair& p) const {
    const Group &a = groups_[size_t(p.a)], &b = groups_[size_t(p.b)];
    if (!scalars(a) || scalars(b)) return false;
    return std::any_of(a.members.begin(), a.members.end(), [&](NodeId m) {
        const std::vector<NodeId>& readers = readers_[m.index];
        return std::any_of(readers.begin(), readers.end(), [&](NodeId reader) { return !is_inside(p, reader); });
    });
}

// Would a value that is computed again for backward be there earlier than it is needed, and memory with it?
bool FusionGroups::undoes_checkpoint(const Pair& p) const {
    const Group &a = groups_[size_t(p.a)], &b = groups_[size_t(p.b)];
    const NodeId first = std::min(a.members.front(), b.members.front());
    const auto comes_earlier = [&](const Group& g) {
        return others_before_[first.index] < others_before_[g.members.front().index] &&
               std::any_of(
                   g.members.begin(), g.members.end(),
                   [&](NodeId m) { return (graph_[m].flags & recomputed_flag) && is_needed_outside(p, m); });
    };
    return comes_earlier(a) || comes_earlier(b);
}

// ---- joining --------------------------------------------------------------------------------------------------------
bool FusionGroups::try_join(int a, int b, bool report) {
    Pair p{a, b, {}};
    const Group &first = groups_[size_t(a)], &second = groups_[size_t(b)];
    std::string reason = refuse(p);
    if (reason.empty()) {
        switch (items_.join(first.members[0].index, second.members[0].index)) {
            case ItemGraph::Joined::yes: merge(std::move(p)); return true;
            case ItemGraph::Joined::needed_between: reason = "something between them is no part of a kernel"; break;
            case ItemGraph::Joined::too_far: reason = "too much lies between them to tell what needs what"; break;
        }
    }
    if (report)
        decisions_.push_back({DecisionKind::not_fused, name(first) + " with " + name(second), std::move(reason),
                              graph_.origins[second.members.back().index], traffic(first, second)});
    return false;
}

// What apart from each other they write and read again.
int64_t FusionGroups::traffic(const Group& from, const Group& to) const {
    std::vector<NodeId> read;
    for (NodeId m : to.members)
        for (const Read& r : memory_.reads[m.index])
            if (std::binary_search(from.members.begin(), from.members.end(), r.source)) read.push_back(r.source);
    std::sort(read.begin(), read.end());
    read.erase(std::unique(read.begin(), read.end()), read.end());
    int64_t bytes = 0;
    for (NodeId id : read) bytes += 2 * hint(numel(id)) * int64_t(size_of(graph_.type(id).dtype));
    return bytes;
}

void FusionGroups::merge(Pair&& p) {  // a's members become b's
    Group &a = groups_[size_t(p.a)], &b = groups_[size_t(p.b)];
    for (NodeId m : a.members) group_of_[m.index] = p.b;
    std::merge(a.members.begin(), a.members.end(), b.members.begin(), b.members.end(),
               std::back_inserter(p.joined.members));
    steps_ += p.joined.members.size();
    a = {};
    b = std::move(p.joined);
}

void FusionGroups::join_producers() {
    Marks refused;
    for (NodeId id : graph_.body()) {
        if (!memory_.has[id.index]) continue;
        refused.begin(groups_.size());
        std::vector<NodeId> sources;
        for (const Read& r : memory_.reads[id.index]) sources.push_back(r.source);
        std::sort(sources.begin(), sources.end(), std::greater<>());
        for (bool again = true; again;) {  // the nearest producer first
            again = false;
            const int mine = group_of_[id.index];
            for (NodeId source : sources) {
                const int other = group_of_[source.index];
                if (other < 0 || other == mine || refused.has(uint32_t(other))) continue;
                again = try_join(other, mine, true);
                if (again) break;
                refused.add(uint32_t(other));
            }
        }
    }
}

// Of each value: those that read it element by element.
std::vector<std::vector<NodeId>> FusionGroups::full_readers() const {
    std::vector<std::vector<NodeId>> readers(graph_.nodes.size());
    for (NodeId id : graph_.body())
        if (memory_.has[id.index])
            for (const Read& r : memory_.reads[id.index])
                if (r.alignment == Alignment::full) readers[r.source.index].push_back(id);
    return readers;
}

// Kernels that go through the same elements and read the same memory; and 0-dim values, which take no loop.
void FusionGroups::join_siblings() {
    const std::vector<std::vector<NodeId>> readers = full_readers();
    const auto join = [&](NodeId first, NodeId second) {
        const int a = group_of_[first.index], b = group_of_[second.index];
        if (a == b) return;
        const Group &x = groups_[size_t(a)], &y = groups_[size_t(b)];
        if (x.kind == y.kind && x.kept == y.kept && x.reduced == y.reduced)
            try_join(std::max(a, b), std::min(a, b), false);
    };
    for (const std::vector<NodeId>& list : readers)
        for (size_t k = 1; k < list.size(); ++k) join(list[0], list[k]);
    NodeId scalar;
    for (NodeId id : graph_.body()) {
        if (!memory_.has[id.index] || !scalars(groups_[size_t(group_of_[id.index])])) continue;
        if (scalar) join(scalar, id);
        scalar = id;
    }
}

// Rows with long sums of the columns of what they read or make. The rows need nothing of the sums, so each stays as it is within the
// kernel.
void FusionGroups::join_crossings() {
    const std::vector<std::vector<NodeId>> readers = full_readers();
    for (const bool cross : {false, true}) {  // all sums of columns become one kernel first
        for (uint32_t source = 0; source < readers.size(); ++source) {
            const std::vector<NodeId>& list = readers[source];
            if (list.empty()) continue;
            const SizeId all = numel(NodeId{source});
            const auto bytes = int64_t(size_of(graph_.type(NodeId{source}).dtype));
            if (multiply_saturated(hint(all), bytes) < crossed_bytes) continue;
            int rows = -1, columns = -1;
            const auto look = [&](NodeId id) {
                const int mine = group_of_[id.index];
                if (mine < 0) return;
                const Group& g = groups_[size_t(mine)];
                if (g.kind == Group::Kind::rows && facts_.mul(g.kept, g.reduced) == all) rows = mine;
            };
            for (NodeId reader : list) look(reader);
            look(NodeId{source});
            for (NodeId reader : list) {
                const int mine = group_of_[reader.index];
                const Group& g = groups_[size_t(mine)];
                const bool fits =
                    rows >= 0 && g.kind == Group::Kind::columns && g.reduced == groups_[size_t(rows)].kept;
                if (fits && mine != columns && (columns < 0 || try_join(columns, mine, false))) columns = mine;
            }
            if (!cross || columns < 0) continue;
            const Group &a = groups_[size_t(rows)], &b = groups_[size_t(columns)];
            Pair p{rows, columns, {Group::Kind::crossed, false, {}, a.kept, a.reduced, a.cost + b.cost, b.members}};
            if (may_cross(p) && items_.join(a.members[0].index, b.members[0].index) == ItemGraph::Joined::yes)
                merge(std::move(p));
        }
    }
}

bool FusionGroups::may_cross(const Pair& p) {
    const Group &rows = groups_[size_t(p.a)], &columns = groups_[size_t(p.b)];
    if (rows.interpreted || columns.interpreted || p.joined.cost > most_operations) return false;
    if (rows.kept != columns.reduced || rows.reduced != columns.kept) return false;
    if (is_long(rows) || !is_long(columns) || undoes_checkpoint(p)) return false;
    for (NodeId m : columns.members) {  // of dimensions before all others, as rows are
        if (!reduces(m)) continue;
        const Dims axes = graph_.attributes(m).integers("axes");
        for (size_t k = 0; k < axes.size(); ++k)
            if (axes[k] != int64_t(k)) return false;
    }
    bool fits = true;
    each_member(p, [&](NodeId m) {
        for (const Read& r : memory_.reads[m.index])
            fits = fits && (!is_inside(p, r.source) || group_of_[r.source.index] == group_of_[m.index] ||
                            reads_across(p, m, r));
    });
    return fits && buffers(p) <= most_buffers;
}

// A sum of columns may read, row by row, what the rows leave in memory: a norm's deviations, a gradient that is passed on.
bool FusionGroups::reads_across(const Pair& p, NodeId reader, const Read& r) const {
    if (group_of_[reader.index] != p.b || !reduces(reader)) return false;
    const SizeId source = numel(r.source), rows = p.joined.kept;
    return (source == rows && r.alignment == Alignment::reduced) ||
           (source == facts_.mul(rows, p.joined.reduced) && r.alignment == Alignment::full);
}
bool FusionGroups::is_read_below(const Group& g, NodeId m) const {
    const auto below = [&](NodeId id) { return std::binary_search(g.below.begin(), g.below.end(), id); };
    const std::vector<NodeId>& readers = readers_[m.index];
    return !below(m) && std::any_of(readers.begin(), readers.end(), below);
}

// Small kernels that do the same to other tensors, an optimiser's update of each parameter: one kernel with a nest
// each.
void FusionGroups::join_alike() {
    std::map<std::vector<uint64_t>, std::vector<int>> alike;
    for (size_t g = 0; g < groups_.size(); ++g)
        if (!groups_[g].members.empty() && groups_[g].kind == Group::Kind::elements && !scalars(groups_[g]) &&
            !groups_[g].interpreted)
            alike[likeness(groups_[g])].push_back(int(g));
    for (const auto& [key, list] : alike) {
        for (size_t k = 1; k < list.size(); ++k) {
            Pair p{list[k - 1], list[k], {}};
            const Group &last = groups_[size_t(p.a)], &mine = groups_[size_t(p.b)];
            p.joined.kept = facts_.add(mine.kept, last.kept);
            p.joined.cost = mine.cost + last.cost;
            const bool small = hint(p.joined.kept) <= many_elements && p.joined.cost <= most_operations &&
                               buffers(p) <= 2 * most_buffers;
            if (small && !undoes_checkpoint(p) &&
                items_.join(last.members[0].index, mine.members[0].index, true) == ItemGraph::Joined::yes)
                merge(std::move(p));
        }
    }
}

// What the kernel does, but for sizes and for which tensors: ops, attributes, dtypes and how they hang together.
std::vector<uint64_t> FusionGroups::likeness(const Group& g) {
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

// ---- what is in a kernel --------------------------------------------------------------------------------------------
FusionGroups::Contents FusionGroups::contents(const Group& g) {
    Contents c;
    const int mine = group_of_[g.members[0].index];
    for (NodeId m : g.members)
        if (is_needed_outside({mine, mine, {}}, m) || is_read_below(g, m)) c.outputs.push_back(m);
    NodeId base;
    views_.begin(graph_.nodes.size());  // an update's view is an address: its movement is inside even where it is in
                                        // memory too
    if (row(graph_[g.members[0]].op).memory == MemoryUse::replaces) {
        base = graph_.operand(g.members[0], replaced_base);
        for (NodeId view = graph_.operand(g.members[0], replaced_view); view != base; view = graph_.operand(view, 0))
            views_.add(view.index);
    }
    met_.begin(graph_.nodes.size());
    std::vector<NodeId> stack = c.outputs;
    while (!stack.empty()) {
        const NodeId id = stack.back();
        stack.pop_back();
        if (graph_[id].op == op<"constant">() || !met_.add(id.index)) continue;
        ++steps_;
        const bool foreign = memory_.has[id.index] && group_of_[id.index] != mine && !views_.has(id.index);
        const bool outside = foreign || !is_fusable(graph_, id) || id == base;
        (outside ? c.inputs : c.nodes).push_back(id);
        if (!outside)
            for (NodeId o : graph_.operands_of(id)) stack.push_back(o);
    }
    std::sort(c.inputs.begin(), c.inputs.end());
    std::sort(c.nodes.begin(), c.nodes.end());
    return c;
}

}  // namespace tenon
