// Tensors as values of a script. One TensorObject is one identity: concrete, or symbolic while the graph that computes
// it is under capture. Its geometry (shape, strides, offset) is known either way; under capture the sizes are the
// hints.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "frontend/values/value.h"
#include "ir/ids.h"
#include "runtime/ref.h"
#include "runtime/span.h"
#include "runtime/tensor.h"

namespace tenon {

class TapeEntry;
class TensorObject;
struct LeafHooks;

/// What differentiation knows about a tensor. Absent for tensors that never required a gradient.
class Autograd final : public Object {
public:
    // In frontend/history: they need the whole of TapeEntry and LeafHooks.
    Autograd();
    ~Autograd() override;
    void visit_children(FunctionRef<void(const Value&)> visit) const override;
    void drop_children() override;
    bool requires_grad = false;
    Ref<TapeEntry> entry;    ///< what computed it; null for a leaf
    uint32_t output = 0;     ///< which result of `entry` it is
    Ref<TensorObject> grad;  ///< of a leaf; null is none
    bool in_graph = false;   ///< computed from what requires a gradient by the graph under capture
    uint64_t number = 0;     ///< of this history: what a tensor gets later has another one (Tape::number_history)
    bool is_over = false;    ///< a leaf of a functional derivative's own, which nobody can ask for any more
    TensorObject* owner = nullptr;     ///< whose facts these are, as long as it lives
    std::unique_ptr<LeafHooks> hooks;  ///< of a leaf; null where there are none
    bool is_leaf() const { return !entry && !in_graph; }
    LeafHooks& make_hooks();
    // All but `grad` and what is the leaf's own.
    Ref<Autograd> copy_of_history() const;
    void restore_history(const Autograd& before);
};

/// One movement op on the way from a base to a view of it; shared by the views that go on from there.
class ViewStep final : public RefCounted {
public:
    ViewStep(Ref<ViewStep> before_, Op op_, AttrId attr_) : before(std::move(before_)), op(op_), attr(attr_) {}
    const Ref<ViewStep> before;  ///< null: this step begins at the base
    const Op op;
    const AttrId attr;
};

/// What a model holds a tensor as. The evaluator sets it when a `param` or `buffer` is made.
enum class TensorRole : uint8_t { plain, parameter, buffer };

class TensorObject final : public Object {
public:
    static constexpr Kind class_kind = Kind::tensor;
    TensorObject() : Object(class_kind) {}
    explicit TensorObject(Tensor tensor_) : Object(class_kind), tensor(std::move(tensor_)) {}
    ~TensorObject() override {
        unlink();
        if (autograd && autograd->owner == this) autograd->owner = nullptr;
    }
    void visit_children(FunctionRef<void(const Value&)> visit) const override;
    void drop_children() override;

    /// True while its elements are not computed yet.
    bool is_symbolic() const { return !tensor.storage; }
    DType dtype() const { return tensor.dtype; }
    const Dims& shape() const { return tensor.shape; }
    size_t rank() const { return tensor.shape.size(); }
    Device device() const { return tensor.storage ? tensor.storage->device : Device{}; }
    bool requires_grad() const { return is_behind() ? base->requires_grad() : autograd && autograd->requires_grad; }
    bool is_leaf() const { return !requires_grad() || (!is_behind() && autograd->is_leaf()); }
    /// Which history this is, of a tensor that is no view; 0: it has none.
    uint64_t history() const {
        if (!autograd || !autograd->requires_grad) return 0;
        return autograd->is_leaf() ? 1 : autograd->number + 2;
    }
    /// A view shows its base, and has its history: whether the base has another one by now than this view's was made
    /// from. It is made anew before it is used (Dispatcher::settle_history).
    bool is_behind() const { return base && base->history() != base_history; }
    /// Whether this is a view of x, or of what x is a view of.
    bool is_view_beside(const TensorObject& x) const { return base && (base.get() == &x || base == x.base); }
    Autograd& make_autograd();  // in tape_entry.h: it needs the whole of TapeEntry

    Tensor tensor;  ///< its storage is null while it is symbolic
    Ref<Autograd> autograd;
    Ref<TensorObject> base;     ///< of a view: the tensor that owns the memory's history, no view; null for no view
    Ref<ViewStep> path;         ///< of a view: how it is reached from `base`
    uint64_t base_history = 0;  ///< of a view: which history of `base` its own was made from
    uint32_t dynamic_dims = 0;  ///< bit d: graphs take the size of dimension d as symbolic
    TensorRole role = TensorRole::plain;

private:
    friend class Capture;
    void unlink() {
        if (!next_) return;
        previous_->next_ = next_;
        next_->previous_ = previous_;
        next_ = previous_ = nullptr;
    }

    // The capture's own: which of its values this is, valid while `capture_serial_` is that of the present graph.
    uint64_t capture_serial_ = 0;
    uint32_t capture_value_ = 0;
    TensorObject* previous_ = nullptr;  // ring of the symbolic tensors that are alive
    TensorObject* next_ = nullptr;
};

using TensorRef = Ref<TensorObject>;

/// A host number that is not decided yet: a symbolic size, which has its value now (as a hint) and a size in the
/// present graph, or the element of a tensor that a graph is yet to compute. Deciding by it goes through
/// Tracer::settle. Or, on its way into an op that takes sizes, an int of the host that may be another at the next call.
class SymbolicObject final : public Object {
public:
    static constexpr Kind class_kind = Kind::symbolic;
    SymbolicObject(int64_t value_, SizeId size_, uint64_t serial_)
        : Object(class_kind), value(value_), size(size_), serial(serial_) {}
    explicit SymbolicObject(Ref<TensorObject> element_)
        : Object(class_kind), value(0), serial(0), element(std::move(element_)) {}
    explicit SymbolicObject(int64_t host_int) : Object(class_kind), value(host_int), serial(0) {}
    bool is_size() const { return !element; }
    bool is_host_int() const { return !element && serial == 0; }  // graphs are numbered from 1

    const int64_t value;              ///< of a size
    const SizeId size;                ///< a polynomial over the symbols of the graph with this serial
    const uint64_t serial;            ///< in any other graph it is a plain int
    const Ref<TensorObject> element;  ///< 0-dim; null for a size
};

/// What an element of a tensor is on the host: an int, a float or a bool.
inline Kind host_kind_of(DType dtype) {
    return dtype == DType::boolean ? Kind::boolean : is_float(dtype) ? Kind::real : Kind::integer;
}
/// The kind of the host value that this is: of a symbolic number it is known before the number.
inline Kind host_kind(const Value& value) {
    const auto* number = value.try_as<SymbolicObject>();
    if (!number) return value.kind();
    return number->element ? host_kind_of(number->element->dtype()) : Kind::integer;
}

/// "f32[3, 4]"
std::string describe_type(const Tensor& tensor);
inline std::string describe_type(const TensorObject& tensor) { return describe_type(tensor.tensor); }

}  // namespace tenon
