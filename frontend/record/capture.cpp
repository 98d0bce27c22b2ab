// Capture: appending ops, views and writes to the graph at hand.
#include "frontend/record/capture.h"

#include <algorithm>
#include <bit>
#include <cassert>

#include <fmt/format.h>

#include "frontend/record/capture_backward.h"
#include "frontend/record/capture_differentiation.h"
#include "frontend/record/capture_overwritten.h"
#include "frontend/record/capture_trace.h"
#include "frontend/record/checkpoint_policy.h"
#include "ir/row.h"
#include "runtime/diagnostic.h"

namespace tenon {

Capture::Capture(Tracer& tracer)
    : tracer_(tracer), builder_(tracer.context()), serial_(tracer.next_serial()), journal_(tracer.generator()),
      differentiation_(std::make_unique<Differentiation>(*this)),
      overwritten_(std::make_unique<OverwrittenValues>(*this)), trace_(std::make_unique<Trace>(*this)),
      backward_(std::make_unique<CaptureBackward>(*this)) {
    builder_.known_sizes().assume_hints(true);
    builder_.known_sizes().decide_small(true);
    ring_.previous_ = ring_.next_ = &ring_;
}

Capture::~Capture() {
    journal_.undo_all();
    while (ring_.next_ != &ring_) ring_.next_->unlink();
}

void Capture::begin(const CallSite& site) {
    assert(is_empty());
    site_ = site;
    functions_.begin_call(site.function);
    differentiation_->begin_call();
}

void Capture::end() {
    flush();
    site_ = {};
    functions_.end_call();
}

// What a look has changed is as it was before, and so is what an interrupt has left half done.
void Capture::abandon() {
    journal_.undo_all();
    clear();
    open_calls_.clear();
    checkpoint_depth_ = 0;
    tracing_ = false;
    trace_->abandon();
}

void Capture::forget_functions() {
    functions_.clear();
    overwritten_->forget_graphs();
}

bool Capture::shares_sizes(uint64_t serial) const {
    return serial == serial_ || (trace_->outside() && trace_->outside()->shares_sizes(serial));
}

void Capture::clear() {
    while (ring_.next_ != &ring_) ring_.next_->unlink();
    builder_.reset();
    serial_ = tracer_.next_serial();
    storages_.clear();
    values_.clear();
    inputs_.clear();
    journal_.clear();
    differentiation_->clear();
    overwritten_->clear();
    rewritten_.clear();
    fallible_.clear();
    failing_.clear();
    memory_.clear();
    numbers_.clear();
    dynamic_symbols_.clear();
}

// ---- stamps -------------------------------------------------------------------------------------------------------
Stamp Capture::stamp() {
    Dispatcher& d = tracer_.dispatcher();
    Stamp stamp;
    if (!(last_origin_.first == d.span()) || !last_origin_.second) {
        last_origin_ = {
            d.span(), tracer_.context().origin(Origin{.span = d.span(), .rule = {}, .differentiated = {}, .path = {}})};
    }
    stamp.origin = last_origin_.second;
    stamp.meta = d.meta();
    if (!d.grad_enabled()) stamp.flags |= no_grad_flag;
    if (checkpoint_depth_ > 0) stamp.flags |= recompute_flag;
    return stamp;
}

Stamp Capture::stamp(Op op) {
    Stamp made = stamp();
    if (checkpoint_depth_ > 0) made.flags = uint8_t((made.flags & ~policy_flags) | policy_for(op, {}));
    return made;
}

// What the checkpoints that are open have to say of a value; 0 where it was made before the first of them.
uint8_t Capture::policy_for(Op op, NameId name, uint32_t made) const {
    const NameId checkpoint = tracer_.context().name("checkpoint");
    uint8_t flags = 0;
    for (const OpenCall& call : open_calls_) {
        if (call.kind != checkpoint || made < call.begin) continue;
        const uint8_t word = call.policy ? call.policy->flags(op, name) : uint8_t(recompute_flag);
        flags = flags ? both_policies(flags, word) : word;
    }
    return flags;
}

// Once the node is there: as its op's policy has it, or, once it has one, its name's.
void Capture::apply_policy(NodeId made, NameId name) {
    const bool is_one = builder_.node(made).op != op<"get">();
    const NodeId maker = is_one ? made : builder_.operands_of(made)[0];
    const uint8_t flags = policy_for(builder_.node(maker).op, name, maker.index);
    if (flags == 0 || builder_.node(made).op == op<"param">()) return;
    builder_.mix(made.index);
    builder_.mix(flags);
    for (NodeId id : {made, maker}) builder_.set_flags(id, uint8_t((builder_.node(id).flags & ~policy_flags) | flags));
}

// An input gets the metadata of the first node of the outer region that takes it as operand; what a call's region takes
// is taken by the call.
void Capture::mark_used(uint32_t input) {
    Input& in = inputs_[input];
    if (in.used) return;
    in.used = true;
    builder_.set_meta(in.node, open_calls_.empty() ? tracer_.dispatcher().meta() : open_calls_.front().stamp.meta);
}

void Capture::begin_call(std::string_view name, std::string_view kind, AttrId record,
                         std::shared_ptr<CheckpointPolicy> policy) {
    open_calls_.push_back({tracer_.context().name(name), tracer_.context().name(kind), record, stamp(),
                           std::move(policy), uint32_t(builder_.size())});
    reopen(open_calls_.back());
    if (kind == "checkpoint") ++checkpoint_depth_;
}

void Capture::end_call() {
    assert(!open_calls_.empty());
    if (open_calls_.back().kind == tracer_.context().name("checkpoint")) --checkpoint_depth_;
    builder_.end_call();
    open_calls_.pop_back();
}

void Capture::reopen(const OpenCall& call) {
    Builder::StampScope scope(builder_, call.stamp);
    builder_.begin_call(call.name, call.kind, call.record);
}

// ---- values -------------------------------------------------------------------------------------------------------
NodeId Capture::node(TensorObject& x) {
    assert(is_admitted(x) && "an id is taken of a tensor that was not admitted");
    return materialise(x.capture_value_);
}

NodeId Capture::materialise(uint32_t v) {
    StorageValue& storage = storages_[values_[v].storage];
    if (values_[v].parent == none) {
        if (storage.leaf) return leaf_value(storage);
        if (storage.input != none && storage.version == 0) mark_used(storage.input);
        return storage.current;
    }
    if (values_[v].chain_version == storage.version) return values_[v].chain;
    const NodeId from = materialise(values_[v].parent);
    ViewValue& view = values_[v];
    const uint32_t histories = storage.histories;
    Stamp stamp = view.stamp;
    // A view made under no_grad has no history, until its base gets another one.
    if (histories != view.histories) stamp.flags = uint8_t(stamp.flags & ~no_grad_flag);
    const bool keeps_history = view.chain && view.chain_histories == histories;  // no_grad has written the base
    if (keeps_history) stamp.flags |= no_grad_flag;
    NodeId made;
    {
        Builder::StampScope scope(builder_, stamp);
        made = builder_.emit(view.op, {from}, view.attr);
    }
    overwritten_->note_shown(made, from);
    if (keeps_history) {
        Builder::StampScope scope(builder_, Stamp{.origin = stamp.origin, .meta = {}, .flags = 0});
        made = builder_.emit(op<"with_history">(), {made, view.chain});
        overwritten_->note_shown(made, from);
    }
    view.chain = made;
    view.chain_version = storage.version;
    view.chain_histories = histories;
    return made;
}

// All values of a leaf have one history, and one gradient.
NodeId Capture::leaf_value(StorageValue& storage) {
    if (!storage.leaf_node) {
        storage.leaf_node = storage.input != none ? inputs_[storage.input].node : storage.current;
        differentiation_->note_leaf(storage.leaf, storage.leaf_node);
        if (storage.input != none) mark_used(storage.input);
        if (const uint8_t flags = builder_.node(storage.leaf_node).flags; flags & recompute_flag) {
            // What a gradient is asked for is there: a copy of it, computed again, would lead to no leaf.
            builder_.set_flags(storage.leaf_node, uint8_t(flags & ~policy_flags));
            builder_.mix(storage.leaf_node.index);
        }
    }
    if (storage.current == storage.leaf_node) return storage.current;
    if (storage.as_leaf_version != storage.version) {
        Builder::StampScope scope(builder_, Stamp{.origin = stamp().origin, .meta = {}, .flags = 0});
        storage.as_leaf = builder_.emit(op<"with_history">(), {storage.current, storage.leaf_node});
        storage.as_leaf_version = storage.version;
        overwritten_->note_shown(storage.as_leaf, storage.current);
    }
    return storage.as_leaf;
}

// A literal is a constant of the graph. Any other number is a 0-dim input; one site that gives one value several times
// (a loop over parameters) is one input.
NodeId Capture::number(const Arg& arg, size_t operand) {
    if (arg.is_literal) return builder_.literal(arg.number, arg.dtype);
    const uint64_t bits = std::visit(
        [](auto value) {
            if constexpr (std::is_same_v<decltype(value), double>) return std::bit_cast<uint64_t>(value);
            else return static_cast<uint64_t>(value);
        },
        arg.number);
    const Span span = tracer_.dispatcher().span();
    const NumberKey key{bits * 31 + static_cast<uint64_t>(arg.dtype), (uint64_t{span.source} << 48) ^
                                                                          (uint64_t{span.begin} << 24) ^ span.end ^
                                                                          (uint64_t{operand} << 60)};
    if (const NodeId* known = numbers_.find(key)) return *known;
    if (trace_->constants()) {
        const Arg literal = Arg::literal(arg.number, arg.dtype);
        return number(literal, operand);
    }
    const uint32_t input = add_input(Tensor::scalar(tracer_.allocator(), arg.dtype, arg.number), {}, {});
    mark_used(input);
    numbers_.add(key, inputs_[input].node);
    return inputs_[input].node;
}

TensorRef Capture::make_result(NodeId node, bool requires_grad) {
    const Type& type = builder_.type(node);
    auto result = make_ref<TensorObject>();
    Tensor& geometry = result->tensor;
    geometry.dtype = type.dtype;
    geometry.shape.resize(type.sizes.size());
    for (size_t d = 0; d < type.sizes.size(); ++d) {
        const SizeId id = type.sizes[d];
        geometry.shape[d] =
            id.is_inline_constant() ? id.bits : tracer_.context().evaluate(id, builder_.known_sizes().hints());
    }
    geometry.strides = contiguous_strides(geometry.shape);
    StorageValue& storage = storages_.emplace_back();
    storage.current = node;
    storage.has_history = requires_grad;
    ViewValue& value = values_.emplace_back();
    value.storage = static_cast<uint32_t>(storages_.size() - 1);
    value.made = static_cast<uint32_t>(builder_.body().size());
    adopt(*result, static_cast<uint32_t>(values_.size() - 1));
    link(*result);
    if (requires_grad) require_in_graph(*result);
    return result;
}

void Capture::require_in_graph(TensorObject& x) {
    Autograd& autograd = x.make_autograd();
    autograd.requires_grad = autograd.in_graph = true;
    autograd.number = tracer_.tape().number_history();
}

void Capture::append(Op op, std::span<const Arg> args, AttrId attr, Dispatcher::Take take) {
    tracer_.dispatcher().policies().refuse();
    admit_operation();
    const uint64_t before = serial_;
    for (bool all = false; !all;) {
        all = true;
        for (const Arg& arg : args) {
            if (!arg.tensor || is_admitted(*arg.tensor)) continue;
            register_input(*arg.tensor);
            all = false;
        }
    }
    assert((serial_ == before || !names_symbols(attr)) && "the sizes of this op are those of a graph that has ended");
    (void)before;
    const Holding holding(*this);
    std::vector<NodeId>& nodes = operands_;
    nodes.assign(args.size(), NodeId());
    bool requires_grad = false;
    for (size_t k = 0; k < args.size(); ++k) {
        nodes[k] = args[k].tensor ? node(*args[k].tensor) : number(args[k], k);
        requires_grad |= args[k].tensor && args[k].tensor->requires_grad();
    }
    Builder::StampScope scope(builder_, stamp(op));
    const std::vector<NodeId> results = builder_.results_of(builder_.emit(op, nodes, attr));
    if (row(op).may_fail) note_fallible(results[0]);
    requires_grad = requires_grad && tracer_.dispatcher().grad_enabled() && row(op).gradient;
    for (NodeId made : results) take(make_result(made, requires_grad && is_float(builder_.type(made).dtype)));
}

// Whether an attribute names sizes that are symbols of this graph.
bool Capture::names_symbols(AttrId attr) const {
    const auto is_symbolic = [&](const AttrValue& value) {
        const auto* size = std::get_if<SizeId>(&value.value);
        return size && !tracer_.context().as_constant(*size);
    };
    const Record& record = tracer_.context()[attr];
    return std::any_of(record.begin(), record.end(), [&](const AttrEntry& entry) {
        const auto* list = std::get_if<AttrList>(&entry.value.value);
        return is_symbolic(entry.value) || (list && std::any_of(list->begin(), list->end(), is_symbolic));
    });
}

TensorRef Capture::view(Op op, TensorObject& x, AttrId attr, Tensor geometry) {
    tracer_.dispatcher().policies().refuse();
    admit_operation();
    const uint64_t before = serial_;
    admit({&x});
    assert((serial_ == before || !names_symbols(attr)) && "the sizes of this view are those of a graph that has ended");
    (void)before;
    const Holding holding(*this);
    const uint32_t parent = x.capture_value_;
    materialise(parent);
    geometry.storage = nullptr;
    auto result = make_ref<TensorObject>(std::move(geometry));
    const uint32_t storage = values_[parent].storage;
    values_.push_back({.storage = storage,
                       .parent = parent,
                       .histories = storages_[storage].histories,
                       .op = op,
                       .attr = attr,
                       .stamp = stamp(op)});
    const auto value = static_cast<uint32_t>(values_.size() - 1);
    materialise(value);  // at once, so that nodes stand in the order of the script
    values_[value].made = static_cast<uint32_t>(builder_.body().size());
    adopt(*result, value);
    link(*result);
    if (x.requires_grad() && tracer_.dispatcher().grad_enabled() && row(op).gradient) require_in_graph(*result);
    return result;
}

// The value with this type, or one that guards make the same: sizes that are equal now may be other polynomials.
NodeId Capture::as_type(NodeId value, TypeId type) {
    if (builder_.node(value).type == type) return value;
    const std::vector<SizeId>&sizes = tracer_.context()[type].sizes, &own = builder_.type(value).sizes;
    if (std::equal(sizes.begin(), sizes.end(), own.begin(), own.end(),
                   [&](SizeId a, SizeId b) { return builder_.known_sizes().equal(a, b); }))
        return value;
    AttrList list(sizes.begin(), sizes.end());
    const AttrId attr = tracer_.context().attr({{tracer_.dispatcher().names().sizes, AttrValue(std::move(list))}});
    return builder_.emit(op<"reshape">(), {value}, attr);
}

// An op that fails ends the script where it stands, whether its result is used or not. Division by a literal does not.
void Capture::note_fallible(NodeId made) {
    if (row(builder_.node(made).op).lowering == Lowering::scalar) {
        if (!is_integer(builder_.type(made).dtype)) return;
        const NodeId divisor = builder_.operands_of(made)[1];
        if (builder_.is_literal(divisor) && builder_.attributes(divisor).integer("value") != 0) return;
    }
    fallible_.push_back(made);
    failing_.push_back(static_cast<uint32_t>(builder_.body().size() - 1));
}

Size Capture::size(TensorObject& x, size_t dimension) {
    admit_operation();
    admit({&x});
    const NodeId of = node(x);
    return {x.tensor.shape[dimension], builder_.type(of).sizes[dimension], serial_};
}

// Symbols are dimensions of inputs: an int is the dimension of an input that nothing reads.
Size Capture::host_size(int64_t value, bool shared) {
    admit_operation();
    Context& context = tracer_.context();
    const Span span = tracer_.dispatcher().span();
    const NumberKey key{static_cast<uint64_t>(value) * 31 + static_cast<uint64_t>(DType::u8),
                        (uint64_t{span.source} << 48) ^ (uint64_t{span.begin} << 24) ^ span.end ^ (uint64_t{15} << 60)};
    if (shared) {
        if (const NodeId* known = numbers_.find(key)) return {value, builder_.type(*known).sizes[0], serial_};
    }
    const SizeId size = symbol(builder_.symbols().size());
    Builder::StampScope scope(builder_, Stamp{.origin = stamp().origin, .meta = {}, .flags = 0});
    const NodeId node = builder_.parameter(context.tensor(DType::u8, {&size, 1}, Device{}));
    builder_.symbol(node, 0, value);
    // Memory it has all the same, for whoever copies inputs without asking what they are.
    if (!stand_in_.defined() || stand_in_.numel() < value)
        stand_in_ = Tensor::empty(tracer_.allocator(), DType::u8, {2 * value + 1});
    Tensor shaped = stand_in_;
    shaped.shape = {value};
    inputs_.push_back({.node = node, .tensor = std::move(shaped), .edge = {}, .name = {}});
    if (shared) numbers_.add(key, node);
    return {value, size, serial_};
}

void Capture::assert_true(TensorObject& condition, std::string_view message) {
    admit({&condition});
    const NodeId holds = node(condition);
    Builder::StampScope scope(builder_, stamp());
    Context& context = tracer_.context();
    const Dispatcher::Names& names = tracer_.dispatcher().names();
    Record record;
    if (!message.empty()) record.push_back({names.message, AttrValue(context.name(message))});
    builder_.emit(op<"assert">(), {holds}, context.attr(record));
    failing_.push_back(static_cast<uint32_t>(builder_.body().size() - 1));
}

void Capture::restamp(TensorObject& result, const Stamp& stamp) {
    const NodeId made = storages_[values_[result.capture_value_].storage].current;
    const bool is_one = builder_.node(made).op != op<"get">();
    for (NodeId id : {made, is_one ? made : builder_.operands_of(made)[0]}) {
        builder_.set_origin(id, stamp.origin);
        builder_.set_flags(id, uint8_t(builder_.node(id).flags | stamp.flags));
    }
}

}  // namespace tenon
