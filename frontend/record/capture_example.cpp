// Capture: the graph of one example of a batch, for vmap, and of a region.
#include <algorithm>
#include <cassert>

#include <fmt/format.h>

#include "frontend/record/capture_trace.h"
#include "ir/build/regions.h"
#include "ir/row.h"
#include "runtime/diagnostic.h"

namespace tenon {

void Capture::Trace::begin_example(Capture* outside, int64_t count, bool region) {
    assert(capture_.is_empty());
    region_ = region;
    capture_.tracing_ = example_ = true;
    outside_ = outside;
    examples_ = count * (outside ? outside->trace_->examples_ : 1);
    constants_ = outside && outside->trace_->constants_;
    capture_.site_ = {};
    share_symbols();
}

// The symbols that the capture outside has by now have the same numbers here.
void Capture::Trace::share_symbols() {
    if (!outside_) return;
    const std::vector<SizeSymbol>& symbols = outside_->builder_.symbols();
    for (size_t k = builder_.symbols().size(); k < symbols.size(); ++k)
        builder_.symbol(NodeId::none(), -1, symbols[k].hint, symbols[k].name);
}

// The type that x has in the capture outside, so that sizes which are symbols there are the same symbols here. Where
// asking could end the graph outside, sizes are what they are now.
TypeId Capture::Trace::type_outside(TensorObject& x) {
    const bool known = outside_ && (x.is_symbolic() || x.capture_serial_ == outside_->serial_ ||
                                    !outside_->memory_.find(x.tensor.storage.get()));
    if (!known) {
        std::vector<SizeId> sizes;
        for (int64_t extent : x.shape()) sizes.push_back(SizeId(extent));
        return tracer_.context().tensor(x.dtype(), sizes, x.device());
    }
    outside_->admit({&x});
    const TypeId type = outside_->builder_.node(outside_->node(x)).type;
    share_symbols();
    return type;
}

uint32_t Capture::Trace::add_outer_input(TensorObject& source, Tensor geometry, TypeId type, int axis) {
    Builder::StampScope scope(builder_, Stamp{});
    const NodeId node = builder_.parameter(type);
    const auto input = static_cast<uint32_t>(capture_.inputs_.size());
    outer_inputs_.resize(input);
    outer_inputs_.push_back({TensorRef(&source), axis});
    capture_.inputs_.push_back({.node = node,
                                .tensor = std::move(geometry),
                                .edge = {},
                                .storage = static_cast<uint32_t>(capture_.storages_.size()),
                                .value = static_cast<uint32_t>(capture_.values_.size()),
                                .name = {}});
    capture_.storages_.push_back({.current = node, .input = input});
    capture_.values_.push_back({.storage = capture_.inputs_[input].storage});
    return capture_.inputs_[input].value;
}

TensorRef Capture::Trace::example(TensorObject& whole, size_t axis) {
    Type type = tracer_.context()[type_outside(whole)];
    type.sizes.erase(type.sizes.begin() + static_cast<ptrdiff_t>(axis));
    Tensor geometry;
    geometry.dtype = whole.dtype();
    for (size_t d = 0; d < whole.rank(); ++d) {
        if (d != axis) geometry.shape.push_back(whole.shape()[d]);
    }
    geometry.strides = contiguous_strides(geometry.shape);
    auto made = make_ref<TensorObject>(geometry);
    capture_.adopt(*made, add_outer_input(whole, std::move(geometry), tracer_.context().type(std::move(type)),
                                          static_cast<int>(axis)));
    if (whole.requires_grad()) capture_.require_in_graph(*made);
    return made;
}

TensorRef Capture::Trace::stand_in(TensorObject& whole) {
    const TypeId type = type_outside(whole);
    Tensor geometry;
    geometry.dtype = whole.dtype();
    geometry.shape = whole.shape();
    geometry.strides = contiguous_strides(geometry.shape);
    auto made = make_ref<TensorObject>(geometry);
    capture_.adopt(*made, add_outer_input(whole, std::move(geometry), type, -1));
    if (whole.requires_grad()) capture_.require_in_graph(*made);
    return made;
}

TensorRef Capture::Trace::number(DType dtype, std::string_view name) {
    Tensor geometry;
    geometry.dtype = dtype;
    const TensorRef source = make_ref<TensorObject>(geometry);
    auto made = make_ref<TensorObject>(geometry);
    const uint32_t value = add_outer_input(*source, std::move(geometry), tracer_.context().tensor(dtype, {}), -1);
    builder_.set_name(builder_.params().back(), tracer_.context().name(name));
    capture_.adopt(*made, value);
    return made;
}

std::vector<TensorRef> Capture::Trace::append_regions(Op op, std::span<const TensorRef> operands, AttrId attr,
                                                      std::span<const GraphRef> regions) {
    admit_all(operands);
    const Holding holding(capture_);
    std::vector<NodeId> nodes;
    std::vector<size_t> histories;
    for (size_t k = 0; k < operands.size(); ++k) {
        nodes.push_back(capture_.node(*operands[k]));
        if (operands[k]->requires_grad()) histories.push_back(k);
    }
    const std::vector<bool> requires_grad = row(op).reach(regions, Attributes(tracer_.context(), attr), histories);
    const bool may_fail = row(op).may_fail || std::any_of(regions.begin(), regions.end(), [](const GraphRef& region) {
                              return std::any_of(region->nodes.begin(), region->nodes.end(),
                                                 [](const Node& node) { return row(node.op).may_fail; });
                          });
    std::vector<NodeId> made;
    {
        Builder::StampScope scope(builder_, capture_.stamp());
        made = builder_.results_of(emit_with_regions(builder_, op, nodes, regions, attr));
    }
    if (may_fail && !made.empty()) capture_.note_fallible(made[0]);
    std::vector<TensorRef> results;
    for (size_t k = 0; k < made.size(); ++k)
        results.push_back(capture_.make_result(made[k], requires_grad[k] && tracer_.dispatcher().grad_enabled()));
    return results;
}

void Capture::Trace::borrow(TensorObject& x) {
    const TypeId type = type_outside(x);
    borrowed_.push_back({TensorRef(&x), x.capture_serial_, x.capture_value_});
    capture_.adopt(x, add_outer_input(x, x.tensor, type, -1));
}

void Capture::Trace::give_back() {
    for (const Borrowed& b : borrowed_) {
        b.tensor->capture_serial_ = b.serial;
        b.tensor->capture_value_ = b.value;
    }
    borrowed_.clear();
}

void Capture::Trace::refuse_outer_write(const TensorObject& x) const {
    if (!outer_input(x)) return;
    if (region_)
        throw_error("graph", fmt::format("it changes this {}, which it has not made, in place", describe_type(x)));
    throw_error("vmap",
                fmt::format("a function under vmap changes this {} in place, which it has not made", describe_type(x)),
                "write `x = x + e`, and return what is to be known outside: each example has a value of its own");
}

bool Capture::Trace::is_alone(const TensorObject& x) const {
    if (!x.is_symbolic() || !capture_.is_admitted(x)) return false;
    for (const TensorObject* other = capture_.ring_.next_; other != &capture_.ring_; other = other->next_)
        if (other != &x && capture_.is_admitted(*other) && memory_of(*other) == memory_of(x)) return false;
    return true;
}

TensorRef Capture::Trace::shown_by(TensorObject& x) {
    capture_.admit({&x});
    const ExampleInput* input = outer_input(x);
    return input ? input->tensor : TensorRef();
}

// The input that x is, or is a view of; null for what the function has made.
const Capture::Trace::ExampleInput* Capture::Trace::outer_input(const TensorObject& x) const {
    const uint32_t input = capture_.storages_[capture_.values_[x.capture_value_].storage].input;
    return input == Capture::none ? nullptr : &outer_inputs_[input];
}

bool Capture::Trace::has_outer_history(TensorObject& x) {
    if (!example_) return false;
    capture_.admit({&x});
    const ExampleInput* input = outer_input(x);
    return input && input->tensor.get() == &x && input->axis < 0 && x.requires_grad() && !x.is_leaf();
}

// A gradient with respect to a tensor from outside of the function cannot go through another one's history: that is not
// in this graph.
void Capture::Trace::refuse_outer_history(std::span<const NodeId> roots, std::span<const TensorRef> wrt) const {
    const bool leaves_outside = std::any_of(wrt.begin(), wrt.end(), [&](const TensorRef& x) {
        const ExampleInput* input = outer_input(*x);
        return input && input->axis < 0;
    });
    if (!leaves_outside) return;
    std::vector<bool> seen(builder_.size());
    std::vector<NodeId> stack(roots.begin(), roots.end());
    for (const TensorRef& x : wrt) seen[capture_.node(*x).index] = true;
    while (!stack.empty()) {
        const NodeId id = stack.back();
        stack.pop_back();
        if (seen[id.index]) continue;
        seen[id.index] = true;
        for (size_t k = 0; k < capture_.inputs_.size(); ++k) {
            const TensorObject* x =
                capture_.inputs_[k].node == id && k < outer_inputs_.size() ? outer_inputs_[k].tensor.get() : nullptr;
            if (!x || outer_inputs_[k].axis >= 0 || !x->requires_grad() || x->is_leaf()) continue;
            throw_error("vmap", "this gradient goes through what was computed outside of the function under vmap",
                        "compute it within the function: what depends on no example is still computed once");
        }
        for (NodeId operand : builder_.operands_of(id)) stack.push_back(operand);
    }
}

bool Capture::Trace::requires_outer_gradient(size_t input) const {
    return input < outer_inputs_.size() && outer_inputs_[input].tensor && outer_inputs_[input].tensor->requires_grad();
}

GraphRef Capture::Trace::end_example(std::span<const TensorRef> results, std::vector<ExampleInput>& inputs) {
    admit_all(results);
    const Holding holding(capture_);
    std::vector<NodeId> nodes;
    for (const TensorRef& result : results) nodes.push_back(capture_.node(*result));
    inputs = std::exchange(outer_inputs_, {});
    inputs.resize(capture_.inputs_.size());
    for (size_t k = 0; k < capture_.inputs_.size(); ++k) {
        if (!inputs[k].tensor) inputs[k].tensor = make_ref<TensorObject>(capture_.inputs_[k].tensor);  // a host number
    }
    GraphRef graph = builder_.finish(nodes, {}, true);  // with its checkpoints
    capture_.journal_.undo_all_but_random_state();      // the numbers drawn are used
    if (outside_) outside_->journal_.take_over(uint32_t(outside_->builder_.body().size()), capture_.journal_);
    else capture_.journal_.clear();
    give_back();
    capture_.abandon();
    return graph;
}

}  // namespace tenon
