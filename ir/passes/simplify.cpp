// simplify: rules (ir/passes/rules.cpp), movement algebra, folding of literals, value numbering, dead code. Needs inlined
// calls for effect, not for correctness; later passes may assume that no node repeats another of its region.
//
// Value numbering keeps apart what metadata or the recompute marks keep apart. A node replaced by an operand gives up
// its own metadata with itself; a node rewritten passes it on.
#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "ir/build/copier.h"
#include "ir/build/fold_literals.h"
#include "ir/differentiate/regions.h"
#include "ir/intern_table.h"
#include "ir/passes/passes.h"
#include "ir/passes/rules.h"

namespace tenon {

namespace {

class Simplifier {
public:
    Simplifier(const Graph& g, Decisions* decisions)
        : graph_(g), context_(*g.context), builder_(context_), copy_(g, builder_), decisions_(decisions) {}

    GraphRef run() {
        copy_.copy_params();
        std::unordered_set<NodeId> bases;
        for (NodeId id : graph_.body()) {
            if (row(graph_[id].op).memory != MemoryUse::replaces) continue;
            const NodeId base = graph_.operand(id, replaced_base);
            bases.insert(base);
            for (NodeId link = graph_.operand(id, replaced_view); link != base && links_.insert(link).second;)
                link = graph_.operand(link, 0);
        }
        for (NodeId id : graph_.body()) {
            node(id);
            if (bases.contains(id)) bases_.insert(copy_(id));
        }
        return copy_.finish();
    }

private:
    void node(NodeId id) {
        const Node& n = graph_[id];
        const Row& r = row(n.op);
        const bool is_get = n.op == op<"get">();
        if (n.regions > 0 || is_ordered(r.effect) || (r.lowering == Lowering::structure && !is_get)) {
            copy_.copy(id);
            return;
        }
        if (const NodeId from = is_get ? copy_(graph_.operand(id, 0)) : NodeId();
            from && builder_.node(from).op == op<"tuple">()) {
            copy_.map(id, builder_.operands_of(from)[size_t(graph_.attributes(id).integer("index"))]);
            return;
        }
        std::vector<NodeId> operands;
        for (NodeId operand : graph_.operands_of(id)) operands.push_back(copy_(operand));
        read_what_was_written(id, operands);
        Builder::StampScope scope(builder_, copy_.stamp_of(id));
        NodeId made = fold_literals(builder_, n.op, n.type, operands);
        if (made) note(DecisionKind::folded, id, "its operands are literals");
        else made = move(id, operands);
        if (!made) {
            const Replacement replacement = apply_rules(builder_, n.op, n.type, operands);
            made = replacement.value;
            if (made)
                note(DecisionKind::simplified, id,
                     std::string(replacement.rule->pattern) + " is " + std::string(replacement.rule->replacement));
        }
        if (made) {
            copy_.map(id, number(made));
            return;
        }
        if (const NodeId same = find(n, operands, id)) {
            copy_.map(id, same);
            return;
        }
        made = builder_.emit_typed(n.op, n.type, operands, n.attr);
        builder_.set_name(made, graph_.names[id.index]);
        copy_.map(id, made);
        seen_[key(made)].push_back(made);
    }

    void note(DecisionKind what, NodeId id, std::string reason) {
        if (!decisions_) return;
        decisions_->push_back({what, std::string(graph_.name_of(id)), std::move(reason), graph_.origins[id.index]});
    }

    // ---- value numbering
    uint64_t key(Op o, AttrId attr, TypeId type, std::span<const NodeId> operands, const Stamp& stamp) const {
        uint64_t h = mix_hash(uint64_t(o.row) << 32 | attr.index, uint64_t(type.index) << 32 | stamp.meta.index);
        h = mix_hash(h, stamp.flags & (recompute_flag | recomputed_flag));
        for (NodeId operand : operands) h = mix_hash(h, operand.index);
        return h;
    }
    uint64_t key(NodeId id) const {
        const Node& n = builder_.node(id);
        return key(n.op, n.attr, n.type, builder_.operands_of(id), builder_.stamp_of(id));
    }
    NodeId find(const Node& n, std::span<const NodeId> operands, NodeId original) {
        const auto it = seen_.find(key(n.op, n.attr, n.type, operands, copy_.stamp_of(original)));
        if (it == seen_.end()) return {};
        constexpr uint8_t marks = recompute_flag | recomputed_flag;
        for (NodeId id : it->second) {
            const Node& m = builder_.node(id);
            const auto theirs = builder_.operands_of(id);
            if (m.op == n.op && m.attr == n.attr && m.type == n.type && (m.flags & marks) == (n.flags & marks) &&
                builder_.stamp_of(id).meta == graph_.metas[original.index] &&
                std::equal(theirs.begin(), theirs.end(), operands.begin(), operands.end()))
                return id;
        }
        return {};
    }
    NodeId number(NodeId made) {  // a node that a rule emitted takes part in numbering
        if (made == NodeId(uint32_t(builder_.size() - 1)) && !builder_.is_literal(made))
            seen_[key(made)].push_back(made);
        return made;
    }

    // ---- what an update has written
    // But a view leads to its update's base, whatever that holds.
    void read_what_was_written(NodeId id, std::span<NodeId> operands) {
        if (links_.empty() || links_.contains(id)) return;
        for (size_t k = 0; k < operands.size(); ++k) {
            if (row(graph_[id].op).memory == MemoryUse::replaces && k != replaced_value) continue;
            const NodeId value = read_back(operands[k]);
            if (value == operands[k]) continue;
            note(DecisionKind::moved, graph_.operand(id, k), "it reads what was written there");
            operands[k] = value;
        }
    }

    // What an update has written, where `x` is movement that reads it the way it was written; else x.
    NodeId read_back(NodeId x) const {
        constexpr size_t longest = 8;  // so that a chain of movements is not walked again from each of its links
        std::array<NodeId, longest> way;
        size_t length = 0;
        NodeId at = x;
        for (; row(builder_.node(at).op).lowering == Lowering::movement; at = builder_.operands_of(at)[0]) {
            if (length == longest) return x;
            way[length++] = at;
        }
        if (length == 0 || row(builder_.node(at).op).memory != MemoryUse::replaces) return x;
        const std::span<const NodeId> update = builder_.operands_of(at);
        NodeId view = update[replaced_view];
        for (size_t k = 0; k < length; ++k) {
            const Node &link = builder_.node(view), &read = builder_.node(way[k]);
            if (view == update[replaced_base] || link.op != read.op || link.attr != read.attr) return x;
            view = builder_.operands_of(view)[0];
        }
        const NodeId value = update[replaced_value];
        return view == update[replaced_base] && builder_.node(value).type == builder_.node(x).type ? value : x;
    }

    // ---- movement of movement
    NodeId move(NodeId id, std::span<const NodeId> operands) {
        const Node& n = graph_[id];
        const Row& r = row(n.op);
        if (r.lowering != Lowering::movement) return r.divides_exactly ? division(id, operands) : NodeId();
        NodeId x = operands[0];
        AttrId attr = n.attr;
        // A view leads to its update's base: nothing may look through that.
        const bool twice = r.compose && builder_.node(x).op == n.op && !bases_.contains(x);
        if (twice) {
            attr = r.compose(context_, builder_.node(x).attr, attr);
            x = builder_.operands_of(x)[0];
        }
        const Movement whole{context_, builder_.type(x), graph_.type(id), attr};
        if (r.is_still ? r.is_still(whole) : twice && builder_.node(x).type == n.type) {
            note(DecisionKind::moved, id, "it leaves every element where it is");
            return x;
        }
        if (!twice) return {};
        note(DecisionKind::moved, id, "it follows movement of its own kind: both are one");
        return builder_.emit_typed(n.op, n.type, {x}, attr);
    }
    // x / 2^k is x * 2^-k, bit for bit, where 2^-k is a normal number.
    NodeId division(NodeId id, std::span<const NodeId> operands) {
        if (!builder_.is_literal(operands[1])) return {};
        const DType dtype = builder_.type(operands[1]).dtype;
        if (dtype != DType::f32 && dtype != DType::f64) return {};
        const double b = builder_.attributes(operands[1]).real("value");
        int exponent = 0;
        if (b == 0 || !std::isfinite(b) || std::abs(std::frexp(b, &exponent)) != 0.5 ||
            std::abs(exponent) > (dtype == DType::f32 ? 120 : 1000))
            return {};
        if (b == 1) return {};
        note(DecisionKind::simplified, id, "a division by a power of two is a product");
        return builder_.emit_typed(op<"mul">(), graph_[id].type, {operands[0], builder_.literal(1 / b, dtype)});
    }

    const Graph& graph_;
    Context& context_;
    Builder builder_;
    Copier copy_;
    Decisions* decisions_;
    std::unordered_map<uint64_t, std::vector<NodeId>> seen_;
    std::unordered_set<NodeId> bases_;  // what the bases of updates have become
    std::unordered_set<NodeId> links_;  // of the given graph: what leads from an update's base to its view
};

}  // namespace

GraphRef simplify(const Graph& g, Decisions* decisions) {
    const GraphRef merged = merge_regions(g);
    return verified(PassId::simplify, Simplifier(merged ? *merged : g, decisions).run());
}

}  // namespace tenon
