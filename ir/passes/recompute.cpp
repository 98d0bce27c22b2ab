// recompute: what lies in a checkpoint is computed again where gradients need it, instead of being kept until then.
// So is what scans in derivatives read of others' turns (settle_turns). Needs inlined calls; afterwards no derivative reads a marked value. It comes after all differentiation: so neither
// derivatives nor the order of their sums depend on checkpoints, whatever the order of the derivative.
#include <algorithm>

#include "ir/build/copier.h"
#include "ir/differentiate/regions.h"
#include "ir/passes/passes.h"
#include "ir/row.h"

namespace tenon {

namespace {

class Recomputer {
public:
    Recomputer(const Graph& g, NodeId backward)
        : graph_(g), backward_(backward), builder_(*g.context), copy_(g, builder_), marked_(g.nodes.size()),
          clone_(g.nodes.size()) {}

    GraphRef run() {
        copy_.copy_params();
        for (NodeId id : graph_.body()) {
            // What one run of derivatives computes again is not kept for the next.
            if (!is_derivative(id) || id == backward_) forget_clones();
            if (reads_again(id)) copy_with_clones(id);
            else copy_.copy(id);
            if (is_kept(id)) builder_.set_flags(copy_(id), uint8_t(graph_[id].flags & ~policy_flags));
        }
        return copy_.finish();
    }
    bool is_needed() {
        find_marked();
        const auto has_work = [&](NodeId id) {
            const auto operands = graph_.operands_of(id);
            return is_kept(id) || (reads_again(id) && std::any_of(operands.begin(), operands.end(),
                                                                  [&](NodeId o) { return marked_[o.index]; }));
        };
        return std::any_of(graph_.body().begin(), graph_.body().end(), has_work);
    }

private:
    bool is_in_checkpoint(NodeId id) const { return graph_[id].flags & recompute_flag; }
    bool is_derivative(NodeId id) const { return bool(graph_.origin(id).differentiated); }
    // What is in a checkpoint itself runs with it, the first time and again.
    bool reads_again(NodeId id) const { return is_derivative(id) && !is_in_checkpoint(id); }

    // Its policy would have it so, or it is a checkpoint's result: from here on a value like those outside.
    bool is_kept(NodeId id) const { return (graph_[id].flags & policy_flags) == (recompute_flag | save_flag); }

    // What the graph gives, or what is computed from outside of checkpoints and is no derivative, is kept, unless the
    // policy insists.
    void find_marked() {
        for (NodeId id : graph_.body()) marked_[id.index] = is_in_checkpoint(id) && !(graph_[id].flags & save_flag);
        const auto keep = [&](NodeId id) {
            if (!(graph_[id].flags & must_flag)) marked_[id.index] = false;
        };
        for (NodeId id : graph_.body()) {
            if (is_derivative(id) || is_in_checkpoint(id) || graph_[id].op == op<"get">()) continue;
            for (NodeId operand : graph_.operands_of(id)) keep(operand);
        }
        for (NodeId id : graph_.results()) keep(id);
        // Positions are found to be right once: what reads the same ones again cannot fail, so that writes need not wait.
        for (NodeId id : graph_.body()) {
            const Row& r = row(graph_[id].op);
            if (!is_in_checkpoint(id) || !r.may_fail || r.lowering == Lowering::scalar) continue;
            for (NodeId operand : graph_.operands_of(id))
                if (graph_.type(operand).is_tensor() && is_integer(graph_.type(operand).dtype)) keep(operand);
        }
    }
    void forget_clones() {
        for (NodeId id : cloned_) clone_[id.index] = {};
        cloned_.clear();
    }
    void copy_with_clones(NodeId id) {
        std::vector<std::pair<NodeId, NodeId>> originals;  // and what stood for them
        for (NodeId operand : graph_.operands_of(id)) {
            if (!marked_[operand.index]) continue;
            const NodeId clone = computed_again(operand);
            originals.push_back({operand, copy_(operand)});
            copy_.map(operand, clone);
        }
        copy_.copy(id);
        for (size_t k = originals.size(); k-- > 0;) copy_.map(originals[k].first, originals[k].second);
    }
    // Its operands likewise, down to what is kept. A checkpoint may be as long as the graph: no recursion.
    NodeId computed_again(NodeId id) {
        const auto known = [&](NodeId at) { return marked_[at.index] ? clone_[at.index] : copy_(at); };
        std::vector<NodeId> stack{id};
        while (!stack.empty()) {
            const NodeId at = stack.back();
            const std::span<const NodeId> read = graph_.operands_of(at);
            const auto missing = std::find_if(read.begin(), read.end(), [&](NodeId o) { return !known(o); });
            if (!clone_[at.index] && missing != read.end()) {
                stack.push_back(*missing);
                continue;
            }
            stack.pop_back();
            if (!clone_[at.index]) clone(at, known);
        }
        return clone_[id.index];
    }
    void clone(NodeId id, const auto& known) {
        std::vector<NodeId> operands;
        for (NodeId operand : graph_.operands_of(id)) operands.push_back(known(operand));
        if (row(graph_[id].op).memory == MemoryUse::replaces)
            operands[replaced_view] = copy_.view_from(operands[replaced_base], id, operands[replaced_view]);
        Stamp stamp = copy_.stamp_of(id);
        stamp.flags = uint8_t((stamp.flags & ~policy_flags) | recomputed_flag);
        Builder::StampScope scope(builder_, stamp);
        RegionId first;
        for (unsigned k = 0; k < graph_[id].regions; ++k)
            if (const RegionId made = copy_.copy_region(graph_.region_of(id, k)); k == 0) first = made;
        clone_[id.index] =
            builder_.emit_typed(graph_[id].op, graph_[id].type, operands, graph_[id].attr, first, graph_[id].regions);
        cloned_.push_back(id);
    }

    const Graph& graph_;
    const NodeId backward_;
    Builder builder_;
    Copier copy_;
    std::vector<bool> marked_;  // to be computed again
    std::vector<NodeId> clone_, cloned_;
};

}  // namespace

GraphRef recompute(const GraphRef& graph, NodeId backward) {
    Recomputer pass(*graph, backward);
    const GraphRef kept = pass.is_needed() ? verified(PassId::recompute, pass.run()) : graph;
    const GraphRef settled = settle_turns(*kept);
    return settled ? verified(PassId::recompute, settled) : kept;
}

}  // namespace tenon
