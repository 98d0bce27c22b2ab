#include "frontend/ops/border.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "frontend/ops/tensor_data.h"
#include "frontend/ops/tensor_ops.h"
#include "frontend/record/capture.h"
#include "frontend/values/format_spec.h"
#include "runtime/diagnostic.h"
#include "runtime/format.h"

namespace tenon {

namespace {

// Runs `body` as what the script wrote at `span`.
template <class Body>
decltype(auto) at(Dispatcher& dispatcher, Span span, Body&& body) {
    dispatcher.set_span(span);
    try {
        return body();
    } catch (Error& error) {
        if (!error.diagnostic.span) error.diagnostic.span = span;
        throw;
    }
}

// As messages call it.
constexpr std::string_view operand_of(Operator op) {
    constexpr std::string_view names[] = {
        "an operand of `+`", "an operand of `-`",  "an operand of `*`",  "an operand of `/`",  "an operand of `//`",
        "an operand of `%`", "an operand of `@`",  "an operand of `**`", "an operand of `|`",  "an operand of `^`",
        "an operand of `&`", "an operand of `<<`", "an operand of `>>`", "an operand of `==`", "an operand of `!=`",
        "an operand of `<`", "an operand of `<=`", "an operand of `>`",  "an operand of `>=`"};
    return names[static_cast<size_t>(op)];
}

}  // namespace

Border::Border(Tracer& tracer, HostBinary host_binary)
    : tracer_(tracer), dispatcher_(tracer.dispatcher()), host_binary_(std::move(host_binary)) {}

// ---- expressions --------------------------------------------------------------------------------------------------
Value Border::binary(Operator op, Operand a, Operand b, Span span) {
    Dispatcher& d = dispatcher_;
    const Dispatcher::Operation operation(d, a.value, b.value);
    return at(d, span, [&]() -> Value {
        if (!a.value.is_tensor() && !b.value.is_tensor()) return symbolic_binary(op, a.value, b.value);
        if ((op == Operator::equal || op == Operator::not_equal) && (a.value.is_none() || b.value.is_none())) {
            return Value(op == Operator::not_equal);
        }
        auto term = [&](const Operand& operand) {
            return ops::term_of(d, operand.value, operand.is_literal, operand_of(op));
        };
        const ops::Term left = term(a), right = term(b);
        return ops::binary(d, op, left, right);
    });
}

// Arithmetic on numbers that are not decided yet stays symbolic where it is then what it is eagerly, bit for bit; for
// everything else they are decided.
Value Border::symbolic_binary(Operator op, const Value& a, const Value& b) {
    if (tracer_.capturing()) {
        if (is_pending_number(a) || is_pending_number(b)) {
            if (std::optional<Value> later = deferred_binary(op, a, b)) return std::move(*later);
        } else if (std::optional<Value> size = size_binary(op, a, b)) {
            return std::move(*size);
        }
    }
    const Value x = ops::settled(dispatcher_, a), y = ops::settled(dispatcher_, b);
    return host_binary_(op, x, y, dispatcher_.span());
}

// Floats that the graph is yet to compute stay in it, as the doubles they would be on the host. A quotient only by what
// is known not to be 0, which is an error on the host.
std::optional<Value> Border::deferred_binary(Operator op, const Value& a, const Value& b) {
    const bool divides = op == Operator::div && !is_pending_number(b);
    if (op != Operator::add && op != Operator::sub && op != Operator::mul && !divides) return std::nullopt;
    Dispatcher& d = dispatcher_;
    auto term = [&](const Value& v) -> std::optional<ops::Term> {
        if (is_pending_number(v)) {
            const TensorRef& element = v.as<SymbolicObject>().element;
            if (!is_float(element->dtype())) return std::nullopt;
            return ops::Term(ops::cast(d, element, DType::f64));
        }
        const Value number = ops::settled(d, v);
        if (!number.is_number() || (divides && number.as_number() == 0)) return std::nullopt;
        return ops::Term(Scalar(number.as_number()), false);
    };
    const Dispatcher::GradMode mode(d, false);
    const std::optional<ops::Term> x = term(a), y = x ? term(b) : std::nullopt;
    if (!x || !y) return std::nullopt;
    return make_ref<SymbolicObject>(ops::binary(d, op, *x, *y));
}

// Sizes stay symbolic where a polynomial can say the result.
std::optional<Value> Border::size_binary(Operator op, const Value& a, const Value& b) {
    auto is_size = [](const Value& v) { return v.is_int() || (v.is_symbolic() && v.as<SymbolicObject>().is_size()); };
    if (!is_size(a) || !is_size(b)) return std::nullopt;
    Dispatcher& d = dispatcher_;
    const Size x = ops::size_of(d, a, "an operand"), y = ops::size_of(d, b, "an operand");
    const bool rounds_down = y.value > 0 && x.value >= 0;
    int64_t value;
    switch (op) {
        case Operator::add:
            if (__builtin_add_overflow(x.value, y.value, &value)) break;
            return ops::to_value(d, {value, d.context().add(x.id, y.id)});
        case Operator::sub:
            if (__builtin_sub_overflow(x.value, y.value, &value)) break;
            return ops::to_value(d, {value, d.context().sub(x.id, y.id)});
        case Operator::mul:
            if (__builtin_mul_overflow(x.value, y.value, &value)) break;
            return ops::to_value(d, ops::multiply(d, x, y));
        case Operator::floor_div:
            if (rounds_down) return ops::to_value(d, {x.value / y.value, d.context().floordiv(x.id, y.id)});
            break;
        case Operator::remainder:
            if (rounds_down) return ops::to_value(d, {x.value % y.value, d.context().mod(x.id, y.id)});
            break;
        default: break;
    }
    return std::nullopt;
}

bool Border::defers(const Value& x, bool negates) const {
    const auto& number = x.as<SymbolicObject>();
    if (number.is_size()) return tracer_.capturing() && number.value != INT64_MIN;
    return negates && tracer_.capturing() && is_pending_number(x) && is_float(number.element->dtype());
}

std::optional<Value> Border::convert_pending(const Value& x, DType to, Span span) {
    if (!tracer_.capturing() || !is_pending_number(x)) return std::nullopt;
    const TensorRef& element = x.as<SymbolicObject>().element;
    if (is_float(element->dtype()) && !is_float(to)) return std::nullopt;  // nan and large floats are errors
    return at(dispatcher_, span, [&]() -> Value {
        const Dispatcher::GradMode mode(dispatcher_, false);
        return make_ref<SymbolicObject>(ops::cast(dispatcher_, element, to));
    });
}

bool Border::is_pending_number(const Value& x) const {
    const auto* number = x.try_as<SymbolicObject>();
    return number && number->element && tracer_.capture().is_pending(*number->element);
}

Value Border::item(TensorObject& x, Span span) {
    Dispatcher& d = dispatcher_;
    const Dispatcher::Operation operation(d, {});
    return at(d, span, [&]() -> Value {
        if (!tracer_.capturing() || tracer_.capture().tracing() || x.tensor.numel() != 1 ||
            !tracer_.capture().is_pending(x))
            return ops::to_number(d, x);
        // A tensor of its own, without history: it alone is kept for the script.
        const Dispatcher::GradMode mode(d, false);
        return make_ref<SymbolicObject>(ops::clone(d, ops::reshape(d, TensorRef(&x), {})));
    });
}

Value Border::unary(UnaryOperator op, const Value& x, Span span) {
    Dispatcher& d = dispatcher_;
    const Dispatcher::Operation operation(d, {&x, 1});
    return at(d, span, [&]() -> Value {
        if (const auto* number = x.try_as<SymbolicObject>()) {
            if (number->is_size()) return symbolic_binary(Operator::sub, Value(op == UnaryOperator::negate ? 0 : -1), x);
            const Dispatcher::GradMode mode(d, false);  // not 0 − x: −0.0 is the negative of 0.0
            const ops::Term element(ops::cast(d, number->element, DType::f64));
            return make_ref<SymbolicObject>(ops::elementwise(d, tenon::op<"neg">(), {element}));
        }
        const ops::Term operand(x.ref<TensorObject>());
        if (op == UnaryOperator::negate) return ops::elementwise(d, tenon::op<"neg">(), {operand});
        const bool is_bool = operand.tensor->dtype() == DType::boolean;
        return ops::elementwise(d, is_bool ? tenon::op<"logical_not">() : tenon::op<"bitwise_not">(), {operand});
    });
}

void Border::update(Operator op, const Value& x, Operand e, Span span) {
    Dispatcher& d = dispatcher_;
    const Dispatcher::Operation operation(d, x, e.value);
    at(d, span, [&] {
        const TensorRef target = x.ref<TensorObject>();
        d.begin_write(*target);
        const ops::Term value = ops::term_of(d, e.value, e.is_literal, operand_of(op));
        ops::assign_result(d, target, ops::binary(d, op, target, value), "an operator that assigns");
    });
}

Value Border::index(const Value& x, const Value& i, Span span) {
    const Dispatcher::Operation operation(dispatcher_, x, i);
    return at(dispatcher_, span, [&]() -> Value { return ops::index(dispatcher_, x.ref<TensorObject>(), i); });
}

void Border::set_index(const Value& x, const Value& i, Operand e, Span span) {
    Dispatcher& d = dispatcher_;
    const Dispatcher::Operation operation(d, x, i, e.value);
    at(d, span, [&] {
        const TensorRef target = x.ref<TensorObject>();
        d.begin_write(*target);
        ops::set_index(d, target, i,
                       ops::term_of(d, e.value, e.is_literal, "what is assigned to elements of a tensor"));
    });
}

bool Border::is_pending_condition(const Value& x) const {
    const auto* tensor = x.try_as<TensorObject>();
    return tensor && tracer_.capturing() && tensor->dtype() == DType::boolean && tensor->rank() == 0 &&
           tracer_.capture().is_pending(*tensor);
}

bool Border::truth(const Value& x, Span span, std::string_view why) {
    return at(dispatcher_, span, [&] {
        auto& tensor = x.as<TensorObject>();
        if (tensor.dtype() != DType::boolean || tensor.tensor.numel() != 1) {
            throw_error("type", fmt::format("a condition must be one bool, but this is {}", describe_type(tensor)),
                        tensor.dtype() == DType::boolean ? "write `x.all()` or `x.any()`"
                                                         : "compare it: `x != 0`, or write `x is not none`");
        }
        if (tracer_.capturing() && tracer_.capture().is_pending(tensor))
            tracer_.graph_break(fmt::format("a branch on a tensor's value{}{}", why.empty() ? "" : ": ", why), span);
        return ops::to_number(dispatcher_, tensor).as_bool();
    });
}

Value Border::settle(const Value& x, Span span) {
    return at(dispatcher_, span, [&]() -> Value {
        return x.is_tensor() ? ops::to_number(dispatcher_, x.as<TensorObject>()) : ops::settled(dispatcher_, x);
    });
}

int64_t Border::settle_int(const Value& x, Span span) {
    return at(dispatcher_, span, [&] {
        const Value number = x.is_tensor() ? ops::to_number(dispatcher_, x.as<TensorObject>()) : x;
        return ops::settled_int(dispatcher_, number);
    });
}

std::string Border::text(const Value& x, Span span) {
    return at(dispatcher_, span, [&] {
        if (x.is_symbolic()) {
            const Value value = ops::settled(dispatcher_, x);
            if (value.is_bool()) return std::string(value.as_bool() ? "true" : "false");
            return value.is_int() ? std::to_string(value.as_int()) : real_to_string(value.as_real());
        }
        return to_string(dispatcher_.elements(x.as<TensorObject>(), "the text of a tensor"));
    });
}

int64_t Border::length(const Value& x, Span span) {
    return at(dispatcher_, span, [&] {
        const auto& tensor = x.as<TensorObject>();
        if (tensor.rank() == 0) throw_error("type", "a 0-dim tensor has no length", "x.item() is its number");
        return tensor.shape()[0];
    });
}

Value Border::size(const TensorObject& x, size_t dimension) {
    return ops::to_value(dispatcher_, dispatcher_.size(const_cast<TensorObject&>(x), dimension));
}

std::optional<Value> Border::attribute(const Value& x, std::string_view name, Span span) {
    Dispatcher& d = dispatcher_;
    const Dispatcher::Operation operation(d, {&x, 1});
    return at(d, span, [&]() -> std::optional<Value> {
        const TensorRef tensor = x.ref<TensorObject>();
        if (name == "shape") {
            Values sizes;
            sizes.reserve(tensor->rank());
            for (size_t k = 0; k < tensor->rank(); ++k) sizes.push_back(size(*tensor, k));
            return make_list(std::move(sizes));
        }
        if (name == "dtype") return Value(tensor->dtype());
        if (name == "device") return Value(tensor->device());
        if (name == "rank" || name == "ndim") return Value(tensor->rank());
        if (name == "requires_grad") return Value(tensor->requires_grad());
        if (name == "is_leaf") return Value(tensor->is_leaf());
        if (name == "grad") return tensor->autograd && tensor->autograd->grad ? Value(tensor->autograd->grad) : Value();
        if (name == "T") {
            Dims axes(tensor->rank());
            for (size_t k = 0; k < axes.size(); ++k) axes[k] = static_cast<int64_t>(axes.size() - 1 - k);
            return Value(ops::permute(d, tensor, axes));
        }
        if (name == "mT") return Value(ops::transpose(d, tensor, -2, -1));
        return std::nullopt;
    });
}

bool Border::set_attribute(const Value& x, std::string_view name, const Value& e, Span span) {
    return at(dispatcher_, span, [&] {
        auto& tensor = x.as<TensorObject>();
        if (name == "grad") {
            Ref<TensorObject> grad;
            if (!e.is_none()) {
                if (!e.is_tensor())
                    throw_error("type", fmt::format("`.grad` is a tensor or none, not {}", with_article(e.kind())));
                grad = e.ref<TensorObject>();
                if (grad->dtype() != tensor.dtype() || grad->shape() != tensor.shape()) {
                    throw_error("shape", fmt::format("`.grad` of {} must be of the same type, but it is {}",
                                                     with_article(describe_type(tensor)), describe_type(*grad)));
                }
            }
            tracer_.set_gradient(tensor.make_autograd(), std::move(grad));
            return true;
        }
        if (name == "requires_grad") {
            if (!e.is_bool()) throw_error("type", "`requires_grad` is a bool");
            tracer_.require_gradient(tensor, e.as_bool());
            return true;
        }
        return false;
    });
}

void Border::assert_tensor(const Value& condition, FunctionRef<std::string()> message, bool message_is_pure,
                           Span span) {
    Dispatcher& d = dispatcher_;
    const Dispatcher::Operation operation(d, {&condition, 1});
    at(d, span, [&] {
        TensorRef tensor = condition.ref<TensorObject>();
        if (tensor->dtype() != DType::boolean || tensor->tensor.numel() != 1) {
            throw_error("type", fmt::format("assert needs one bool, but its condition is {}", describe_type(*tensor)),
                        "write `assert x.all()`, or compare: `x != 0`");
        }
        auto said = [&] {
            std::string text = message();
            return text.empty() ? std::string("the assertion does not hold") : text;
        };
        if (tracer_.capturing() && message_is_pure) {
            if (tensor->rank() > 0) tensor = ops::reshape(d, tensor, {});
            tracer_.assert_true(*tensor, said());
            return;
        }
        if (tracer_.capturing()) tracer_.graph_break("an assert whose message is computed", span);
        if (ops::to_number(d, *tensor).as_bool()) return;
        throw Error(Diagnostic{"assertion", said(), span, {}, {}});
    });
}

Value Border::make_parameter(const Value& initial, bool is_buffer, Span span) {
    Dispatcher& d = dispatcher_;
    return at(d, span, [&]() -> Value {
        const Dispatcher::GradMode mode(d, false);
        TensorRef made;
        if (initial.is_tensor()) {
            const TensorRef tensor = initial.ref<TensorObject>();
            if (tracer_.capturing() && tracer_.capture().is_pending(*tensor))
                tracer_.capture().flush("a parameter's initial value");
            const Tensor& from = d.elements(*tensor, "a parameter's initial value");
            const bool nobody_else =
                tensor->use_count() <= 2 && from.storage->use_count() == 1 && from.is_contiguous() && from.offset == 0;
            made = make_ref<TensorObject>(nobody_else ? from : from.clone());
        } else {
            made = ops::make_tensor(d, initial, std::nullopt);
            if (tracer_.capturing() && made->is_symbolic()) tracer_.capture().flush("a parameter's initial value");
        }
        if (!is_buffer && is_float(made->dtype())) made->make_autograd().requires_grad = true;
        return made;
    });
}

// ---- calls --------------------------------------------------------------------------------------------------------
// What a captured call returns and was deferred is a plain number again.
void Border::settle_results(Value& result) {
    if (result.is_symbolic() && !is_pending_number(result)) {
        result = ops::settled(dispatcher_, result);
    } else if (const auto* tuple = result.try_as<TupleObject>()) {
        if (std::none_of(tuple->items.begin(), tuple->items.end(), [](const Value& v) { return v.is_symbolic(); }))
            return;
        Values items = tuple->items;
        for (Value& item : items) settle_results(item);
        result = make_tuple(std::move(items));
    }
}

Value Border::captured_call(const CallSite& site, FunctionRef<Value()> thunk) {
    const bool is_outermost = !tracer_.capturing();
    Value result = tracer_.captured_call(site, thunk);
    if (is_outermost) settle_results(result);
    return result;
}

}  // namespace tenon
