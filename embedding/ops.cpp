// Ops as C++ code writes them: the script's operations, by their names.
#include "embedding/state.h"
#include "frontend/record/tensor_dispatch.h"

namespace tenon::embed {

using detail::Access;
using detail::State;

namespace {

Value binary(Operator op, const Value& a, const Value& b) {
    State& state = detail::state_of(std::initializer_list<Value>{a, b});
    return state.guarded([&] {
        Evaluator& evaluator = state.evaluator();
        return state.wrap(evaluator.binary(op, {Access::raw(a), Access::is_literal(a)},
                                           {Access::raw(b), Access::is_literal(b)}, evaluator.here()));
    });
}

void update(Operator op, const Tensor& x, const Value& value) {
    State& state = detail::state_of(std::span(static_cast<const Value*>(&x), 1));
    state.guarded([&] {
        state.check_may_write(detail::tensor_of(x));
        state.session.border().update(op, Access::raw(x), {Access::raw(value), Access::is_literal(value)},
                                      state.evaluator().here());
    });
}

}  // namespace

Value operator+(const Value& a, const Value& b) { return binary(Operator::add, a, b); }
Value operator-(const Value& a, const Value& b) { return binary(Operator::sub, a, b); }
Value operator*(const Value& a, const Value& b) { return binary(Operator::mul, a, b); }
Value operator/(const Value& a, const Value& b) { return binary(Operator::div, a, b); }
Value operator-(const Value& x) { return binary(Operator::mul, x, literal(-1)); }

namespace ops {

Value apply(std::string_view name, Values arguments, const Named& named) {
    State& state = detail::state_of(arguments);
    const Value function = state.guarded([&] { return state.wrap(state.function(name)); });
    return function.call(std::move(arguments), named);
}

Tensor matmul(const Value& a, const Value& b) { return binary(Operator::matmul, a, b); }
Tensor pow(const Value& a, const Value& b) { return binary(Operator::pow, a, b); }
Tensor maximum(const Value& a, const Value& b) { return apply("maximum", {a, b}); }
Tensor minimum(const Value& a, const Value& b) { return apply("minimum", {a, b}); }
Tensor where(const Value& condition, const Value& a, const Value& b) { return apply("where", {condition, a, b}); }
Tensor exp(const Value& x) { return apply("exp", {x}); }
Tensor log(const Value& x) { return apply("log", {x}); }
Tensor sin(const Value& x) { return apply("sin", {x}); }
Tensor cos(const Value& x) { return apply("cos", {x}); }
Tensor tanh(const Value& x) { return apply("tanh", {x}); }
Tensor sqrt(const Value& x) { return apply("sqrt", {x}); }
Tensor abs(const Value& x) { return apply("abs", {x}); }
Tensor sum(const Value& x) { return apply("sum", {x}); }
Tensor sum(const Value& x, int64_t dimension, bool keepdim) {
    return apply("sum", {x, dimension}, {{"keepdim", keepdim}});
}
Tensor reshape(const Tensor& x, Values sizes) { return apply("reshape", {x, Value::list(std::move(sizes))}); }
Tensor expand(const Tensor& x, Values sizes) { return apply("expand", {x, Value::list(std::move(sizes))}); }
Tensor transpose(const Tensor& x, int64_t first, int64_t second) { return apply("transpose", {x, first, second}); }
Tensor cast(const Tensor& x, DType dtype) { return apply("to", {x, dtype}); }
Tensor clone(const Tensor& x) { return apply("clone", {x}); }
Tensor zeros_like(const Tensor& x) { return apply("zeros_like", {x}); }

void assign(const Tensor& x, const Value& value) {
    State& state = detail::state_of(std::span(static_cast<const Value*>(&x), 1));
    state.guarded([&] {
        state.check_may_write(detail::tensor_of(x));
        state.session.border().set_index(Access::raw(x), tenon::Value::ellipsis(),
                                         {Access::raw(value), Access::is_literal(value)}, state.evaluator().here());
    });
}
void add(const Tensor& x, const Value& value) { update(Operator::add, x, value); }
void sub(const Tensor& x, const Value& value) { update(Operator::sub, x, value); }
void mul(const Tensor& x, const Value& value) { update(Operator::mul, x, value); }

}  // namespace ops

}  // namespace tenon::embed
