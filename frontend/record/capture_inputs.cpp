// Capture: tensors of the script become inputs of the graph, or values that it has already.
#include <algorithm>
#include <array>
#include <cassert>
#include <cctype>

#include <fmt/format.h>

#include "frontend/record/capture_trace.h"
#include "ir/row.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

// "layers.0.weight" as the text of a graph can name it; no word that begins a literal.
std::string as_identifier(std::string name) {
    for (char& c : name) {
        if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
    }
    const bool is_literal = name == "const" || name == "inf" || name == "nan" || name == "true" || name == "false";
    if (is_literal || (!name.empty() && std::isdigit(static_cast<unsigned char>(name[0])))) name.insert(0, "_");
    return name;
}

}  // namespace

SizeId Capture::symbol(size_t number) {
    while (symbols_.size() <= number)
        symbols_.push_back(tracer_.context().symbol(static_cast<uint32_t>(symbols_.size())));
    return symbols_[number];
}

// Every size but 0 and 1 is a symbol of its own: that two are equal is what a guard says.
TypeId Capture::type_of_input(const Tensor& tensor, FreshSymbols& fresh_symbols) {
    std::array<SizeId, 8> few;
    std::vector<SizeId> many(tensor.rank() > few.size() ? tensor.rank() : 0);
    const std::span<SizeId> sizes(many.empty() ? few.data() : many.data(), tensor.rank());
    size_t next = builder_.symbols().size();
    for (size_t d = 0; d < tensor.shape.size(); ++d) {
        const int64_t extent = tensor.shape[d];
        if (extent <= 1 || tracing_) {
            sizes[d] = SizeId(extent);
            continue;
        }
        sizes[d] = symbol(next++);
        fresh_symbols.push_back(static_cast<uint32_t>(d));
    }
    return tracer_.context().tensor(tensor.dtype, sizes, tensor.storage ? tensor.storage->device : Device{});
}

uint32_t Capture::add_input(const Tensor& tensor, const Edge& edge, std::string_view name) {
    FreshSymbols fresh;
    const TypeId type = type_of_input(tensor, fresh);
    Builder::StampScope scope(builder_, Stamp{});
    const NodeId node = builder_.parameter(type, name.empty() ? NameId::none() : tracer_.context().name(name));
    for (uint32_t d : fresh) builder_.symbol(node, static_cast<int>(d), tensor.shape[d]);
    inputs_.push_back({.node = node, .tensor = tensor, .edge = edge, .name = std::string(name)});
    return static_cast<uint32_t>(inputs_.size() - 1);
}

// Sizes that the script has marked are symbolic from the first graph on.
void Capture::note_dynamic(const TensorObject& x, NodeId input) {
    if (x.dynamic_dims == 0) return;
    for (size_t d = 0; d < x.rank(); ++d) {
        if (!(x.dynamic_dims >> d & 1)) continue;
        if (const auto k = tracer_.context().symbol_number(builder_.type(input).sizes[d]))
            dynamic_symbols_.push_back(*k);
    }
}

static bool same_edge(const Edge& a, const Edge& b) {
    return a.entry == b.entry && a.leaf == b.leaf && (!a.entry || a.output == b.output);
}

void Capture::admit(std::span<TensorObject* const> tensors) {
    for (uint64_t before = 0; before != serial_;) {  // taking one in may end the graph: then all over again
        before = serial_;
        for (TensorObject* x : tensors) {
            if (!is_admitted(*x)) register_input(*x);
        }
    }
}

void Capture::admit_operation() {
    Dispatcher::Operation* operation = tracer_.dispatcher().operation();
    if (!operation || operation->admitted_to == serial_) return;
    for (uint64_t before = 0; before != serial_;) {
        before = serial_;
        operation->each_tensor([this](TensorObject& x) {
            if (!is_admitted(x)) register_input(x);
        });
    }
    operation->admitted_to = serial_;
    operation->first_node = static_cast<uint32_t>(builder_.size());
}

void Capture::register_input(TensorObject& x) {
    assert(held_ == 0 && "a tensor is admitted while ids of the graph are held");
    if (trace_->borrows(x)) return trace_->borrow(x);
    if (x.is_symbolic()) {
        throw_error("graph", "this tensor has no elements: the graph that computes it was given up",
                    "an error ended the run of that graph, or the tensor is `meta`");
    }
    TensorObject& base = x.base ? *x.base : x;
    if (x.base && base.autograd && base.autograd->in_graph) {  // its history is yet to be recorded
        flush("a second view of memory that was written");
        return;  // the caller looks at all of them again
    }
    tracer_.dispatcher().settle_history(x);
    const Edge edge = Edge::of(x);
    const Storage* memory = x.tensor.storage.get();
    if (uint32_t* first = memory_.find(memory)) {
        bool dirty = false;
        for (uint32_t i = *first; i != none; i = inputs_[i].next_alias) {
            const Input& in = inputs_[i];
            dirty |= storages_[in.storage].version > 0;
            if (in.tensor.dtype == x.tensor.dtype && in.tensor.shape == x.tensor.shape &&
                in.tensor.strides == x.tensor.strides && in.tensor.offset == x.tensor.offset &&
                in.base.get() == &base && same_edge(in.edge, edge)) {
                return adopt(x, in.value);
            }
        }
        if (dirty) {  // another view of memory that this graph has written: the writes must have happened
            flush("a second view of memory that was written");
            return;  // the caller looks at all of them again
        }
    }
    if (trace_->constants()) {  // `trace`: outer tensors are constants
        storages_.push_back({.current = builder_.tensor(x.tensor)});
        values_.push_back({.storage = static_cast<uint32_t>(storages_.size() - 1)});
        return adopt(x, static_cast<uint32_t>(values_.size() - 1));
    }
    // The first time a function is captured its graph's inputs are named, while its parameters still are what they
    // were.
    std::string name;
    if (functions_.is_first() && site_.name_argument) name = (*site_.name_argument)(x.tensor);
    if (!name.empty()) name = as_identifier(std::move(name));
    const uint32_t input = add_input(x.tensor, edge, name);
    note_dynamic(x, inputs_[input].node);
    inputs_[input].base = TensorRef(&base);
    inputs_[input].storage = static_cast<uint32_t>(storages_.size());
    storages_.push_back(
        {.current = inputs_[input].node, .input = input, .has_history = bool(edge.entry), .leaf = edge.leaf});
    inputs_[input].value = static_cast<uint32_t>(values_.size());
    values_.push_back({.storage = inputs_[input].storage});
    if (uint32_t* first = memory_.find(memory)) {
        inputs_[input].next_alias = std::exchange(inputs_[*first].next_alias, input);
    } else {
        memory_.add(memory, input);
    }
    adopt(x, static_cast<uint32_t>(values_.size() - 1));
}

void Capture::adopt(TensorObject& x, uint32_t value) {
    x.capture_serial_ = serial_;
    x.capture_value_ = value;
}

void Capture::link(TensorObject& x) {
    x.previous_ = ring_.previous_;
    x.next_ = &ring_;
    x.previous_->next_ = &x;
    ring_.previous_ = &x;
}

bool Capture::is_pending(const TensorObject& x) const {
    if (x.is_symbolic() || (trace_->outside() && trace_->outside()->is_pending(x))) return true;
    const uint32_t* first = memory_.find(x.tensor.storage.get());
    for (uint32_t i = first ? *first : none; i != none; i = inputs_[i].next_alias) {
        if (storages_[inputs_[i].storage].version > 0) return true;
    }
    return false;
}

// What an input shows twice is several views, too.
bool Capture::memory_is_aliased(const StorageValue& storage) const {
    if (storage.input == none) return false;
    if (repeats_elements(inputs_[storage.input].tensor)) return true;
    const uint32_t* first = memory_.find(inputs_[storage.input].tensor.storage.get());
    return first && inputs_[*first].next_alias != none;  // a traced type has no memory
}

}  // namespace tenon
