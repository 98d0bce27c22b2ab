// Capture: differentiation of what lies in the graph at hand, by nodes appended to it.
#include <algorithm>
#include <cassert>

#include <fmt/format.h>

#include "frontend/record/capture_plan.h"
#include "ir/build/copier.h"
#include "ir/differentiate/gradient.h"
#include "ir/passes/drop_cotangents.h"
#include "ir/row.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

// The same graph, by the same names, with nothing marked to be computed again in backward.
GraphRef without_recomputation(const Graph& graph) {
    Builder builder(*graph.context);
    Copier copy(graph, builder);
    copy.copy_params();
    copy.copy_body();
    for (NodeId id : builder.body()) builder.set_flags(id, uint8_t(builder.node(id).flags & ~recompute_flag));
    std::vector<NodeId> results;
    for (NodeId r : graph.results()) results.push_back(copy(r));
    return builder.finish(results, graph.name);
}

// Where the script's op stands whose gradient reads the parameter of this name.
Span reader_of(const Graph& backward, std::string_view name) {
    for (NodeId id : backward.body()) {
        for (NodeId operand : backward.operands_of(id)) {
            if (backward.name_of(operand) == name) return backward.origin(id).span;
        }
    }
    return {};
}

}  // namespace

bool Capture::stops_gradients(const Node& node) {
    return (node.flags & no_grad_flag) || row(node.op).stops_gradient || node.op == op<"param">();
}

GraphRef without_symbols(const Graph& graph, std::span<const int64_t> values) {
    return specialise(graph, values, std::vector<bool>(values.size()));
}

bool Capture::holds_history(std::span<const Cotangent> roots) {
    const Holding holding(*this);
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
    const size_t end = builder_.size();
    std::vector<NodeId> recomputed;
    std::vector<NodeId> found = reverse(builder_, {results, cotangents, wrt, {}, &recomputed});
    check_overwritten(end, recomputed);
    if (!options.retain_graph && !options.create_graph) {  // nothing goes through these again
        used_up_log_.push_back({uint32_t(builder_.body().size()), used_up_});
        used_up_.resize(builder_.size());
        for (NodeId id : ops) used_up_[id.index] = true;
    }
    return found;
}

// The write that has replaced what this node holds, or what it is a view of; null where there was none.
const Capture::Overwritten* Capture::overwritten(NodeId node) const {
    if (overwritten_.empty()) return nullptr;
    while (node.index < is_view_.size() && is_view_[node.index]) node = builder_.operands_of(node)[0];
    const auto found =
        std::find_if(overwritten_.begin(), overwritten_.end(), [&](const Overwritten& o) { return o.node == node; });
    return found == overwritten_.end() ? nullptr : &*found;
}

void Capture::fail_overwritten(const Overwritten& write, NodeId value, Span saved) const {
    const Type& type = builder_.type(value);
    Dims shape;
    for (SizeId size : type.sizes) shape.push_back(tracer_.context().evaluate(size, builder_.hints()));
    throw_overwritten(std::string(name_of(type.dtype)) + shape_to_string(shape), saved, write.write);
}

// A gradient formula that names a value which was written since would read the old one here, but nothing at all when
// the ops run one by one: it is the same error. `recomputed`: what formulas named of checkpoints.
void Capture::check_overwritten(size_t first_backward, std::span<const NodeId> recomputed) const {
    if (overwritten_.empty()) return;
    for (NodeId id : builder_.body()) {
        if (id.index < first_backward || (builder_.node(id).flags & recomputed_flag)) continue;
        const Span saved = tracer_.context()[builder_.stamp_of(id).origin].span;
        for (NodeId operand : builder_.operands_of(id)) {
            if (operand.index >= first_backward) continue;
            if (const Overwritten* write = overwritten(operand)) fail_overwritten(*write, operand, saved);
        }
    }
    for (NodeId value : recomputed) {
        if (const Overwritten* write = overwritten(value))
            fail_overwritten(*write, value, tracer_.context()[builder_.stamp_of(value).origin].span);
    }
}

// The same for a backward half: which values that its formulas name the graph itself has overwritten. Whether the half
// saves them or computes them again is no matter: op by op they would have been saved. Of inputs the version tells.
void Capture::note_lost(const CompiledGraph& graph, const Plan& plan) {
    lost_.erase(&graph);  // of one before it, which is gone
    if (!graph.split() || overwritten_.empty()) return;
    std::vector<NodeId> kept;
    const GraphRef flat = without_symbols(*builder_.finish(plan.results, {}, false, &kept), builder_.hints());
    const Split split =
        split_joint(make_joint(*without_recomputation(*flat), graph.differentiable(), graph.wrt(), false));
    for (NodeId id : builder_.body()) {
        const Overwritten* write = kept[id.index] ? overwritten(id) : nullptr;
        if (!write) continue;
        const std::string_view name = flat->name_of(kept[id.index]);
        for (size_t k = 0; k < split.saved.size(); ++k) {
            const Split::Saved& saved = split.saved[k];
            if (saved.is_input || split.forward->name_of(split.forward->results()[saved.index]) != name) continue;
            Dims shape;
            for (SizeId size : builder_.type(id).sizes)
                shape.push_back(tracer_.context().evaluate(size, builder_.hints()));
            const size_t results = graph.differentiable().size();
            std::vector<bool> needed_by(results);
            for (size_t r = 0; r < results; ++r) {
                std::vector<bool> alone(results);
                alone[r] = true;
                needed_by[r] = reads_saved(*split.backward, split.saved.size(), k, alone);
            }
            lost_[&graph].push_back(
                {builder_.type(id).dtype, shape, reader_of(*split.backward, name), write->write, std::move(needed_by)});
        }
    }
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
