#include "frontend/record/capture_differentiation.h"

#include <algorithm>
#include <cassert>

#include "frontend/history/graph_paths.h"
#include "frontend/record/capture_overwritten.h"
#include "frontend/record/capture_trace.h"
#include "frontend/record/hook_calls.h"
#include "frontend/record/saved_values.h"
#include "ir/differentiate/gradient.h"
#include "ir/row.h"
#include "runtime/diagnostic.h"

namespace tenon {

void Capture::Differentiation::become_leaf(TensorObject& x) {
    assert(capture_.is_admitted(x) && capture_.values_[x.capture_value_].parent == none && !x.requires_grad());
    x.make_autograd().requires_grad = true;
    StorageValue& storage = capture_.storages_[capture_.values_[x.capture_value_].storage];
    storage.leaf = x.autograd;
    storage.leaf_node = {};
    storage.as_leaf_version = none;
}

// No history of a graph before this one leads to memory that this one has made.
bool Capture::Differentiation::holds_history(std::span<const Cotangent> roots, std::span<const TensorRef> wrt) {
    const Holding holding(capture_);
    const auto is_made_here = [&](const TensorRef& x) {
        assert(capture_.is_admitted(*x));
        return capture_.storages_[capture_.values_[x->capture_value_].storage].input == none;
    };
    if (!wrt.empty() && std::all_of(wrt.begin(), wrt.end(), is_made_here)) return true;
    std::vector<NodeId> stack;
    for (const Cotangent& root : roots) stack.push_back(capture_.node(root.of));
    std::vector<bool> foreign(builder_.size()), seen(builder_.size());
    bool any = false;
    for (const Input& input : capture_.inputs_) {
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

bool Capture::Differentiation::passes_gradients(NodeId id) const {
    return tenon::passes_gradients(builder_.context(), builder_.node(id));
}

std::vector<Capture::Differentiation::Uses> Capture::Differentiation::uses() const {
    std::vector<Uses> found(builder_.size());
    for (NodeId id : builder_.body()) {
        if (!passes_gradients(id)) continue;
        for (NodeId operand : builder_.operands_of(id)) found[operand.index] = {id, found[operand.index].count + 1};
    }
    return found;
}

// The ops that lie between: a backward from `roots` goes through them on its way to `wrt`.
std::vector<NodeId> Capture::Differentiation::ops_between(std::span<const Cotangent> roots,
                                                          std::span<const NodeId> wrt) {
    std::vector<bool> is_wrt(builder_.size()), leads(builder_.size());
    for (NodeId id : wrt) is_wrt[id.index] = true;
    for (NodeId id : builder_.body()) {
        if (!passes_gradients(id)) continue;
        for (NodeId operand : builder_.operands_of(id))
            if (is_wrt[operand.index] || leads[operand.index]) leads[id.index] = true;
    }
    std::vector<NodeId> found, stack;
    found.reserve(builder_.size());
    stack.reserve(builder_.size());
    for (const Cotangent& root : roots) stack.push_back(capture_.node(root.of));
    while (!stack.empty()) {
        const NodeId id = stack.back();
        stack.pop_back();
        if (!leads[id.index]) continue;
        leads[id.index] = false;  // seen
        found.push_back(id);
        for (NodeId operand : builder_.operands_of(id))
            if (leads[operand.index]) stack.push_back(operand);
    }
    return found;
}

// By node: whether a path that gradients take leads to a leaf that `history` looks for, in this graph or before it; to
// any, over or not, where it is null.
std::vector<bool> Capture::Differentiation::with_history(HistoryBeside* history) const {
    std::vector<bool> has(builder_.size());
    for (const Leaf& leaf : leaves_) {
        if (!history || history->is_beside(*leaf.leaf)) has[leaf.node.index] = true;
    }
    for (size_t k = 0; k < capture_.inputs_.size(); ++k) {
        const Input& input = capture_.inputs_[k];
        if (capture_.trace_->requires_outer_gradient(k) ||
            (input.edge.entry && (!history || history->leads(input.edge))))
            has[input.node.index] = true;
    }
    for (NodeId id : builder_.body()) {
        if (has[id.index] || !passes_gradients(id) || !row(builder_.node(id).op).gradient) continue;
        for (NodeId operand : builder_.operands_of(id)) has[id.index] = has[id.index] || has[operand.index];
    }
    return has;
}

std::vector<bool> Capture::Differentiation::have_history(std::span<const TensorRef> values, HistoryBeside& history) {
    const Holding holding(capture_);
    std::vector<NodeId> nodes;
    for (const TensorRef& value : values) nodes.push_back(capture_.node(*value));  // notes the leaves
    const std::vector<bool> has = with_history(&history);
    std::vector<bool> found;
    for (NodeId id : nodes) found.push_back(has[id.index]);
    return found;
}

std::vector<NodeId> Capture::Differentiation::reverse_from(std::span<const Cotangent> roots,
                                                           std::span<const NodeId> wrt,
                                                           const BackwardOptions& options) {
    const std::vector<NodeId> ops = ops_between(roots, wrt);
    NodeId gone;  // of the ops that a backward has used up, the one that this one comes to first
    for (NodeId id : ops) {
        if (is_used_up(id) && (!gone || gone.index < id.index)) gone = id;
    }
    std::vector<NodeId> results, cotangents;
    for (const Cotangent& root : roots) results.push_back(capture_.node(root.of));
    for (const Cotangent& root : roots) {
        if (root.value)
            cotangents.push_back(
                capture_.as_type(capture_.node(*root.value), builder_.node(capture_.node(root.of)).type));
    }
    assert(cotangents.empty() || cotangents.size() == roots.size());
    Builder::StampScope scope(builder_, Stamp{.origin = capture_.stamp().origin, .meta = {}, .flags = 0});
    std::vector<ReverseRequest::Named> named;
    std::vector<uint8_t> differentiable;
    if (!capture_.overwritten_->is_empty()) {
        HistoryBeside any({});
        const std::vector<bool> history = with_history(&any);
        differentiable.assign(history.begin(), history.end());
    }
    std::vector<NodeId> found = reverse(builder_, {results, cotangents, wrt, {}, &named, differentiable});
    capture_.overwritten_->check(std::move(named), gone);
    if (gone) throw Error(used_up_history());
    if (!options.retain_graph && !options.create_graph) {  // nothing goes through these again
        used_up_log_.push_back({uint32_t(builder_.body().size()), used_up_});
        used_up_.resize(builder_.size());
        for (NodeId id : ops) used_up_[id.index] = keeps_history(builder_.node(id).op);
    }
    return found;
}

void Capture::Differentiation::note_leaf(const Ref<Autograd>& leaf, NodeId value) {
    assert(std::none_of(leaves_.begin(), leaves_.end(), [&](const Leaf& other) { return other.leaf == leaf; }) &&
           "a leaf has two nodes in a graph, and its gradient two sums");
    leaves_.push_back({leaf, value});
}

// What is computed from a gradient is not differentiated through it, unless its graph was asked for. Null of none.
std::vector<TensorRef> Capture::Differentiation::make_gradients(std::vector<NodeId> found,
                                                                const BackwardOptions& options) {
    for (NodeId& cotangent : found) {
        if (!cotangent || options.create_graph) continue;
        Builder::StampScope scope(builder_, Stamp{.origin = capture_.stamp().origin, .meta = {}, .flags = 0});
        cotangent = builder_.emit(op<"detach">(), {cotangent});
    }
    const std::vector<bool> history = options.create_graph ? with_history(nullptr) : std::vector<bool>();
    std::vector<TensorRef> gradients(found.size());
    for (size_t k = 0; k < found.size(); ++k) {
        if (found[k]) gradients[k] = capture_.make_result(found[k], options.create_graph && history[found[k].index]);
    }
    return gradients;
}

void Capture::Differentiation::backward(std::span<const Cotangent> roots, const BackwardOptions& options,
                                        std::span<const TensorRef> only) {
    ++backwards_;
    std::vector<Ref<Autograd>> leaves;
    std::vector<TensorRef> sums;  // beside them: adding into `.grad` may end the graph, and with it what ids mean
    {
        const Holding holding(capture_);
        for (const Cotangent& root : roots) capture_.node(root.of);  // notes the leaves
        std::vector<NodeId> wrt;
        for (const Leaf& leaf : leaves_) {
            if (!only.empty() &&
                std::none_of(only.begin(), only.end(), [&](const TensorRef& t) { return t->autograd == leaf.leaf; }))
                continue;
            if (builder_.is_literal(leaf.node) || leaf.leaf->is_over) continue;
            leaves.push_back(leaf.leaf);
            wrt.push_back(leaf.node);
        }
        const auto has_hooks = [](const Ref<Autograd>& leaf) { return leaf->hooks != nullptr; };
        if (std::any_of(leaves.begin(), leaves.end(), has_hooks)) sort_by_completion(roots, leaves, wrt);
        sums = make_gradients(reverse_from(roots, wrt, options), options);
    }
    for (size_t k = 0; k < leaves.size(); ++k) {
        if (!sums[k]) continue;
        call_gradient_hooks(*leaves[k], sums[k]);
        accumulate_with_hooks(tracer_, *leaves[k], sums[k], options.create_graph);
    }
}

void Capture::Differentiation::call_gradient_hooks(const Autograd& leaf, TensorRef& gradient) {
    if (leaf.hooks && leaf.hooks->gradient) call_tensor_hooks(tracer_, *leaf.hooks->gradient, gradient);
}

// Hooks see in which order sums are complete: as the tape's walk completes leaves.
void Capture::Differentiation::sort_by_completion(std::span<const Cotangent> roots, std::vector<Ref<Autograd>>& leaves,
                                                  std::vector<NodeId>& wrt) {
    struct Last {
        NodeId op;  // that adds to the leaf last; none: it is a root
        size_t operand = 0, leaf = 0;
    };
    std::vector<Last> order(wrt.size());
    std::vector<Last*> of_node(builder_.size());
    for (size_t k = 0; k < wrt.size(); ++k) {
        order[k].leaf = k;
        of_node[wrt[k].index] = &order[k];
    }
    for (NodeId id : ops_between(roots, wrt)) {
        const std::span<const NodeId> operands = builder_.operands_of(id);
        for (size_t k = operands.size(); k-- > 0;) {
            Last* const last = of_node[history_owner(builder_, operands[k]).index];
            if (!last || (last->op && last->op < id)) continue;
            last->op = id;
            last->operand = k;
        }
    }
    std::stable_sort(order.begin(), order.end(), [](const Last& a, const Last& b) {
        if (a.op != b.op) return !a.op || (b.op && b.op < a.op);
        return a.operand < b.operand;
    });
    std::vector<Ref<Autograd>> sorted_leaves;
    std::vector<NodeId> sorted_wrt;
    for (const Last& last : order) {
        sorted_leaves.push_back(leaves[last.leaf]);
        sorted_wrt.push_back(wrt[last.leaf]);
    }
    leaves = std::move(sorted_leaves);
    wrt = std::move(sorted_wrt);
}

std::vector<TensorRef> Capture::Differentiation::gradients(std::span<const Cotangent> roots,
                                                           std::span<const TensorRef> wrt,
                                                           const BackwardOptions& options) {
    ++backwards_;
    std::vector<TensorRef> gradients;
    {
        const Holding holding(capture_);
        std::vector<NodeId> from, nodes;
        for (const Cotangent& root : roots) from.push_back(capture_.node(root.of));
        for (const TensorRef& x : wrt) nodes.push_back(history_owner(builder_, capture_.node(*x)));
        if (capture_.trace_->in_example()) capture_.trace_->refuse_outer_history(from, wrt);
        gradients = make_gradients(reverse_from(roots, nodes, options), options);
    }
    for (size_t k = 0; k < wrt.size(); ++k) {
        if (gradients[k] && wrt[k]->autograd) call_gradient_hooks(*wrt[k]->autograd, gradients[k]);
    }
    return gradients;
}

std::vector<bool> Capture::Differentiation::consumed(std::span<const NodeId> values) const {
    if (used_up_.empty()) return {};
    std::vector<bool> ends(builder_.size()), below(builder_.size());  // below: what the values that are left lead to
    for (const Leaf& leaf : leaves_) ends[leaf.node.index] = true;
    for (NodeId value : values) below[value.index] = !is_used_up(value);
    for (size_t k = builder_.body().size(); k-- > 0;) {
        const NodeId id = builder_.body()[k];
        if (!below[id.index] || ends[id.index] || !passes_gradients(id)) continue;
        for (NodeId operand : builder_.operands_of(id)) below[operand.index] = true;
    }
    std::vector<bool> found;
    for (NodeId value : values) found.push_back(!below[value.index]);
    return found;
}

Capture::Differentiation::Sources Capture::Differentiation::sources(NodeId value,
                                                                    std::span<const NodeId> values) const {
    std::vector<bool> seen(builder_.size()), ends(builder_.size());
    for (const Leaf& leaf : leaves_) ends[leaf.node.index] = true;
    for (NodeId other : values) ends[other.index] = other != value;
    std::vector<NodeId> stack;
    stack.reserve(builder_.size());
    stack.push_back(value);
    while (!stack.empty()) {
        const NodeId id = stack.back();
        stack.pop_back();
        if (seen[id.index]) continue;
        seen[id.index] = true;
        if (ends[id.index] || !passes_gradients(id)) continue;
        for (NodeId operand : builder_.operands_of(id))
            if (!seen[operand.index]) stack.push_back(operand);
    }
    Sources found;
    for (const Leaf& leaf : leaves_) {
        if (seen[leaf.node.index]) found.edges.push_back({{}, 0, leaf.leaf});
    }
    for (const Input& input : capture_.inputs_) {
        if (input.edge && seen[input.node.index]) found.edges.push_back(input.edge);
    }
    for (size_t k = 0; k < values.size(); ++k) {
        if (values[k] != value && seen[values[k].index]) found.values.push_back(k);
    }
    return found;
}

std::vector<NodeId> Capture::Differentiation::used_up() const {
    std::vector<NodeId> nodes;
    for (uint32_t id = 0; id < used_up_.size(); ++id) {
        if (used_up_[id]) nodes.push_back(NodeId(id));
    }
    return nodes;
}

void Capture::Differentiation::take_back(uint32_t position) {
    for (; !used_up_log_.empty() && used_up_log_.back().position > position; used_up_log_.pop_back())
        used_up_ = std::move(used_up_log_.back().before);
}

void Capture::Differentiation::renumber(std::span<const NodeId> image) {
    for (Leaf& leaf : leaves_) leaf.node = leaf.node ? image[leaf.node.index] : leaf.node;
    std::erase_if(leaves_, [](const Leaf& leaf) { return !leaf.node; });
    std::vector<bool> moved(used_up_.empty() ? 0 : builder_.size());
    for (size_t k = 0; k < used_up_.size(); ++k) {
        if (used_up_[k] && image[k]) moved[image[k].index] = true;
    }
    used_up_ = std::move(moved);
}

void Capture::Differentiation::clear() {
    leaves_.clear();
    used_up_.clear();
    used_up_log_.clear();
}

}  // namespace tenon
