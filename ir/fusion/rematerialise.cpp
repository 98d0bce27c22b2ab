// Derivatives compute again what is cheaper to compute than to keep. Of a whole step, as a part of fuse; of two halves, by
// way of the graph that they are halves of. What only derivatives read is computed where they begin to. Metadata and
// origins go with the copies, which are marked `recomputed_flag`.
#include "ir/fusion/rematerialise.h"

#include <algorithm>
#include <string_view>

#include "ir/build/copier.h"
#include "ir/fusion/materialise.h"
#include "ir/fusion/saved_values.h"

namespace tenon {

namespace {

class Rematerialiser {
public:
    // `moved`: by node, what is only computed where it is first read.
    Rematerialiser(const Graph& g, const std::vector<bool>& backward, const std::vector<bool>& moved,
                   const SavedValues& chosen)
        : graph_(g), backward_(backward), moved_(moved), chosen_(chosen), builder_(*g.context), copy_(g, builder_),
          made_(g.nodes.size()) {}

    Rematerialised run() {
        copy_.copy_params();
        for (NodeId id : graph_.body()) {
            if (moved_[id.index]) continue;
            if (backward_[id.index]) copy_reader(id);
            else copy_.copy(id);
        }
        Rematerialised made;
        std::vector<NodeId> places;
        made.graph = builder_.finish(results(), graph_.name, false, &places);
        made.kept.resize(made.graph->nodes.size());
        for (NodeId id : graph_.body())
            if (chosen_.kept[id.index] && is_fusable(graph_, id))
                if (const NodeId place = places[copy_(id).index]) made.kept[place.index] = true;
        return made;
    }

private:
    bool is_late(NodeId id) const { return moved_[id.index] || chosen_.again[id.index]; }
    std::vector<NodeId> results() {
        std::vector<NodeId> results;
        for (NodeId r : graph_.results()) results.push_back(copy_(r));
        return results;
    }
    void copy_reader(NodeId id) {
        std::vector<std::pair<NodeId, NodeId>> originals;  // and what stood for them
        for (NodeId operand : graph_.operands_of(id)) {
            if (!is_late(operand)) continue;
            const NodeId made = late(operand);
            originals.push_back({operand, copy_.has(operand) ? copy_(operand) : NodeId()});
            copy_.map(operand, made);
        }
        copy_.copy(id);
        for (size_t k = originals.size(); k-- > 0;) copy_.map(originals[k].first, originals[k].second);
    }
    // With what it is computed from, down to what is kept. That may be as long as the graph: no recursion.
    NodeId late(NodeId id) {
        const auto known = [&](NodeId at) { return is_late(at) ? made_[at.index] : copy_(at); };
        std::vector<NodeId> stack{id};
        while (!stack.empty()) {
            const NodeId at = stack.back();
            const std::span<const NodeId> read = graph_.operands_of(at);
            const auto missing = std::find_if(read.begin(), read.end(), [&](NodeId o) { return !known(o); });
            if (!made_[at.index] && missing != read.end()) {
                stack.push_back(*missing);
                continue;
            }
            stack.pop_back();
            if (!made_[at.index]) make(at, known);
        }
        return made_[id.index];
    }
    void make(NodeId id, const auto& known) {
        std::vector<NodeId> operands;
        for (NodeId operand : graph_.operands_of(id)) operands.push_back(known(operand));
        Stamp stamp = copy_.stamp_of(id);
        if (chosen_.again[id.index]) stamp.flags = uint8_t((stamp.flags & ~policy_flags) | recomputed_flag);
        Builder::StampScope scope(builder_, stamp);
        made_[id.index] = builder_.emit_typed(graph_[id].op, graph_[id].type, operands, graph_[id].attr);
        builder_.set_name(made_[id.index], graph_.names[id.index]);
    }

    const Graph& graph_;
    const std::vector<bool>&backward_, &moved_;
    const SavedValues& chosen_;
    Builder builder_;
    Copier copy_;
    std::vector<NodeId> made_;  // where derivatives read it
};

// What only derivatives read, and can be computed anywhere, is a part of them.
std::vector<bool> add_to_backward(const Graph& g, std::vector<bool>& backward) {
    std::vector<bool> moved(g.nodes.size()), stays(g.nodes.size());
    for (NodeId r : g.results()) stays[r.index] = true;
    const auto body = g.body();
    std::vector<bool> is_read(g.nodes.size());
    for (size_t k = body.size(); k-- > 0;) {
        const NodeId id = body[k];
        const Row& r = row(g[id].op);
        const bool simple = r.lowering == Lowering::scalar || r.lowering == Lowering::movement;
        if (!backward[id.index] && simple && is_read[id.index] && !stays[id.index] && !stays_interpreted(g, id))
            backward[id.index] = moved[id.index] = true;
        for (NodeId o : g.operands_of(id)) {
            is_read[o.index] = true;
            if (!backward[id.index] || r.memory == MemoryUse::replaces) stays[o.index] = true;
        }
    }
    return moved;
}

// The name that the halves' names are made of.
NameId joint_name(const Graph& forward) {
    constexpr std::string_view suffix = ".forward";
    const std::string_view name = forward.name ? forward.context->text(forward.name) : std::string_view();
    return name.ends_with(suffix) ? forward.context->name(name.substr(0, name.size() - suffix.size())) : NameId();
}
// Two halves as one graph again.
Joint join(const Split& split) {
    const Graph &forward = *split.forward, &backward = *split.backward;
    Builder builder(*forward.context);
    Copier before(forward, builder), after(backward, builder);
    before.copy_params();
    for (NodeId p : backward.params().subspan(split.saved.size())) after.copy_parameter(p);
    before.copy_body();
    for (size_t k = 0; k < split.saved.size(); ++k) {
        const Split::Saved& saved = split.saved[k];
        after.map(backward.params()[k], before((saved.is_input ? forward.params() : forward.results())[saved.index]));
    }
    builder.known_sizes().add(backward.equalities);
    after.copy_body();
    std::vector<NodeId> results;
    for (NodeId r : forward.results().first(split.results)) results.push_back(before(r));
    for (NodeId r : backward.results()) results.push_back(after(r));
    Joint joint;
    joint.graph = builder.finish(results, joint_name(forward));
    joint.inputs = forward.params().size();
    joint.outputs = split.results;
    joint.results.resize(split.cotangents);
    return joint;
}

}  // namespace

Rematerialised rematerialise_step(const GraphRef& graph, Decisions& decisions) {
    const Graph& g = *graph;
    std::vector<bool> backward(g.nodes.size());
    bool any = false, all = true;
    for (NodeId id : g.body()) {
        backward[id.index] = g.origin(id).differentiated || (g[id].flags & recomputed_flag);
        any |= backward[id.index];
        all &= backward[id.index];
    }
    if (!any || all) return {graph, std::vector<bool>(g.nodes.size())};
    const std::vector<bool> moved = add_to_backward(g, backward);
    const SavedValues chosen = choose_saved_values(g, backward, true, Target{}, decisions);
    Rematerialised made = Rematerialiser(g, backward, moved, chosen).run();
    made.graph = verified(PassId::rematerialise, made.graph);
    return made;
}

Split rematerialise(const Split& split, Decisions& decisions) {
    Joint joint = join(split);
    joint.graph = expand(joint.graph);
    const Graph& g = *joint.graph;
    std::vector<bool> backward(g.nodes.size(), true);
    std::vector<NodeId> stack(g.results().begin(), g.results().begin() + ptrdiff_t(joint.outputs));
    for (NodeId id : g.body())
        if (is_ordered(row(g[id].op).effect)) stack.push_back(id);
    while (!stack.empty()) {
        const NodeId id = stack.back();
        stack.pop_back();
        if (!backward[id.index]) continue;
        backward[id.index] = false;
        for (NodeId operand : g.operands_of(id)) stack.push_back(operand);
    }
    for (NodeId p : g.params().first(joint.inputs)) backward[p.index] = false;
    const SavedValues chosen = choose_saved_values(g, backward, false, Target{}, decisions);
    joint.graph = verified(PassId::rematerialise,
                           Rematerialiser(g, backward, std::vector<bool>(g.nodes.size()), chosen).run().graph);
    Split made = split_joint(joint);
    made.forward = renumber_symbols(made.forward);
    made.backward = renumber_symbols(made.backward);
    return made;
}

}  // namespace tenon
