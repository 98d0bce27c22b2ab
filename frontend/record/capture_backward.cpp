// Capture: differentiation of what lies in the graph at hand, by nodes appended to it.
#include <algorithm>
#include <cassert>

#include "frontend/record/capture_plan.h"
#include "ir/differentiate/gradient.h"
#include "ir/row.h"
#include "runtime/diagnostic.h"

namespace tenon {

bool Capture::stops_gradients(const Node& node) {
    return (node.flags & no_grad_flag) || row(node.op).stops_gradient || node.op == op<"param">();
}

// No history of a graph before this one leads to memory that this one has made.
bool Capture::holds_history(std::span<const Cotangent> roots, std::span<const TensorRef> wrt) {
    const Holding holding(*this);
    const auto is_made_here = [&](const TensorRef& x) {
        assert(is_admitted(*x));
        return storages_[values_[x->capture_value_].storage].input == none;
    };
    if (!wrt.empty() && std::all_of(wrt.begin(), wrt.end(), is_made_here)) return true;
    std::vector<NodeId> stack;
    for (const Cotangent& root : roots) stack.push_back(node(root.of));
    std::vector<bool> foreign(builder_.size()), seen(builder_.size());
    bool any = false;
    for (const Input& input : inputs_) {
        if (!input.edge.entry) continue;
        foreign[input.node.index] = any = true;
    }
    if (!any) return true;
    while (!stack.empty()) {
        const NodeId id = stack.back();
        stack.pop_back();
        if (seen[id.index]) continue;
        seen[id.index] = true;
        if (foreign[id.index]) return false;
        if (!passes_gradients(id)) continue;
        for (NodeId operand : builder_.operands_of(id)) stack.push_back(operand);
    }
    return true;
}

// Whether a gradient goes through the node to its operands.
bool Capture::passes_gradients(NodeId id) const {
    if (stops_gradients(builder_.node(id))) return false;
    return builder_.type(id).is_tensor() && is_float(builder_.type(id).dtype);
}

// The ops that lie between: a backward from `roots` goes through them on its way to `wrt`.
std::vector<NodeId> Capture::ops_between(std::span<const Cotangent> roots, std::span<const NodeId> wrt) {
    std::vector<bool> is_wrt(builder_.size()), leads(builder_.size());
    for (NodeId id : wrt) is_wrt[id.index] = true;
    for (NodeId id : builder_.body()) {
        if (!passes_gradients(id)) continue;
        for (NodeId operand : builder_.operands_of(id))
            if (is_wrt[operand.index] || leads[operand.index]) leads[id.index] = true;
    }
    std::vector<NodeId> found, stack;
    for (const Cotangent& root : roots) stack.push_back(node(root.of));
    while (!stack.empty()) {
        const NodeId id = stack.back();
        stack.pop_back();
        if (!leads[id.index]) continue;
        leads[id.index] = false;  // seen
        found.push_back(id);
        for (NodeId operand : builder_.operands_of(id)) stack.push_back(operand);
    }
    return found;
}

std::vector<NodeId> Capture::reverse_from(std::span<const Cotangent> roots, std::span<const NodeId> wrt,
                                          const BackwardOptions& options) {
    const std::vector<NodeId> ops = ops_between(roots, wrt);
    for (NodeId id : ops) {
        if (id.index >= used_up_.size() || !used_up_[id.index]) continue;
        throw_error("gradient",
                    "backward goes through this value a second time, but the first backward has used its history up",
                    "call the first backward with `retain_graph: true`");
    }
    std::vector<NodeId> results, cotangents;
    for (const Cotangent& root : roots) results.push_back(node(root.of));
    for (const Cotangent& root : roots) {
        if (root.value) cotangents.push_back(as_type(node(*root.value), builder_.node(node(root.of)).type));
    }
    assert(cotangents.empty() || cotangents.size() == roots.size());
    Builder::StampScope scope(builder_, Stamp{.origin = stamp().origin, .meta = {}, .flags = 0});
    std::vector<ReverseRequest::Named> named;
    std::vector<NodeId> found = reverse(builder_, {results, cotangents, wrt, {}, &named});
    check_overwritten(named);
    if (!options.retain_graph && !options.create_graph) {  // nothing goes through these again
        used_up_log_.push_back({uint32_t(builder_.body().size()), used_up_});
        used_up_.resize(builder_.size());
        for (NodeId id : ops) used_up_[id.index] = true;
    }
    return found;
}

// The cotangent of leaf k: the sum over its values, later ones first, since their uses come later.
NodeId Capture::sum_of(std::span<const NodeId> found, std::span<const size_t> owner, size_t k) {
    NodeId sum;
    for (size_t i = found.size(); i-- > 0;) {
        if (owner[i] != k || !found[i]) continue;
        Builder::StampScope scope(builder_, Stamp{.origin = stamp().origin, .meta = {}, .flags = 0});
        sum = sum ? builder_.emit(op<"add">(), {sum, found[i]}) : found[i];
    }
    return sum;
}

// What is computed from a gradient is not differentiated through it, unless its graph was asked for. Null of none.
std::vector<TensorRef> Capture::make_gradients(std::span<const NodeId> found, std::span<const size_t> owner,
                                               size_t count, const BackwardOptions& options) {
    std::vector<NodeId> sums;
    for (size_t k = 0; k < count; ++k) {
        NodeId sum = sum_of(found, owner, k);
        if (sum && !options.create_graph) {
            Builder::StampScope scope(builder_, Stamp{.origin = stamp().origin, .meta = {}, .flags = 0});
            sum = builder_.emit(op<"detach">(), {sum});
        }
        sums.push_back(sum);
    }
    HistoryBeside any({});
    const std::vector<bool> history = options.create_graph ? with_history(any) : std::vector<bool>();
    std::vector<TensorRef> gradients(count);
    for (size_t k = 0; k < count; ++k) {
        if (sums[k]) gradients[k] = make_result(sums[k], options.create_graph && history[sums[k].index]);
    }
    return gradients;
}

void Capture::backward(std::span<const Cotangent> roots, const BackwardOptions& options,
                       std::span<const TensorRef> only) {
    ++backwards_;
    std::vector<Ref<Autograd>> leaves;
    std::vector<TensorRef> sums;  // beside them: adding into `.grad` may end the graph, and with it what ids mean
    {
        const Holding holding(*this);
        for (const Cotangent& root : roots) node(root.of);  // notes the leaves
        std::vector<NodeId> wrt;
        std::vector<size_t> owner;  // which leaf a node of wrt is a value of
        for (const Leaf& leaf : leaves_) {
            if (!only.empty() &&
                std::none_of(only.begin(), only.end(), [&](const TensorRef& t) { return t->autograd == leaf.leaf; }))
                continue;
            if (builder_.is_literal(leaf.node)) continue;
            size_t k = 0;
            while (k < leaves.size() && !(leaves[k] == leaf.leaf)) ++k;
            if (k == leaves.size()) leaves.push_back(leaf.leaf);
            wrt.push_back(leaf.node);
            owner.push_back(k);
        }
        sums = make_gradients(reverse_from(roots, wrt, options), owner, leaves.size(), options);
    }
    for (size_t k = 0; k < leaves.size(); ++k) {
        if (sums[k])
            accumulate_gradient(tracer_.dispatcher(), *leaves[k], std::exchange(sums[k], {}), options.create_graph);
    }
}

std::vector<TensorRef> Capture::gradients(std::span<const Cotangent> roots, std::span<const TensorRef> wrt,
                                          const BackwardOptions& options) {
    ++backwards_;
    const Holding holding(*this);
    for (const Cotangent& root : roots) node(root.of);
    std::vector<NodeId> nodes;
    std::vector<size_t> owner;
    for (size_t k = 0; k < wrt.size(); ++k) {
        bool is_noted_leaf = false;
        for (const Leaf& leaf : leaves_) {
            if (!(leaf.leaf == wrt[k]->autograd)) continue;
            nodes.push_back(leaf.node);
            owner.push_back(k);
            is_noted_leaf = true;
        }
        if (is_noted_leaf) continue;
        nodes.push_back(node(*wrt[k]));
        owner.push_back(k);
    }
    if (example_) refuse_outer_history(roots, wrt);
    return make_gradients(reverse_from(roots, nodes, options), owner, wrt.size(), options);
}

}  // namespace tenon
