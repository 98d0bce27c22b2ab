#include "frontend/record/tensor_dispatch.h"

#include <algorithm>
#include <bit>
#include <cassert>

#include <fmt/format.h>

#include "frontend/compile/graph_cache.h"
#include "frontend/record/capture.h"
#include "frontend/record/capture_trace.h"
#include "frontend/record/checkpoint_policy.h"
#include "frontend/record/tape.h"
#include "frontend/record/tracer.h"
#include "ir/build/builder.h"
#include "ir/build/regions.h"
#include "ir/row.h"
#include "ir/text/text.h"
#include "runtime/diagnostic.h"

namespace tenon {

std::string describe_type(const Tensor& tensor) {
    return fmt::format("{}{}", name_of(tensor.dtype), shape_to_string(tensor.shape));
}

bool repeats_elements(const Tensor& tensor) {
    for (size_t d = 0; d < tensor.rank(); ++d) {
        if (tensor.shape[d] > 1 && tensor.strides[d] == 0) return tensor.numel() > 0;
    }
    return false;
}

Dispatcher::Names::Names(Context& c)
    : sizes(c.name("sizes")), axes(c.name("axes")), axis(c.name("axis")), keepdim(c.name("keepdim")),
      dtype(c.name("dtype")), starts(c.name("starts")), stops(c.name("stops")), steps(c.name("steps")),
      value(c.name("value")), key(c.name("key")), offset(c.name("offset")), kind(c.name("kind")),
      message(c.name("message")), site(c.name("site")), descending(c.name("descending")), index(c.name("index")) {}

// ---- operations ---------------------------------------------------------------------------------------------------
// Lists in lists too, but no deeper than any op takes them: a list may hold itself.
void Dispatcher::Operation::each_tensor_in(const Value& list, int depth, FunctionRef<void(TensorObject&)> visit) {
    const Values* items = depth > 0 ? items_of(list) : nullptr;
    if (!items) return;
    for (const Value& value : *items) {
        if (auto* tensor = value.try_as<TensorObject>()) visit(*tensor);
        else each_tensor_in(value, depth - 1, visit);
    }
}

Dispatcher::Operation::Operation(Dispatcher& d, Part a, Part b, Part c)
    : first_entry(d.tracer_.tape().position()), dispatcher_(d), outer_(std::exchange(d.operation_, this)),
      given_{a, b, c} {}

// ---- compiled ops -------------------------------------------------------------------------------------------------
Dispatcher::Dispatcher(Tracer& tracer)
    : tracer_(tracer), names_(tracer.context()), policies_(std::make_unique<CheckpointPolicies>(tracer)),
      writes_(1024) {}
Dispatcher::~Dispatcher() = default;

// Differentiable are the results that are floats, where there is anything to differentiate with respect to.
static std::shared_ptr<CompiledGraph> compile_op(Tracer& tracer, GraphRef graph, std::vector<size_t> wrt) {
    std::vector<size_t> differentiable;
    for (size_t k = 0; !wrt.empty() && k < graph->results().size(); ++k)
        if (is_float(graph->type(graph->results()[k]).dtype)) differentiable.push_back(k);
    if (differentiable.empty()) wrt.clear();
    return std::make_shared<CompiledGraph>(tracer.graph_cache(), tracer.compile_settings(), std::move(graph),
                                           std::move(differentiable), std::move(wrt), CompiledGraph::Purpose::op);
}

// The place of a compiled op, null where it is not compiled yet. A script that meets new shapes or bounds again and
// again must not fill the memory with them: from time to time all is forgotten.
std::shared_ptr<CompiledGraph>& Dispatcher::compiled_op(const Key& key) {
    constexpr size_t most = 8192;
    if (ops_.size() >= most && !ops_.contains(key)) ops_.clear();
    return ops_[key];
}

void Dispatcher::reset() {
    ops_.clear();
    std::fill(writes_.begin(), writes_.end(), std::pair<const Storage*, Span>{});
}

Context& Dispatcher::context() { return tracer_.context(); }

AttrValue Dispatcher::list(std::span<const int64_t> values) const {
    AttrList made;
    made.reserve(values.size());
    for (int64_t value : values) made.push_back(AttrValue(value));
    return AttrValue(std::move(made));
}
AttrValue Dispatcher::list(std::span<const Size> sizes) const {
    AttrList made;
    made.reserve(sizes.size());
    for (const Size& size : sizes) {
        assert((size.serial == 0 || tracer_.capture().shares_sizes(size.serial)) && "the graph of this size has ended");
        made.push_back(AttrValue(size.id));
    }
    return AttrValue(std::move(made));
}

TensorRef Dispatcher::apply(Op op, std::span<const Arg> args, AttrId attr) {
    TensorRef result;
    run(op, args, attr, [&](TensorRef made) {
        assert(!result && "this row has several results");
        result = std::move(made);
    });
    return result;
}

std::vector<TensorRef> Dispatcher::apply_all(Op op, std::span<const Arg> args, AttrId attr) {
    std::vector<TensorRef> results;
    run(op, args, attr, [&](TensorRef made) { results.push_back(std::move(made)); });
    return results;
}

std::vector<TensorRef> Dispatcher::apply_all(Op op, std::span<const TensorRef> operands, AttrId attr,
                                             std::span<const GraphRef> regions) {
    if (tracer_.capturing()) return tracer_.capture().trace().append_regions(op, operands, attr, regions);
    const std::vector<Arg> args(operands.begin(), operands.end());
    std::vector<TensorRef> results;
    run(op, args, attr, [&](TensorRef made) { results.push_back(std::move(made)); }, regions);
    return results;
}

void Dispatcher::run(Op op, std::span<const Arg> args, AttrId attr, Take take, std::span<const GraphRef> regions) {
    if (tracer_.capturing()) return tracer_.capture().append(op, args, attr, take);
    Context& c = context();
    Key key{op, attr, 0, {}};
    const bool records = grad_enabled_ && row(op).gradient;
    bool any = false;
    std::vector<SizeId> sizes;
    for (size_t k = 0; k < args.size(); ++k) {
        const Arg& arg = args[k];
        if (!arg.tensor) {
            const uint64_t bits = std::visit(
                [](auto value) {
                    if constexpr (std::is_same_v<decltype(value), double>) return std::bit_cast<uint64_t>(value);
                    else return static_cast<uint64_t>(value);
                },
                arg.number);
            key.operands.push_back(uint64_t{arg.is_literal} << 60 | uint64_t{1} << 56 |
                                   static_cast<uint64_t>(arg.dtype));
            if (arg.is_literal) key.operands.push_back(bits);
            continue;
        }
        if (arg.tensor->is_symbolic()) {
            throw_error("graph", "this tensor has no elements: the graph that computes it was given up",
                        "an error ended the run of that graph, or the tensor is `meta`");
        }
        const Tensor& tensor = arg.tensor->tensor;
        key.operands.push_back(static_cast<uint64_t>(tensor.dtype) | uint64_t{tensor.rank()} << 8);
        for (int64_t size : tensor.shape) key.operands.push_back(static_cast<uint64_t>(size));
        settle_history(*arg.tensor);
        if (records && k < 64 && arg.tensor->requires_grad() && is_float(tensor.dtype)) {
            key.wanted |= uint64_t{1} << k;
            any = true;
        }
    }
    for (const GraphRef& region : regions)
        key.operands.push_back(c.name(print(*region)).index);  // equal where texts are
    std::shared_ptr<CompiledGraph>& compiled = compiled_op(key);
    if (!compiled) {
        Builder builder(c);
        const OriginId origin = c.origin(Origin{.span = span_, .rule = {}, .differentiated = {}, .path = {}});
        const Builder::StampScope scope(builder, {.origin = origin, .meta = {}, .flags = 0});
        std::vector<NodeId> nodes;
        std::vector<size_t> wrt;
        size_t parameters = 0;
        for (size_t k = 0; k < args.size(); ++k) {
            const Arg& arg = args[k];
            if (!arg.tensor && arg.is_literal) {
                nodes.push_back(builder.literal(arg.number, arg.dtype));
                continue;
            }
            sizes.clear();
            if (arg.tensor) {
                for (int64_t size : arg.tensor->shape()) sizes.push_back(SizeId(size));
            }
            if (key.wanted >> k & 1) wrt.push_back(parameters);
            nodes.push_back(builder.parameter(c.tensor(arg.tensor ? arg.tensor->dtype() : arg.dtype, sizes)));
            ++parameters;
        }
        try {
            const std::vector<NodeId> made = builder.results_of(
                regions.empty() ? builder.emit(op, nodes, attr) : emit_with_regions(builder, op, nodes, regions, attr));
            if (!any) wrt.clear();
            compiled = compile_op(tracer_, builder.finish(made), std::move(wrt));
        } catch (...) {
            ops_.erase(key);
            throw;
        }
    }
    const std::shared_ptr<CompiledGraph> graph = compiled;
    tracer_.functions().note_work();
    std::vector<Tensor> inputs, outputs;
    inputs.reserve(args.size());
    for (const Arg& arg : args) {
        if (arg.tensor) inputs.push_back(arg.tensor->tensor);
        else if (!arg.is_literal) inputs.push_back(Tensor::scalar(tracer_.allocator(), arg.dtype, arg.number));
    }
    try {
        graph->run(inputs, outputs);
    } catch (Error& error) {  // a compiled op is shared by many lines
        if (span_) error.diagnostic.span = span_;
        throw;
    }
    std::vector<TensorRef> results;
    for (size_t k = 0; k < graph->result_count(); ++k) results.push_back(make_ref<TensorObject>(outputs[k]));
    if (!graph->differentiable().empty()) {
        std::vector<TapeEntry::Input> recorded;
        recorded.reserve(inputs.size());
        size_t next = 0;
        for (const Arg& arg : args) {
            if (!arg.tensor && arg.is_literal) continue;
            const Tensor& tensor = inputs[next++];
            recorded.push_back({tensor, tensor.storage->version, arg.tensor ? Edge::of(*arg.tensor) : Edge{}});
        }
        SmallVector<TensorObject*, 4> owners;
        for (size_t k : graph->differentiable()) owners.push_back(results[k].get());
        tracer_.tape().record(graph, std::move(recorded), outputs, owners, span_, meta_);
    }
    for (TensorRef& result : results) take(std::move(result));
}

// ---- views --------------------------------------------------------------------------------------------------------
TensorRef Dispatcher::view(Op op, TensorObject& x, AttrId attr, Tensor geometry) {
    TensorRef result;
    if (tracer_.capturing()) {
        result = tracer_.capture().view(op, x, attr, std::move(geometry));
    } else {
        if (x.is_symbolic()) {
            throw_error("graph", "this tensor has no elements: the graph that computes it was given up",
                        "an error ended the run of that graph, or the tensor is `meta`");
        }
        settle_history(x);
        geometry.storage = x.tensor.storage;
        result = make_ref<TensorObject>(std::move(geometry));
    }
    if (row(op).stops_gradient) return result;  // it shares memory, but no history in either direction
    result->base = x.base ? x.base : TensorRef(&x);
    result->path = make_ref<ViewStep>(x.path, op, tracer_.capturing() ? constant_sizes(attr) : attr);
    if (!tracer_.capturing() && grad_enabled_ && x.requires_grad() && row(op).gradient)
        record_movement(op, attr, x, *result);
    result->base_history = result->base->history();
    return result;
}

// A view outlives the graph whose symbols its sizes are: its path keeps their values.
AttrId Dispatcher::constant_sizes(AttrId attr) {
    Record record = context()[attr];
    for (AttrEntry& entry : record) {
        auto* list = std::get_if<AttrList>(&entry.value.value);
        if (!list) continue;
        for (AttrValue& item : *list) {
            const auto* size = std::get_if<SizeId>(&item.value);
            if (size && !size->is_inline_constant())
                item = AttrValue(SizeId(context().evaluate(*size, tracer_.capture().trace().hints())));
        }
    }
    return context().attr(record);
}

// A tape entry for a movement op whose result is there already: nothing runs.
void Dispatcher::record_movement(Op op, AttrId attr, const TensorObject& from, TensorObject& to) {
    Context& c = context();
    Key key{op, attr, uint64_t{1} << 63, {}};
    key.operands.push_back(static_cast<uint64_t>(from.dtype()) | uint64_t{from.rank()} << 8);
    for (int64_t size : from.shape()) key.operands.push_back(static_cast<uint64_t>(size));
    std::shared_ptr<CompiledGraph>& compiled = compiled_op(key);
    if (!compiled) {
        Builder builder(c);
        std::vector<SizeId> sizes;
        for (int64_t size : from.shape()) sizes.push_back(SizeId(size));
        const NodeId x = builder.parameter(c.tensor(from.dtype(), sizes));
        // Sizes that were symbols of a captured graph are constants here.
        const NodeId made = builder.emit(op, {x}, static_attr(op, attr, to));
        compiled = compile_op(tracer_, builder.finish({made}), {0});
    }
    TensorObject* owner = &to;
    tracer_.tape().record(compiled, {{from.tensor, from.tensor.storage->version, Edge::of(from)}},
                          std::span(&to.tensor, 1), {&owner, 1}, span_, meta_);
}

AttrId Dispatcher::static_attr(Op o, AttrId attr, const TensorObject& result) {
    if (row(o).view && Attributes(context(), attr).has("sizes"))  // the result's own
        return this->attr({{names_.sizes, list(std::span<const int64_t>(result.shape()))}});
    return attr;
}

void Dispatcher::settle_history(TensorObject& view) {
    if (!view.is_behind() || view.is_symbolic()) return;
    assert(!view.base->base && "a base is no view");
    assert(!view.base->autograd || !view.base->autograd->in_graph);
    view.autograd = nullptr;
    view.base_history = view.base->history();
    if (view.base_history == 0) return;
    // The steps from the base, last to first.
    std::vector<const ViewStep*> steps;
    for (const ViewStep* step = view.path.get(); step; step = step->before.get()) steps.push_back(step);
    TensorRef from = view.base;
    for (size_t k = steps.size(); k-- > 0;) {
        const TensorRef to =
            k == 0 ? TensorRef(&view) : make_ref<TensorObject>(moved(steps[k]->op, steps[k]->attr, from->tensor));
        record_movement(steps[k]->op, steps[k]->attr, *from, *to);
        from = to;
    }
}

// ---- writes -------------------------------------------------------------------------------------------------------
void Dispatcher::check_write(TensorObject& x) {
    if (!grad_enabled_) return;
    const bool is_leaf = x.requires_grad() && x.is_leaf();
    const bool views_leaf = x.base && x.base->requires_grad() && x.base->is_leaf();
    if (!is_leaf && !views_leaf) return;
    throw_error("gradient",
                is_leaf ? "a leaf that requires a gradient cannot be changed in place"
                        : "a view of a leaf that requires a gradient cannot be changed in place",
                "update it under `no_grad { … }`");
}

void Dispatcher::begin_write(TensorObject& x) {
    check_write(x);
    if (!tracer_.capturing() || !grad_enabled_ || !operation_) return;
    bool any = false;
    operation_->each_tensor([&](TensorObject& given) { any |= given.requires_grad(); });
    Capture& capture = tracer_.capture();
    if (!any || capture.tracing()) return;
    capture.admit_operation();
    capture.admit({&x});
    if (capture.holds_base(x) && capture.is_only_view(x)) return;
    capture.flush("a write through a view that was made before");
    operation_->first_entry = tracer_.tape().position();
}

void Dispatcher::write(TensorObject& x, TensorObject& value) {
    assert(x.dtype() == value.dtype() && x.shape() == value.shape());
    check_write(x);
    if (repeats_elements(x.tensor)) {
        throw_error("value",
                    fmt::format("this {} shows elements of its memory in several places: it cannot be changed in place",
                                describe_type(x)),
                    "write into what was expanded, or into a copy of this: `x.clone()`");
    }
    if (!tracer_.capturing()) return write_eagerly(x, value);
    Capture& capture = tracer_.capture();
    TensorRef source(&value);
    const bool was_apart = capture.admit_write(x, source);
    const bool makes_history = grad_enabled_ && (x.requires_grad() || source->requires_grad());
    if (!makes_history || (was_apart && capture.holds_base(x))) return capture.write(x, *source, makes_history);
    // A view that was made outside of this graph, or a part of one, gets a history: its base has to get it too, which
    // is the tape's work. So is what a detached view gets, which is not the history of the memory's other views, and a
    // write by what has read several views of the memory, since what it has read of them is kept for its gradient.
    capture.flush("a write through a view that was made before");
    write_eagerly(x, *source);
}

// What is written gives its history to the base; views of it, x among them, are behind then.
void Dispatcher::write_eagerly(TensorObject& x, TensorObject& value) {
    settle_history(value);
    if (grad_enabled_ && value.requires_grad() && operation_)
        tracer_.tape().keep(Edge::of(value), operation_->first_entry, *x.tensor.storage);
    x.tensor.storage->begin_write();
    copy_strided(x.tensor, value.tensor);
    ++x.tensor.storage->version;
    note_write(*x.tensor.storage, span_);
    if (!grad_enabled_ || !(x.requires_grad() || value.requires_grad())) return;
    if (x.base) return record_update(*x.base, x, value);
    x.autograd = nullptr;
    if (!value.requires_grad()) return;
    Autograd& autograd = x.make_autograd();
    autograd.requires_grad = true;
    autograd.entry = value.autograd->entry;
    autograd.output = value.autograd->output;
    autograd.number = tracer_.tape().number_history();
    // What was there before this operation is copied, as in a graph.
    const bool is_made_for_it = operation_ && autograd.entry && autograd.entry->position >= operation_->first_entry;
    if (!is_made_for_it) record_identity(value, x);
}

// update(base, view, value) as a graph of base and value, compiled once for their types and the way to the view.
std::shared_ptr<CompiledGraph> Dispatcher::compiled_update(const Tensor& base, std::span<const Step> steps,
                                                           const Tensor& value, uint64_t wanted) {
    Context& c = context();
    Key key{op<"update">(), {}, wanted, {}};
    for (const Tensor* tensor : {&base, &value}) {
        key.operands.push_back(static_cast<uint64_t>(tensor->dtype) | uint64_t{tensor->rank()} << 8);
        for (int64_t size : tensor->shape) key.operands.push_back(static_cast<uint64_t>(size));
    }
    for (const Step& step : steps) key.operands.push_back(uint64_t{step.op.row} << 32 | step.attr.index);
    std::shared_ptr<CompiledGraph>& compiled = compiled_op(key);
    if (compiled) return compiled;
    Builder builder(c);
    auto parameter = [&](const Tensor& of) {
        std::vector<SizeId> sizes;
        for (int64_t size : of.shape) sizes.push_back(SizeId(size));
        return builder.parameter(c.tensor(of.dtype, sizes));
    };
    const NodeId from = parameter(base), to = parameter(value);
    NodeId shown = from;
    for (const Step& step : steps) shown = builder.emit(step.op, {shown}, step.attr);
    const NodeId made = builder.emit(op<"update">(), {from, shown, to});
    std::vector<size_t> wrt;
    for (size_t k = 0; k < 2; ++k) {
        if (wanted >> k & 1) wrt.push_back(k);
    }
    return compiled = compile_op(tracer_, builder.finish({made}), std::move(wrt));
}

TensorRef Dispatcher::updated(TensorObject& base, std::span<const Step> steps, TensorObject& value) {
    if (tracer_.capturing()) {
        TensorRef shown(&base);
        for (const Step& step : steps) shown = apply(step.op, {shown}, step.attr);
        return apply(op<"update">(), {base, shown, value});
    }
    const bool records = grad_enabled_ && is_float(base.dtype());
    settle_history(base);
    settle_history(value);
    const uint64_t wanted = records ? (base.requires_grad() ? 1 : 0) | (value.requires_grad() ? 2 : 0) : 0;
    const auto graph = compiled_update(base.tensor, steps, value.tensor, wanted);
    std::vector<Tensor> outputs;
    const Tensor inputs[] = {base.tensor, value.tensor};
    graph->run(inputs, outputs);
    auto result = make_ref<TensorObject>(outputs[0]);
    if (wanted) record_update_of(graph, base, value, outputs, *result);
    return result;
}

void Dispatcher::record_update_of(const std::shared_ptr<CompiledGraph>& graph, const TensorObject& base,
                                  const TensorObject& value, std::span<const Tensor> outputs, TensorObject& result) {
    TensorObject* owner = &result;
    tracer_.tape().record(graph,
                          {{base.tensor, base.tensor.storage->version, Edge::of(base)},
                           {value.tensor, value.tensor.storage->version, Edge::of(value)}},
                          outputs, {&owner, 1}, span_, meta_);
}

// The base's history after a write through a view.
void Dispatcher::record_update(TensorObject& base, TensorObject& view, TensorObject& value) {
    std::vector<Step> steps;
    for (const ViewStep* step = view.path.get(); step; step = step->before.get())
        steps.push_back({step->op, step->attr});
    std::reverse(steps.begin(), steps.end());
    record_update_of(compiled_update(base.tensor, steps, value.tensor, 3), base, value, std::span(&base.tensor, 1),
                     base);
}

void Dispatcher::record_identity(TensorObject& from, TensorObject& to) {
    record_movement(op<"identity">(), {}, from, to);
}

void Dispatcher::note_write(const Storage& storage, Span span) {
    writes_[next_write_] = {&storage, span};
    next_write_ = (next_write_ + 1) % writes_.size();
}

Span Dispatcher::last_write(const Storage& storage) const {
    for (size_t k = 1; k <= writes_.size(); ++k) {
        const auto& [written, span] = writes_[(next_write_ + writes_.size() - k) % writes_.size()];
        if (written == &storage) return span;
    }
    return {};
}

// ---- sizes and elements -------------------------------------------------------------------------------------------
Size Dispatcher::size(TensorObject& x, size_t dimension) {
    const int64_t value = x.shape()[dimension];
    if (!tracer_.capturing() || value <= 1) return Size(value);
    return tracer_.capture().size(x, dimension);
}

Sizes Dispatcher::sizes(TensorObject& x) {
    Sizes sizes;
    for (size_t d = 0; d < x.rank(); ++d) sizes.push_back(size(x, d));
    return sizes;
}

const Tensor& Dispatcher::elements(TensorObject& x, std::string_view reason) {
    if (tracer_.capturing() && tracer_.capture().is_pending(x)) tracer_.graph_break(reason, span_);
    if (x.is_symbolic()) {
        throw_error("graph", "this tensor has no elements: the graph that computes it was given up",
                    "an error ended the run of that graph, or the tensor is `meta`");
    }
    return x.tensor;
}

// A movement op on strides; `attr` may name sizes of a captured graph, for which the tensor's own count.
Tensor Dispatcher::moved(Op o, AttrId attr, const Tensor& tensor) {
    const ViewRule view = row(o).view;
    assert(view && "only what moves strides is a step of a view");
    return view(tensor, Attributes(context(), attr));
}

}  // namespace tenon
