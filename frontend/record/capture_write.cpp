// Capture: writes. Mutation is keyed by storage: a write gives a memory its next value in the graph, which everything that
// shows this memory reads from there on, and inputs are written at the graph's end.
#include <cassert>

#include "frontend/record/capture_overwritten.h"
#include "frontend/record/capture_trace.h"
#include "ir/row.h"

namespace tenon {

// A graph that holds several views of what it writes would read some of them too early or too late: the graph before
// ends, and this one holds x alone. What x takes from the same memory is copied before.
bool Capture::admit_write(TensorObject& x, TensorRef& value) {
    for (bool was_only_view = true;; was_only_view = false) {
        admit({&x, value.get()});
        if (trace_->in_example()) trace_->refuse_outer_write(x);
        if (is_only_view(x)) return was_only_view;
        if (const Arg copied[] = {Arg(value)}; memory_of(*value) && memory_of(*value) == memory_of(x))
            append(op<"identity">(), copied, {}, [&](TensorRef made) { value = std::move(made); });
        flush("a write to memory of which this graph holds several views");
    }
}

const Storage* Capture::memory_of(const TensorObject& x) const {
    const StorageValue& storage = storages_[values_[x.capture_value_].storage];
    return storage.input == none ? nullptr : inputs_[storage.input].tensor.storage.get();
}

bool Capture::holds_base(const TensorObject& x) const {
    const TensorObject& base = x.base ? *x.base : x;
    if (!is_admitted(base)) return false;
    const ViewValue& value = values_[base.capture_value_];
    return value.parent == none && value.storage == values_[x.capture_value_].storage;
}

// One meaning of a write, as op by op (Dispatcher::write_eagerly): the memory's value is another one. Its history, and
// with it that of all views, is another one where the write is differentiated, and stays what it was where it is not.
void Capture::write(TensorObject& x, TensorObject& value, bool makes_history) {
    const Holding holding(*this);
    NodeId to = node(value);
    Builder::StampScope scope(builder_, stamp());
    const uint32_t v = x.capture_value_;
    const uint32_t s = values_[v].storage;
    const NodeId before = storages_[s].current;
    const uint32_t first = first_of_operation();
    if (to.index < first) to = builder_.emit(op<"identity">(), {to});  // a copy of another's value
    NodeId now = written(v, to);
    if (!makes_history && (storages_[s].leaf || storages_[s].has_history)) {
        if (tracer_.dispatcher().grad_enabled()) now = builder_.emit(op<"detach">(), {now});
        if (storages_[s].has_history) {  // that of a leaf: leaf_value
            Stamp through = stamp();
            through.flags = uint8_t(through.flags & ~no_grad_flag);
            Builder::StampScope differentiated(builder_, through);
            now = builder_.emit(op<"with_history">(), {now, before});
        }
    }
    StorageValue& storage = storages_[s];
    const Operation operation{first, static_cast<uint32_t>(builder_.size())};
    overwritten_->note({.node = before,
                        .write = tracer_.dispatcher().span(),
                        .storage = s,
                        .position = static_cast<uint32_t>(builder_.body().size()),
                        .by = operation,
                        .made_by = storage.written_by});
    storage.written_by = operation;
    storage.current = now;
    ++storage.version;
    if (storage.input != none) storage.dirty = true;
    if (!makes_history) return;
    builder_.mix(first);  // whose formulas keep what they name is a fact of the graph
    assert(holds_base(x) && "a write gives a history to what does not own that of the memory");
    storage.leaf = nullptr;
    storage.has_history = values_[v].parent != none || value.requires_grad();
    ++storage.histories;
    give_history(x.base ? *x.base : x, storage.has_history);
}

// What the memory of value v is once `to` is written into it.
NodeId Capture::written(uint32_t v, NodeId to) {
    StorageValue& storage = storages_[values_[v].storage];
    if (values_[v].parent == none) return as_type(to, builder_.node(storage.current).type);
    NodeId view = materialise(v);
    const NodeId before = storage.leaf ? leaf_value(storage) : storage.current;
    if (!is_chain(view, before)) {  // it has the history of what it was: movement alone says where the write goes
        std::vector<uint32_t> steps;
        for (uint32_t step = v; values_[step].parent != none; step = values_[step].parent) steps.push_back(step);
        view = before;
        for (size_t k = steps.size(); k-- > 0;)
            view = builder_.emit(values_[steps[k]].op, {view}, values_[steps[k]].attr);
    }
    assert(is_chain(view, before) && "what a write goes through is movement of the base's value");
    const NodeId made = builder_.emit(op<"update">(), {before, view, as_type(to, builder_.node(view).type)});
    if (builder_.node(made).flags & recompute_flag) apply_policy(made);
    return made;
}

// The base of what was written: from here on it is computed by this graph, or, without `any`, from nothing that
// requires a gradient. Its views are behind.
void Capture::give_history(TensorObject& base, bool any) {
    record(HostEffect::history(base));
    const bool known = base.autograd && base.autograd->in_graph;
    base.autograd = nullptr;
    if (!any) return;
    require_in_graph(base);
    if (!known && !base.is_symbolic()) rewritten_.push_back(TensorRef(&base));
}

// Ids from this one on belong to the operation of the script that is under way.
uint32_t Capture::first_of_operation() const {
    const Dispatcher::Operation* operation = tracer_.dispatcher().operation();
    return operation && operation->admitted_to == serial_ ? operation->first_node
                                                          : static_cast<uint32_t>(builder_.size());
}

bool Capture::is_chain(NodeId view, NodeId base) const {
    while (view != base && row(builder_.node(view).op).lowering == Lowering::movement &&
           row(builder_.node(view).op).history_of < 0)
        view = builder_.operands_of(view)[0];
    return view == base;
}

void Capture::commit_dirty() {
    for (size_t s = 0; s < storages_.size(); ++s) {
        StorageValue& storage = storages_[s];
        if (!storage.dirty) continue;
        storage.dirty = false;
        Builder::StampScope scope(builder_, stamp());
        const NodeId input = inputs_[storage.input].node;
        builder_.emit(op<"commit">(), {input, storage.current});
    }
}

}  // namespace tenon
