#include "frontend/history/tape_entry.h"

#include <algorithm>
#include <cassert>
#include <utility>
#include <vector>

#include "frontend/compile/graph_cache.h"
#include "ir/row.h"

namespace tenon {

Edge Edge::of(const TensorObject& tensor) {
    assert(!tensor.is_behind() && "a view's history is used that is not its base's");
    if (!tensor.requires_grad()) return {};
    const Autograd& autograd = *tensor.autograd;
    if (autograd.entry) return {autograd.entry, autograd.output, {}};
    return autograd.in_graph ? Edge{} : Edge{{}, 0, tensor.autograd};
}

void TensorObject::visit_children(FunctionRef<void(const Value&)> visit) const {
    if (autograd) visit(Value(autograd));
    if (base) visit(Value(base));
}
void TensorObject::drop_children() {
    autograd = nullptr;
    base = nullptr;
}

TensorRef unpacked_in_graph(const TapeEntry& entry, size_t saved) {
    const PackedSaved* const packed = entry.hooks.packed.get();
    return packed && saved < packed->unpacked.size() ? packed->unpacked[saved] : TensorRef();
}

Autograd::Autograd() : Object(Kind::other) {}
Autograd::~Autograd() = default;

LeafHooks& Autograd::make_hooks() {
    if (!hooks) hooks = std::make_unique<LeafHooks>();
    return *hooks;
}

void Autograd::visit_children(FunctionRef<void(const Value&)> visit) const {
    if (entry) visit(Value(entry));
    if (grad) visit(Value(grad));
    if (!hooks) return;
    for (const Ref<Hooks>* each : {&hooks->gradient, &hooks->before, &hooks->accumulated, &hooks->after}) {
        if (*each) visit(Value(*each));
    }
}

void Autograd::drop_children() {
    entry = nullptr;
    grad = nullptr;
    hooks = nullptr;
}

Ref<Autograd> Autograd::copy_of_history() const {
    auto copy = make_ref<Autograd>();
    copy->restore_history(*this);
    return copy;
}

void Autograd::restore_history(const Autograd& before) {
    requires_grad = before.requires_grad;
    entry = before.entry;
    output = before.output;
    in_graph = before.in_graph;
    number = before.number;
}

// Long chains (a recurrent net's steps) are taken apart one by one, not by recursion.
TapeEntry::~TapeEntry() {
    guard({});
    std::vector<Ref<TapeEntry>> chain;
    auto take = [&chain](TapeEntry& entry) {
        for (Edge& edge : entry.edges) {
            if (edge.entry) chain.push_back(std::move(edge.entry));
        }
        for (Input& input : entry.inputs) {
            if (input.edge.entry) chain.push_back(std::move(input.edge.entry));
        }
        for (Edge& edge : entry.unfolded) {
            if (edge.entry) chain.push_back(std::move(edge.entry));
        }
    };
    take(*this);
    while (!chain.empty()) {
        Ref<TapeEntry> entry = std::move(chain.back());
        chain.pop_back();
        if (entry.unique()) take(*entry);
    }
}

void TapeEntry::visit_children(FunctionRef<void(const Value&)> visit) const {
    const auto visit_edge = [&](const Edge& edge) {
        if (edge.entry) visit(Value(edge.entry));
        if (edge.leaf) visit(Value(edge.leaf));
    };
    for (const Edge& edge : edges) visit_edge(edge);
    for (const Input& input : inputs) visit_edge(input.edge);
    for (const Edge& edge : unfolded) visit_edge(edge);
    for (const Output& output : outputs) {
        if (output.hooks) visit(Value(output.hooks));
        if (output.retained) visit(Value(output.retained));
    }
    if (custom) visit(Value(custom));
    if (hooks.packed) visit(Value(hooks.packed));
    if (hooks.before) visit(Value(hooks.before));
    if (hooks.after) visit(Value(hooks.after));
}

void TapeEntry::drop_children() {
    edges.clear();
    inputs.clear();
    unfolded.clear();
    outputs.clear();
    custom = nullptr;
    hooks = {};
}

bool has_hooks(const TapeEntry& entry) {
    if (entry.hooks.before || entry.hooks.after) return true;
    return std::any_of(entry.outputs.begin(), entry.outputs.end(),
                       [](const TapeEntry::Output& output) { return output.hooks || output.retained; });
}

size_t operand_count(const TapeEntry& entry) {
    if (entry.custom) return entry.custom->parameter_count();
    return entry.graph ? entry.graph->graph()->params().size() : entry.edges.size();
}

size_t operand_of(const TapeEntry& entry, size_t edge) {
    if (entry.custom) return entry.custom->parameter_of(edge);
    return entry.graph ? entry.graph->wrt()[edge] : edge;
}

std::string_view name_of(const TapeEntry& entry) {
    if (entry.custom) return entry.custom->name();
    if (!entry.graph) return "used up";
    const Graph& graph = *entry.graph->graph();
    return row(graph[graph.body().back()].op).name;
}

uint64_t kind_for_key(const TapeEntry& entry) {
    if (entry.custom) return entry.custom->key();
    if (!entry.graph) return 0;
    if (!entry.graph->is_op()) return 1;
    const Graph& of = *entry.graph->graph();
    return 2 + uint64_t{of[of.body().back()].op.row};
}

void TapeEntry::guard(std::span<const size_t> which) {
    for (size_t k : guarded) saved[k].tensor.storage->remove_reader(*this);
    guarded.assign(which.begin(), which.end());
    for (size_t k : guarded) saved[k].tensor.storage->add_reader(*this);
}

void TapeEntry::before_write(const Storage& storage) {
    std::erase_if(guarded, [&](size_t k) {
        if (saved[k].tensor.storage.get() != &storage) return false;
        saved[k] = {.tensor = saved[k].tensor.clone()};
        if (const Split::Saved& place = graph->saved()[k]; place.is_input) inputs[place.index].before = saved[k].tensor;
        return true;
    });
}

void TapeEntry::clear() {
    guard({});
    saved.clear();
    shown_memory.clear();
    hooks.packed = nullptr;
}

}  // namespace tenon
