// Values of a script as C++ code holds them.
#include <fmt/format.h>

#include "embedding/state.h"
#include "frontend/record/tensor_dispatch.h"
#include "frontend/values/models.h"
#include "runtime/interrupt.h"

namespace tenon::embed {

using detail::Access;
using detail::State;

namespace {

[[noreturn]] void unexpected(std::string_view expected, const Value& found) {
    const std::string message = fmt::format("expected {}, found {}", expected, with_article(Access::raw(found).kind()));
    throw Error("type", message, message + "\n");
}

/// The number or bool that a symbolic one stands for.
tenon::Value settled(const Value& value) {
    const tenon::Value& held = Access::raw(value);
    State* const state = Access::state(value);
    if (!held.is_symbolic() || !state) return held;
    return state->guarded([&] { return state->evaluator().settled(held, state->evaluator().here()); });
}

tenon::Values raw_of(const std::vector<Value>& values, State*& state) {
    for (const Value& value : values) {
        if (!state) state = Access::state(value);
    }
    return detail::raw_values(values);
}

}  // namespace

static_assert(sizeof(tenon::Value) == 16 && alignof(tenon::Value) <= 8, "a handle holds a value in place");

Value::Value() { new (held_) tenon::Value(); }
Value::Value(std::string_view text) : Value() { Access::raw(*this) = make_text(text); }
Value::Value(DType dtype) : Value() { Access::raw(*this) = tenon::Value(static_cast<tenon::DType>(dtype)); }
Value::Value(const Value& other) : state_(other.state_), is_literal_(other.is_literal_) {
    new (held_) tenon::Value(Access::raw(other));
}
Value::Value(Value&& other) noexcept : state_(other.state_), is_literal_(other.is_literal_) {
    new (held_) tenon::Value(std::move(Access::raw(other)));
}
Value& Value::operator=(const Value& other) { return *this = Value(other); }
Value& Value::operator=(Value&& other) noexcept {
    Access::raw(*this) = std::move(Access::raw(other));
    state_ = other.state_;
    is_literal_ = other.is_literal_;
    return *this;
}
Value::~Value() { Access::raw(*this).~Value(); }

void Value::set_bool(bool flag) { Access::raw(*this) = tenon::Value(flag); }
void Value::set_int(int64_t number) { Access::raw(*this) = tenon::Value(number); }
void Value::set_real(double number) { Access::raw(*this) = tenon::Value(number); }

Value Value::list(std::vector<Value> items) {
    State* state = nullptr;
    tenon::Values raw = raw_of(items, state);
    return Access::make(make_list(std::move(raw)), state);
}
Value Value::tuple(std::vector<Value> items) {
    State* state = nullptr;
    tenon::Values raw = raw_of(items, state);
    return Access::make(make_tuple(std::move(raw)), state);
}
Value Value::dict(const std::vector<std::pair<std::string, Value>>& entries) {
    State* state = nullptr;
    auto made = make_ref<DictObject>();
    for (const auto& [name, value] : entries) {
        made->set(name, Access::raw(value));
        if (!state) state = Access::state(value);
    }
    return Access::make(made, state);
}

Value literal(double number) { return Access::literal(number); }
Value literal(int64_t number) { return Access::literal(number); }

Kind Value::kind() const {
    switch (host_kind(Access::raw(*this))) {
        case tenon::Kind::unset:
        case tenon::Kind::none: return Kind::none;
        case tenon::Kind::boolean: return Kind::boolean;
        case tenon::Kind::integer: return Kind::integer;
        case tenon::Kind::real: return Kind::real;
        case tenon::Kind::string: return Kind::string;
        case tenon::Kind::list: return Kind::list;
        case tenon::Kind::tuple: return Kind::tuple;
        case tenon::Kind::dict: return Kind::dict;
        case tenon::Kind::tensor: return Kind::tensor;
        case tenon::Kind::function:
        case tenon::Kind::bound_method:
        case tenon::Kind::builtin:
        case tenon::Kind::model_class:
        case tenon::Kind::model: return Kind::function;
        default: return Kind::other;
    }
}

bool Value::as_bool() const {
    const tenon::Value held = settled(*this);
    if (!held.is_bool()) unexpected("a bool", *this);
    return held.as_bool();
}
int64_t Value::as_int() const {
    const tenon::Value held = settled(*this);
    if (!held.is_int()) unexpected("an int", *this);
    return held.as_int();
}
double Value::as_float() const {
    const tenon::Value held = settled(*this);
    if (!held.is_number()) unexpected("a number", *this);
    return held.as_number();
}
std::string Value::as_string() const {
    if (kind() != Kind::string) unexpected("a str", *this);
    return text_of(Access::raw(*this));
}
std::vector<Value> Value::items() const {
    const tenon::Values* items = items_of(Access::raw(*this));
    if (!items) unexpected("a list or a tuple", *this);
    std::vector<Value> all;
    for (const tenon::Value& item : *items) all.push_back(Access::make(item, state_));
    return all;
}
Value Value::call(std::vector<Value> arguments, const std::vector<std::pair<std::string, Value>>& named) const {
    if (!state_) unexpected("a function of a session", *this);
    return state_->guarded([&] {
        std::vector<KeywordArgument> keywords;
        for (const auto& [keyword, value] : named) keywords.push_back({keyword, Access::raw(value)});
        return state_->wrap(state_->evaluator().call(Access::raw(*this), detail::raw_values(arguments), keywords));
    });
}
Value Value::field(std::string_view name) const {
    const tenon::Value& held = Access::raw(*this);
    if (auto* dict = held.try_as<DictObject>()) {
        if (const tenon::Value* found = dict->find(name)) return Access::make(*found, state_);
        throw Error("key", fmt::format("the dict has no `{}`", name), fmt::format("the dict has no `{}`\n", name));
    }
    if (!state_) unexpected("a value with fields", *this);
    return state_->guarded([&] {
        Evaluator& evaluator = state_->evaluator();
        const Symbol symbol = state_->session.symbols().intern(name);
        return state_->wrap(evaluator.get_attribute(held, symbol, evaluator.here()));
    });
}

// ---- tensors ------------------------------------------------------------------------------------------------------
namespace {

const tenon::Tensor& geometry(const Value& value) {
    if (!value.is_tensor()) unexpected("a tensor", value);
    return Access::raw(value).as<TensorObject>().tensor;
}

std::vector<int64_t> as_vector(const Dims& dims) { return {dims.begin(), dims.end()}; }

}  // namespace

Tensor::Tensor(Value value) : Value(std::move(value)) {
    if (!is_none() && !is_tensor()) unexpected("a tensor", *this);
}

DType Tensor::dtype() const { return static_cast<DType>(geometry(*this).dtype); }
std::vector<int64_t> Tensor::shape() const { return as_vector(geometry(*this).shape); }
std::vector<int64_t> Tensor::strides() const { return as_vector(geometry(*this).strides); }
int64_t Tensor::numel() const { return geometry(*this).numel(); }
bool Tensor::is_contiguous() const { return geometry(*this).is_contiguous(); }

Value Tensor::size(int64_t dimension) const {
    const size_t rank = geometry(*this).rank();
    return state_->guarded([&] {
        const auto axis = static_cast<size_t>(normalise_dim(dimension, rank));
        return state_->wrap(state_->session.border().size(detail::tensor_of(*this), axis));
    });
}
Values Tensor::sizes() const {
    Values all;
    for (size_t d = 0; d < geometry(*this).rank(); ++d) all.push_back(size(static_cast<int64_t>(d)));
    return all;
}

const void* Tensor::raw_data() const {
    geometry(*this);
    return state_->guarded([&] {
        const std::string reason = state_->running.empty()
                                       ? std::string("reading a tensor's memory")
                                       : fmt::format("native op {} reads memory", state_->running.back().op.name);
        return static_cast<const void*>(
            state_->tracer().dispatcher().elements(detail::tensor_of(*this), reason).bytes());
    });
}
const void* Tensor::memory(DType dtype) const {
    if (dtype != this->dtype()) {
        const std::string message =
            fmt::format("the tensor is {}, and was asked for elements of {}", name_of(geometry(*this).dtype),
                        name_of(static_cast<tenon::DType>(dtype)));
        throw Error("dtype", message, message + "\n");
    }
    return raw_data();
}
void* Tensor::writable_memory(DType dtype) {
    void* const address = const_cast<void*>(memory(dtype));
    return state_->guarded([&] {
        TensorObject& x = detail::tensor_of(*this);
        Dispatcher& d = state_->tracer().dispatcher();
        state_->tracer().flush();  // what was captured reads what is there now
        state_->check_may_write(x);
        d.check_write(x);
        if (d.grad_enabled() && x.requires_grad())
            throw_error("gradient", "memory of a tensor that has a history is not written", "open no_grad() around it");
        x.tensor.storage->begin_write();
        ++x.tensor.storage->version;
        d.note_write(*x.tensor.storage, d.span());
        return address;
    });
}
void Tensor::require_contiguous() const {
    if (!is_contiguous())
        throw Error("value", "the tensor is not contiguous", "the tensor is not contiguous; ops::clone(x) is\n");
}
double Tensor::item() const { return ops::apply("item", {*this}).as_float(); }

bool Tensor::requires_grad() const {
    geometry(*this);
    return Access::raw(*this).as<TensorObject>().requires_grad();
}
Tensor& Tensor::require_grad(bool wanted) {
    geometry(*this);
    state_->guarded([&] { state_->tracer().require_gradient(detail::tensor_of(*this), wanted); });
    return *this;
}
Tensor Tensor::grad() const {
    geometry(*this);
    return Tensor(field("grad"));
}
Tensor Tensor::detach() const { return Tensor(ops::apply("detach", {*this})); }

}  // namespace tenon::embed
