#include "frontend/record/tracer.h"

#include <algorithm>
#include <cassert>
#include <cstdio>

#include <fmt/format.h>

#include "frontend/record/capture.h"
#include "frontend/tensors/counters.h"
#include "frontend/values/format_spec.h"
#include "frontend/tensors/generator.h"
#include "frontend/compile/graph_cache.h"
#include "frontend/record/tape.h"
#include "frontend/ops/tensor_data.h"
#include "frontend/record/tensor_dispatch.h"
#include "frontend/ops/tensor_ops.h"
#include "jit/machine.h"
#include "runtime/diagnostic.h"
#include "runtime/format.h"

namespace tenon {

namespace {

constexpr size_t longest_graph = 4000;  // nodes of a host loop's turns before the loop's function is opened

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

Tracer::Tracer(Context& context, Allocator allocator, Machine& machine, TracerOptions options)
    : context_(context), allocator_(std::move(allocator)), machine_(machine), options_(options),
      counters_(std::make_unique<Counters>()), generator_(std::make_unique<Generator>()),
      graph_cache_(std::make_unique<GraphCache>(*this)), tape_(std::make_unique<Tape>(*this)),
      capture_(std::make_unique<Capture>(*this)), dispatcher_(std::make_unique<Dispatcher>(*this)) {}

Tracer::~Tracer() = default;

void Tracer::reset() {
    if (capturing_) flush();
    *counters_ = Counters();
    *generator_ = Generator();
    graph_cache_->clear();
    capture_->forget_functions();
    dispatcher_->reset();
    open_functions_.clear();
    machine_.counters() = {};
}

// ---- expressions --------------------------------------------------------------------------------------------------
Value Tracer::binary(Operator op, Operand a, Operand b, Span span) {
    Dispatcher& d = *dispatcher_;
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

// Arithmetic on sizes of the present graph stays symbolic where a polynomial can say it; what decides is settled.
Value Tracer::symbolic_binary(Operator op, const Value& a, const Value& b) {
    Dispatcher& d = *dispatcher_;
    // Numbers that the graph is yet to compute stay in it, as the doubles they would be on the host.
    const bool is_arithmetic = op == Operator::add || op == Operator::sub || op == Operator::mul || op == Operator::div;
    if (capturing_ && is_arithmetic && (is_pending_number(a) || is_pending_number(b))) {
        auto term = [&](const Value& v) -> std::optional<ops::Term> {
            if (is_pending_number(v)) {
                const TensorRef& element = v.as<SymbolicObject>().element;
                if (!is_float(element->dtype())) return std::nullopt;
                return ops::Term(ops::cast(d, element, DType::f64));
            }
            const Value number = v.is_symbolic() ? host_value(v) : v;
            if (!number.is_number()) return std::nullopt;
            return ops::Term(Scalar(number.as_number()), false);
        };
        const Dispatcher::GradMode mode(d, false);
        const std::optional<ops::Term> x = term(a), y = x ? term(b) : std::nullopt;
        if (x && y) return make_ref<SymbolicObject>(ops::binary(d, op, *x, *y));
    }
    auto is_size = [](const Value& v) { return v.is_int() || (v.is_symbolic() && v.as<SymbolicObject>().is_size()); };
    if (capturing_ && is_size(a) && is_size(b)) {
        const Size x = ops::size_of(d, a, "an operand"), y = ops::size_of(d, b, "an operand");
        switch (op) {
            case Operator::add: return ops::to_value(d, {x.value + y.value, context_.add(x.id, y.id)});
            case Operator::sub: return ops::to_value(d, {x.value - y.value, context_.sub(x.id, y.id)});
            case Operator::mul: return ops::to_value(d, ops::multiply(d, x, y));
            case Operator::floor_div:
                if (y.value > 0 && x.value >= 0)
                    return ops::to_value(d, {x.value / y.value, context_.floordiv(x.id, y.id)});
                break;
            case Operator::remainder:
                if (y.value > 0 && x.value >= 0) return ops::to_value(d, {x.value % y.value, context_.mod(x.id, y.id)});
                break;
            default: break;
        }
    }
    assert(host_binary && "the session tells how host numbers are computed with");
    const Value x = host_value(a), y = host_value(b);
    return host_binary(op, x, y, d.span());
}

bool Tracer::is_pending_number(const Value& x) const {
    const auto* number = x.try_as<SymbolicObject>();
    return number && number->element && capture_->is_pending(*number->element);
}

// The number itself: reading an element that is not computed yet ends the graph.
Value Tracer::host_value(const Value& x) {
    const auto* number = x.try_as<SymbolicObject>();
    if (!number) return x;
    return number->is_size() ? Value(number->value) : ops::to_number(*dispatcher_, *number->element);
}

Value Tracer::item(TensorObject& x, Span span) {
    Dispatcher& d = *dispatcher_;
    return at(d, span, [&]() -> Value {
        if (!capturing_ || capture_->tracing() || x.tensor.numel() != 1 || !capture_->is_pending(x))
            return ops::to_number(d, x);
        // A tensor of its own, without history: it alone is kept for the script.
        const Dispatcher::GradMode mode(d, false);
        return make_ref<SymbolicObject>(ops::clone(d, ops::reshape(d, TensorRef(&x), {})));
    });
}

Value Tracer::unary(UnaryOperator op, const Value& x, Span span) {
    Dispatcher& d = *dispatcher_;
    return at(d, span, [&]() -> Value {
        if (!x.is_tensor()) {
            return op == UnaryOperator::negate ? symbolic_binary(Operator::sub, Value(0), x)
                                               : symbolic_binary(Operator::sub, Value(-1), x);
        }
        const ops::Term operand(x.ref<TensorObject>());
        if (op == UnaryOperator::negate) return ops::elementwise(d, tenon::op<"neg">(), {operand});
        const bool is_bool = operand.tensor->dtype() == DType::boolean;
        return ops::elementwise(d, is_bool ? tenon::op<"logical_not">() : tenon::op<"bitwise_not">(), {operand});
    });
}

void Tracer::update(Operator op, const Value& x, Operand e, Span span) {
    Dispatcher& d = *dispatcher_;
    at(d, span, [&] {
        const TensorRef target = x.ref<TensorObject>();
        d.check_write(*target);
        const ops::Term value = ops::term_of(d, e.value, e.is_literal, operand_of(op));
        ops::assign_result(d, target, ops::binary(d, op, target, value), "an operator that assigns");
    });
}

Value Tracer::index(const Value& x, const Value& i, Span span) {
    return at(*dispatcher_, span, [&]() -> Value { return ops::index(*dispatcher_, x.ref<TensorObject>(), i); });
}

void Tracer::set_index(const Value& x, const Value& i, Operand e, Span span) {
    Dispatcher& d = *dispatcher_;
    at(d, span, [&] {
        const TensorRef target = x.ref<TensorObject>();
        d.check_write(*target);
        ops::set_index(d, target, i,
                       ops::term_of(d, e.value, e.is_literal, "what is assigned to elements of a tensor"));
    });
}

bool Tracer::truth(const Value& x, Span span) {
    return at(*dispatcher_, span, [&] {
        if (x.is_symbolic()) {
            const Value value = host_value(x);
            if (value.is_bool()) return value.as_bool();
            throw_error("type", "a condition must be a bool, but this is a number", "compare it: `n != 0`");
        }
        auto& tensor = x.as<TensorObject>();
        if (tensor.dtype() != DType::boolean || tensor.tensor.numel() != 1) {
            throw_error("type", fmt::format("a condition must be one bool, but this is {}", describe_type(tensor)),
                        tensor.dtype() == DType::boolean ? "write `x.all()` or `x.any()`"
                                                         : "compare it: `x != 0`, or write `x is not none`");
        }
        if (capturing_ && capture_->is_pending(tensor)) graph_break("a branch on a tensor's value", span);
        return ops::to_number(*dispatcher_, tensor).as_bool();
    });
}

Value Tracer::settle(const Value& x, Span span) {
    return at(*dispatcher_, span, [&]() -> Value {
        if (x.is_symbolic()) return host_value(x);
        return x.is_tensor() ? ops::to_number(*dispatcher_, x.as<TensorObject>()) : x;
    });
}

int64_t Tracer::settle_int(const Value& x, Span span) {
    const Value number = settle(x, span);
    if (number.is_int()) return number.as_int();
    return at(*dispatcher_, span, [&]() -> int64_t {
        throw_error("type", fmt::format("an int is expected here, but this is {}", with_article(number.kind())),
                    "int(x) converts it");
    });
}

std::string Tracer::text(const Value& x, Span span) {
    return at(*dispatcher_, span, [&] {
        if (x.is_symbolic()) {
            const Value value = host_value(x);
            if (value.is_bool()) return std::string(value.as_bool() ? "true" : "false");
            return value.is_int() ? std::to_string(value.as_int()) : real_to_string(value.as_real());
        }
        return to_string(dispatcher_->elements(x.as<TensorObject>(), "the text of a tensor"));
    });
}

int64_t Tracer::length(const Value& x, Span span) {
    return at(*dispatcher_, span, [&] {
        const auto& tensor = x.as<TensorObject>();
        if (tensor.rank() == 0) throw_error("type", "a 0-dim tensor has no length", "x.item() is its number");
        return tensor.shape()[0];
    });
}

Value Tracer::size(const TensorObject& x, size_t dimension) {
    return ops::to_value(*dispatcher_, dispatcher_->size(const_cast<TensorObject&>(x), dimension));
}

std::optional<Value> Tracer::attribute(const Value& x, std::string_view name, Span span) {
    Dispatcher& d = *dispatcher_;
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

bool Tracer::set_attribute(const Value& x, std::string_view name, const Value& e, Span span) {
    return at(*dispatcher_, span, [&] {
        auto& tensor = x.as<TensorObject>();
        if (name == "grad") {
            Ref<TensorObject> grad;
            if (!e.is_none()) {
                if (!e.is_tensor())
                    throw_error("type", fmt::format("`.grad` is a tensor or none, not {}", with_article(e.kind())));
                grad = e.ref<TensorObject>();
                if (grad->dtype() != tensor.dtype() || grad->shape() != tensor.shape()) {
                    throw_error("shape", fmt::format("`.grad` of a {} must be of the same type, but it is {}",
                                                     describe_type(tensor), describe_type(*grad)));
                }
            }
            set_gradient(tensor.make_autograd(), std::move(grad));
            return true;
        }
        if (name == "requires_grad") {
            if (!e.is_bool()) throw_error("type", "`requires_grad` is a bool");
            require_gradient(tensor, e.as_bool());
            return true;
        }
        return false;
    });
}

Generator& Tracer::changing_generator() {
    struct State final : Object {
        explicit State(Generator& generator) : Object(Kind::other), place(generator), before(generator) {}
        Generator& place;
        const Generator before;
    };
    if (capturing_) {
        record({Ref<Object>(new State(*generator_)), {}, {}, [](Undo& undo) {
                    auto& state = static_cast<State&>(*undo.object);
                    state.place = state.before;
                }});
    }
    return *generator_;
}

// A write of `.grad` is an effect like any other: a failed run takes it back.
void Tracer::set_gradient(Autograd& autograd, Ref<TensorObject> grad) {
    if (capturing_) {
        record({Ref<Object>(new AutogradHolder(Ref<Autograd>(&autograd))),
                {},
                autograd.grad ? Value(autograd.grad) : Value(),
                [](Undo& undo) {
                    Ref<TensorObject>& grad = static_cast<AutogradHolder&>(*undo.object).autograd->grad;
                    grad = undo.old.is_tensor() ? undo.old.ref<TensorObject>() : Ref<TensorObject>();
                }});
    }
    autograd.grad = std::move(grad);
}

void Tracer::require_gradient(TensorObject& tensor, bool wanted) {
    if (tensor.requires_grad() == wanted) return;
    if (wanted && !is_float(tensor.dtype())) {
        throw_error("dtype",
                    fmt::format("only float tensors can require a gradient, but this is {}", describe_type(tensor)),
                    "cast it: `x.to(f32)`");
    }
    if (!wanted && !tensor.is_leaf()) {
        throw_error("gradient", "what was computed from tensors that require a gradient requires one too",
                    "x.detach() is the value without its history");
    }
    // A leaf has its elements: what the graph was to compute for it is computed now.
    if (wanted && capturing_ && tensor.is_symbolic()) capture_->flush("a tensor that begins to require a gradient");
    if (wanted) tensor.make_autograd().requires_grad = true;
    else tensor.autograd->requires_grad = false;
    if (capturing_) capture_->forget(tensor);
}

void Tracer::assert_tensor(const Value& condition, FunctionRef<std::string()> message, bool message_is_pure,
                           Span span) {
    Dispatcher& d = *dispatcher_;
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
        if (capturing_ && message_is_pure) {
            if (tensor->rank() > 0) tensor = ops::reshape(d, tensor, {});
            capture_->assert_true(*tensor, said());
            return;
        }
        if (capturing_) graph_break("an assert whose message is computed", span);
        if (ops::to_number(d, *tensor).as_bool()) return;
        throw Error(Diagnostic{"assertion", said(), span, {}, {}});
    });
}

Value Tracer::make_parameter(const Value& initial, bool is_buffer, Span span) {
    Dispatcher& d = *dispatcher_;
    return at(d, span, [&]() -> Value {
        const Dispatcher::GradMode mode(d, false);
        TensorRef made;
        if (initial.is_tensor()) {
            const TensorRef tensor = initial.ref<TensorObject>();
            if (capturing_ && capture_->is_pending(*tensor)) capture_->flush("a parameter's initial value");
            const Tensor& from = d.elements(*tensor, "a parameter's initial value");
            const bool nobody_else =
                tensor->use_count() <= 2 && from.storage->use_count() == 1 && from.is_contiguous() && from.offset == 0;
            made = make_ref<TensorObject>(nobody_else ? from : from.clone());
        } else {
            made = ops::make_tensor(d, initial, std::nullopt);
            if (capturing_ && made->is_symbolic()) capture_->flush("a parameter's initial value");
        }
        if (!is_buffer && is_float(made->dtype())) made->make_autograd().requires_grad = true;
        return made;
    });
}

// ---- capture ------------------------------------------------------------------------------------------------------
bool Tracer::wants_capture(const void* function) const {
    return options_.engine != Engine::eager && !capturing_ && no_compile_depth_ == 0 &&
           !open_functions_.contains(function);
}

// What a captured call returns and was deferred is a plain number again.
void Tracer::settle_results(Value& result) {
    if (result.is_symbolic() && !is_pending_number(result)) {
        result = host_value(result);
    } else if (const auto* tuple = result.try_as<TupleObject>()) {
        if (std::none_of(tuple->items.begin(), tuple->items.end(), [](const Value& v) { return v.is_symbolic(); }))
            return;
        Values items = tuple->items;
        for (Value& item : items) settle_results(item);
        result = make_tuple(std::move(items));
    }
}

Value Tracer::captured_call(const CallSite& site, FunctionRef<Value()> thunk) {
    if (capturing_) return thunk();
    capture_->begin(site);
    capturing_ = true;
    const uint64_t mine = ++capture_number_;
    auto is_mine = [&] { return capturing_ && capture_number_ == mine; };
    Value result;
    try {
        result = thunk();
        if (is_mine()) capture_->end();
        settle_results(result);
    } catch (Error&) {
        if (is_mine()) {  // what came before the error has happened, as it would have op by op
            try {
                capture_->flush("an error");
            } catch (...) {
                capturing_ = false;
                throw;
            }
            capturing_ = false;
        }
        throw;
    } catch (...) {
        if (is_mine()) {
            capture_->abandon();
            capturing_ = false;
        }
        throw;
    }
    if (is_mine()) capturing_ = false;
    return result;
}

void Tracer::record(Undo undo) {
    if (capturing_) capture_->record(std::move(undo));
}

void Tracer::graph_break(std::string_view reason, Span span) {
    if (!capturing_) return;
    if (capture_->tracing()) capture_->refuse_break(reason, span);
    if (fullgraph_) fullgraph_->note(reason, span);
    ++counters_->graph_breaks;
    counters_->breaks.push_back({std::string(capture_->site().name), std::string(reason), span});
    tell(counters_->breaks.back(), "graph break");
    capture_->flush(reason, span);
}

void Tracer::FullGraph::note(std::string_view reason, Span span) {
    for (const auto& [known, place] : causes_) {
        if (known == reason && place == span) return;
    }
    causes_.emplace_back(reason, span);
}

void Tracer::FullGraph::check() const {
    if (causes_.empty()) return;
    Diagnostic diagnostic{"graph", {}, causes_[0].second, {}, {}};
    if (causes_.size() == 1) {
        diagnostic.message = fmt::format("a graph break under `fullgraph: true`: {}", causes_[0].first);
        diagnostic.help = "move this out of the function";
    } else {
        diagnostic.message = fmt::format("{} graph breaks under `fullgraph: true`", causes_.size());
        diagnostic.help = "move these out of the function";
        for (const auto& [reason, span] : causes_) diagnostic.labels.push_back({span, reason});
    }
    throw Error(std::move(diagnostic));
}

void Tracer::flush() {
    if (capturing_) capture_->flush("what follows needs its results");
}

Tracer::LoopMark Tracer::enter_loop() const {
    if (!capturing_) return {};
    return {capture_->backward_count(), static_cast<uint32_t>(capture_->node_count()), true};
}

bool Tracer::ends_at_back_edge(LoopMark& mark, Span span) {
    if (capture_->tracing() || fullgraph_ || stay_captured_depth_ > 0) return false;
    const bool holds_backward = capture_->backward_count() != mark.backwards;
    const bool is_long = capture_->node_count() > longest_graph + mark.nodes;
    if (!holds_backward && !is_long) return false;
    capture_->flush(holds_backward ? "a loop whose turns hold a backward" : "a loop that grew long", span);
    capturing_ = false;
    return true;
}

Tracer::Tracing::Tracing(Tracer& tracer)
    : tracer_(tracer), saved_(std::exchange(tracer.capturing_, true)),
      outer_(std::exchange(tracer.capture_, std::make_unique<Capture>(tracer))) {}

Tracer::Tracing::~Tracing() {
    tracer_.capturing_ = saved_;
    tracer_.capture_ = std::move(outer_);
}

void Tracer::open_function(const void* function) { open_functions_.insert(function); }

void Tracer::tell(const Event& event, std::string_view what) {
    if (!options_.explain) return;
    const std::string place = locate && event.span ? locate(event.span) : std::string("script");
    fmt::print(stderr, "{}: {} in {}: {}\n", place, what, event.function.empty() ? "the script" : event.function,
               event.reason);
}

}  // namespace tenon
