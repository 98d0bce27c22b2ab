// Elementwise functions, comparisons, reductions.
#include <array>
#include <cmath>
#include <numbers>

#include <fmt/format.h>

#include "frontend/methods/tables.h"
#include "frontend/builtins/tensor.h"
#include "frontend/ops/tensor_data.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

using ops::Term;

// ---- elementwise --------------------------------------------------------------------------------------------------
// `in_place` rows write into their first operand and return it.
Value finish(TensorCall& c, const TensorRef& result, bool in_place) {
    if (!in_place) return result;
    const TensorRef x = c.tensor(0);
    ops::assign_result(c.d, x, result, "an in-place op");
    return c[0];
}

template <FixedString name, bool in_place = false>
Value unary(Evaluator& e, Arguments& a) {  // of numbers of any dtype
    TensorCall c(e, a);
    if constexpr (in_place) c.d.begin_write(*c.tensor(0));
    const Term terms[] = {c.tensor(0)};
    return finish(c, ops::elementwise(c.d, op<name>(), terms), in_place);
}
template <FixedString name, bool in_place = false>
Value unary_float(Evaluator& e, Arguments& a) {  // integers and bools become f32
    TensorCall c(e, a);
    if constexpr (in_place) c.d.begin_write(*c.tensor(0));
    const Term terms[] = {c.tensor(0)};
    return finish(c, ops::elementwise_float(c.d, op<name>(), terms), in_place);
}
// Of bools as PyTorch has them: a square is an i64, as `x ** 2` is, a sign is the bool itself.
template <bool in_place = false>
Value square(Evaluator& e, Arguments& a) {
    if (a[0].as<TensorObject>().dtype() != DType::boolean) return unary<"square", in_place>(e, a);
    TensorCall c(e, a);
    return finish(c, ops::binary(c.d, Operator::pow, c.tensor(0), Term::literal(int64_t{2})), in_place);
}
Value sign(Evaluator& e, Arguments& a) {
    if (a[0].as<TensorObject>().dtype() != DType::boolean) return unary<"sign">(e, a);
    TensorCall c(e, a);
    return ops::clone(c.d, c.tensor(0));
}
template <Operator o, bool in_place = false>
Value arithmetic(Evaluator& e, Arguments& a) {  // x, y; alpha?
    TensorCall c(e, a);
    if constexpr (in_place) c.d.begin_write(*c.tensor(0));
    Term other = c.term(1);
    if (a.size() > 2 && c.has(2)) other = Term(ops::binary(c.d, Operator::mul, c.tensor(1), c.term(2)));
    return finish(c, ops::binary(c.d, o, c.term(0), other), in_place);
}
template <FixedString name, bool in_place = false>
Value binary(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    if constexpr (in_place) c.d.begin_write(*c.tensor(0));
    Term terms[] = {c.term(0), c.term(1)};
    if constexpr (!std::string_view(name.text).starts_with("bitwise")) ops::require_numbers_fit(c.d, terms);
    return finish(c, ops::elementwise(c.d, op<name>(), terms), in_place);
}
template <FixedString name>
Value binary_float(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    const Term terms[] = {c.term(0), c.term(1)};
    return ops::elementwise_float(c.d, op<name>(), terms);
}

TensorRef as_bool(Dispatcher& d, const TensorRef& x) {
    if (x->dtype() == DType::boolean) return x;
    return ops::elementwise(d, op<"not_equal">(), {x, Term::literal(int64_t{0})});
}
template <FixedString name>
Value logical(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    if (a.size() == 1) return ops::elementwise(c.d, op<name>(), {as_bool(c.d, c.tensor(0))});
    return ops::elementwise(c.d, op<name>(), {as_bool(c.d, c.tensor(0)), as_bool(c.d, c.tensor(1))});
}

Value result_type(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    std::vector<Term> terms;
    for (const Value& value : *items_of(a[0]))
        if (!value.is_none()) terms.push_back(ops::term_of(c.d, value, false, "what result_type takes"));
    return ops::promoted(terms);
}

Value log10(Evaluator& e, Arguments& a) {  // log x / log 10
    TensorCall c(e, a);
    const Term terms[] = {c.tensor(0)};
    return ops::elementwise(c.d, op<"mul">(),
                            {ops::elementwise_float(c.d, op<"log">(), terms), Term::literal(std::numbers::log10e)});
}

// A number is a bound, at which an element has no gradient any more; with a tensor equal elements share it, as PyTorch's.
TensorRef bounded(TensorCall& c, Op op, const TensorRef& x, const Term& bound) {
    Term terms[] = {x, bound};
    ops::require_numbers_fit(c.d, terms);
    return ops::elementwise(c.d, op, terms,
                            bound.is_number ? c.d.attr({{c.d.context().name("bound"), AttrValue(true)}}) : AttrId());
}

template <bool in_place>
Value clamp(Evaluator& e, Arguments& a) {  // x, min?, max?
    TensorCall c(e, a);
    TensorRef x = c.tensor(0);
    if constexpr (in_place) c.d.begin_write(*x);
    if (!c.has(1) && !c.has(2))
        throw_error("arity", "clamp needs a lower or an upper bound", "clamp(x, 0, 1), or clamp(x, min: 0)");
    // A bound that lies beyond what the dtype holds keeps every element.
    const auto [lowest, highest] = ops::integer_range(x->dtype());
    const bool is_integer_dtype = is_integer(x->dtype());
    auto bound = [&](size_t k) {  // of an integer tensor it is decided
        const bool decides = is_integer_dtype && host_kind(c[k]) == Kind::integer;
        return decides ? std::optional(c.integer(k, "a bound")) : std::nullopt;
    };
    const std::optional<int64_t> lower = c.has(1) ? bound(1) : lowest, upper = c.has(2) ? bound(2) : highest;
    const bool no_lower = !c.has(1) || (lower && *lower <= lowest);
    const bool no_upper = !c.has(2) || (upper && *upper >= highest);
    if (!no_lower) x = bounded(c, op<"maximum">(), x, c.term(1));
    if (!no_upper) x = bounded(c, op<"minimum">(), x, c.term(2));
    if (no_lower && no_upper) x = ops::clone(c.d, x);
    return finish(c, x, in_place);
}

Value where(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    if (!c.has(1)) {  // where(mask): the positions, a tensor a dimension
        const TensorRef positions = ops::nonzero(c.d, c.tensor(0));
        Values columns;
        for (int64_t k = 0; k < positions->shape()[1]; ++k) columns.push_back(ops::select(c.d, positions, 1, k));
        return make_tuple(std::move(columns));
    }
    return ops::where(c.d, c.tensor(0), c.term(1), c.term(2));
}

template <bool in_place>
Value masked_fill(Evaluator& e, Arguments& a) {  // x, mask, value
    TensorCall c(e, a);
    const TensorRef x = c.tensor(0);
    if constexpr (in_place) c.d.begin_write(*x);
    TensorRef cast_to;
    const Term filling = ops::fitting(c.d, c.term(2), x->dtype());
    const Arg value = ops::as_arg(c.d, filling, x->dtype(), cast_to);
    return finish(c, c.d.apply(op<"where">(), {Arg(c.tensor(1)), value, Arg(x)}), in_place);
}

Value lerp(Evaluator& e, Arguments& a) {  // x + weight (y − x)
    TensorCall c(e, a);
    const TensorRef x = c.tensor(0);
    if (!is_float(x->dtype()))
        throw_error("dtype", fmt::format("lerp needs a float tensor, but it is {}", describe_type(*x)),
                    "cast it first: `x.to(f32)`");
    const TensorRef difference = ops::binary(c.d, Operator::sub, c.tensor(1), x);
    return ops::binary(c.d, Operator::add, x, ops::binary(c.d, Operator::mul, c.term(2), difference));
}

// ---- reductions ---------------------------------------------------------------------------------------------------
Value sum(Evaluator& e, Arguments& a) {  // x, dim?, keepdim?, dtype?
    TensorCall c(e, a);
    TensorRef x = c.tensor(0);
    if (const auto dtype = c.dtype(3)) x = ops::cast(c.d, x, *dtype);
    return ops::sum(c.d, x, c.dims(1, x), c.flag(2, "keepdim"));
}
Value mean(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    TensorRef x = c.tensor(0);
    if (const auto dtype = c.dtype(3)) x = ops::cast(c.d, x, *dtype);
    return ops::mean(c.d, x, c.dims(1, x), c.flag(2, "keepdim"));
}
Value prod(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    TensorRef x = c.tensor(0);
    if (!is_float(x->dtype())) x = ops::cast(c.d, x, DType::i64);
    return ops::reduce(c.d, op<"prod">(), x, c.dims(1, x), c.flag(2, "keepdim"));
}
template <bool root>
Value variance(Evaluator& e, Arguments& a) {  // x, dim?, keepdim?; correction?, unbiased?
    TensorCall c(e, a);
    const TensorRef x = c.tensor(0);
    const double correction = c.has(4) ? (a.flag_or(4, true, "unbiased") ? 1 : 0) : a.number_or(3, 1, "correction");
    const TensorRef v = ops::variance(c.d, x, c.dims(1, x), c.flag(2, "keepdim"), correction);
    return ops::cast(c.d, root ? ops::root(c.d, v) : v, x->dtype());
}
template <FixedString name>
Value truth_reduction(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    const TensorRef x = as_bool(c.d, c.tensor(0));
    return ops::reduce(c.d, op<name>(), x, c.dims(1, x), c.flag(2, "keepdim"));
}
template <FixedString name>
Value extremum(Evaluator& e, Arguments& a) {  // amax, amin: values only
    TensorCall c(e, a);
    const TensorRef x = c.tensor(0);
    return ops::reduce(c.d, op<name>(), x, c.dims(1, x), c.flag(2, "keepdim"));
}

TensorRef position_of_extremum(TensorCall& c, Op op, const TensorRef& x, std::optional<int64_t> dim, bool keepdim) {
    const Dispatcher::Names& n = c.d.names();
    auto position = [&](const TensorRef& of, int64_t axis, bool keep) {
        return c.d.apply(op, {of}, c.d.attr({{n.axis, AttrValue(axis)}, {n.keepdim, AttrValue(keep)}}));
    };
    if (dim && x->rank() > 0) return position(x, normalise_dim(*dim, x->rank()), keepdim);
    if (dim) ops::check_dim_of_scalar(*dim);
    const TensorRef found = position(ops::reshape(c.d, x, {c.d.constant(-1)}), 0, false);
    return keepdim ? ops::reshape(c.d, found, Sizes(x->rank(), Size(1))) : found;
}
template <FixedString name>
Value arg_extremum(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    return position_of_extremum(c, op<name>(), c.tensor(0), c.dim(1), c.flag(2, "keepdim"));
}
// max(x) is a value; max(x, dim) is (values, positions); max(x, y) is elementwise.
template <FixedString name, FixedString along, FixedString pairwise>
Value largest(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    const TensorRef x = c.tensor(0);
    if (!c.has(1)) return ops::reduce(c.d, op<name>(), x, ops::all_axes(x), false);
    if (c[1].is_tensor()) return ops::elementwise(c.d, op<pairwise>(), {x, c.term(1)});
    const Lifted lifted(c, x, *c.dim(1));
    const bool keepdim = x->rank() == 0 || c.flag(2, "keepdim");
    const Dispatcher::Names& n = c.d.names();
    const std::vector<TensorRef> found =
        c.d.apply_all(op<along>(), std::array{Arg(lifted.x)},
                      c.d.attr({{n.axis, AttrValue(lifted.axis)}, {n.keepdim, AttrValue(keepdim)}}));
    return make_tuple({lifted.back(found[0]), lifted.back(found[1])});
}

Value cumsum(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    TensorRef x = c.tensor(0);
    if (!is_float(x->dtype())) x = ops::cast(c.d, x, DType::i64);
    const Lifted lifted(c, x, *c.dim(1));
    return lifted.back(c.d.apply(op<"cumsum">(), {lifted.x}, c.d.attr({{c.d.names().axis, AttrValue(lifted.axis)}})));
}

// Of f32 or f64 along an axis.
template <FixedString name>
Value normalised_exponentials(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    const Lifted lifted(c, c.tensor(0), *c.dim(1));
    return lifted.back(c.d.apply(op<name>(), {lifted.x}, c.d.attr({{c.d.names().axis, AttrValue(lifted.axis)}})));
}

// (Σ |x|ᵖ)^(1/p); with p = 0 how many are not 0. At 0 its gradient is 0.
TensorRef norm_of(TensorCall& c, const TensorRef& x, double p, const Dims& axes, bool keepdim) {
    const Term zero = Term::literal(0.0), one = Term::literal(1.0);
    if (p == 2) return ops::root(c.d, ops::sum(c.d, ops::elementwise(c.d, op<"square">(), {x}), axes, keepdim));
    if (p == 0)
        return ops::sum(c.d, ops::cast(c.d, ops::elementwise(c.d, op<"not_equal">(), {x, zero}), x->dtype()), axes,
                        keepdim);
    const TensorRef size = ops::elementwise(c.d, op<"abs">(), {x});
    if (std::isinf(p)) return ops::reduce(c.d, p > 0 ? op<"max">() : op<"min">(), size, axes, keepdim);
    if (p == 1) return ops::sum(c.d, size, axes, keepdim);
    TensorRef powers = ops::elementwise(c.d, op<"pow">(), {size, Term::literal(p)});
    if (p < 1 || p != std::floor(p)) {  // derivatives of the power that are infinite at 0
        const TensorRef none = ops::elementwise(c.d, op<"equal">(), {size, zero});
        powers = ops::elementwise(c.d, op<"pow">(), {ops::where(c.d, none, one, size), Term::literal(p)});
        powers = ops::where(c.d, none, p < 0 ? Term::literal(INFINITY) : zero, powers);
    }
    const TensorRef total = ops::sum(c.d, powers, axes, keepdim);
    return p < 0 ? ops::elementwise(c.d, op<"pow">(), {total, Term::literal(1 / p)}) : ops::root(c.d, total, p);
}
Value norm(Evaluator& e, Arguments& a) {  // x, p?, dim?, keepdim?
    TensorCall c(e, a);
    const TensorRef x = c.tensor(0);
    const TensorRef size = norm_of(c, ops::widened(c.d, x), a.number_or(1, 2, "p"), c.dims(2, x), c.flag(3, "keepdim"));
    return is_float(x->dtype()) ? ops::cast(c.d, size, x->dtype()) : size;
}

// ---- comparisons as one answer ------------------------------------------------------------------------------------
TensorRef close(TensorCall& c) {  // |x − y| ≤ atol + rtol |y|, or equal; NaN equals NaN where asked for
    const Term pair[] = {c.term(0), c.term(1)};
    DType dtype = ops::promoted(pair);
    if (!is_float(dtype)) dtype = DType::f64;
    const TensorRef x = ops::cast(c.d, c.tensor(0), dtype), y = ops::cast(c.d, c.tensor(1), dtype);
    const double rtol = c.arguments.number_or(2, 1e-5, "rtol"), atol = c.arguments.number_or(3, 1e-8, "atol");
    const TensorRef bound = ops::elementwise(
        c.d, op<"add">(),
        {ops::elementwise(c.d, op<"mul">(), {ops::elementwise(c.d, op<"abs">(), {y}), Term::literal(rtol)}),
         Term::literal(atol)});
    const TensorRef distance = ops::elementwise(c.d, op<"abs">(), {ops::elementwise(c.d, op<"sub">(), {x, y})});
    const TensorRef finite = ops::elementwise(c.d, op<"isfinite">(), {y});
    TensorRef near = ops::elementwise(c.d, op<"logical_and">(),
                                      {ops::elementwise(c.d, op<"less_equal">(), {distance, bound}), finite});
    near = ops::elementwise(c.d, op<"logical_or">(), {near, ops::elementwise(c.d, op<"equal">(), {x, y})});
    if (c.flag(4, "equal_nan")) {
        const TensorRef both =
            ops::elementwise(c.d, op<"logical_and">(),
                             {ops::elementwise(c.d, op<"isnan">(), {x}), ops::elementwise(c.d, op<"isnan">(), {y})});
        near = ops::elementwise(c.d, op<"logical_or">(), {near, both});
    }
    return near;
}
Value isclose(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    return close(c);
}
Value allclose(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    const TensorRef near = close(c);
    return ops::to_number(c.d, *ops::reduce(c.d, op<"all">(), near, ops::all_axes(near), false));
}
Value equal(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    const TensorRef x = c.tensor(0), y = c.tensor(1);
    if (x->shape() != y->shape()) return Value(false);
    const TensorRef same = ops::elementwise(c.d, op<"equal">(), {x, y});
    return ops::to_number(c.d, *ops::reduce(c.d, op<"all">(), same, ops::all_axes(same), false));
}

constexpr KindSet either = tensors_and_numbers;

const Builtin tensor_math_table[] = {
    {"neg", "x", tensors, unary<"neg">, 0, "−x"},
    {"abs", "x", tensors, unary<"abs">, 0, "|x|"},
    {"sign", "x", tensors, sign, 0, "−1, 0 or 1, as x is below, at or above 0"},
    {"square", "x", tensors, square<>, 0, "x · x"},
    {"relu", "x", tensors, unary<"relu">, 0, "max(x, 0)"},
    {"floor", "x", tensors, unary<"floor">, 0, "the largest whole number not above x"},
    {"ceil", "x", tensors, unary<"ceil">, 0, "the smallest whole number not below x"},
    {"round", "x", tensors, unary<"round">, 0, "the nearest whole number, ties to even"},
    {"trunc", "x", tensors, unary<"trunc">, 0, "x without its fraction"},
    {"sqrt", "x", tensors, unary_float<"sqrt">, 0, "√x"},
    {"rsqrt", "x", tensors, unary_float<"rsqrt">, 0, "1 / √x"},
    {"reciprocal", "x", tensors, unary_float<"reciprocal">, 0, "1 / x"},
    {"exp", "x", tensors, unary_float<"exp">, 0, "eˣ"},
    {"exp2", "x", tensors, unary_float<"exp2">, 0, "2ˣ"},
    {"expm1", "x", tensors, unary_float<"expm1">, 0, "eˣ − 1, exact near 0"},
    {"log", "x", tensors, unary_float<"log">, 0, "natural logarithm"},
    {"log2", "x", tensors, unary_float<"log2">, 0, "logarithm to base 2"},
    {"log10", "x", tensors, log10, 0, "logarithm to base 10"},
    {"log1p", "x", tensors, unary_float<"log1p">, 0, "log(1 + x), exact near 0"},
    {"sin", "x", tensors, unary_float<"sin">, 0, "sine"},
    {"cos", "x", tensors, unary_float<"cos">, 0, "cosine"},
    {"tan", "x", tensors, unary_float<"tan">, 0, "tangent"},
    {"sinh", "x", tensors, unary_float<"sinh">, 0, "hyperbolic sine"},
    {"cosh", "x", tensors, unary_float<"cosh">, 0, "hyperbolic cosine"},
    {"tanh", "x", tensors, unary_float<"tanh">, 0, "hyperbolic tangent"},
    {"asin", "x", tensors, unary_float<"asin">, 0, "inverse sine"},
    {"acos", "x", tensors, unary_float<"acos">, 0, "inverse cosine"},
    {"atan", "x", tensors, unary_float<"atan">, 0, "inverse tangent"},
    {"erf", "x", tensors, unary_float<"erf">, 0, "error function"},
    {"erfc", "x", tensors, unary_float<"erfc">, 0, "1 − erf(x), exact in its tail"},
    {"sigmoid", "x", tensors, unary_float<"sigmoid">, 0, "1 / (1 + e⁻ˣ)"},
    {"isnan", "x", tensors, unary_float<"isnan">, 0, "whether an element is no number"},
    {"isinf", "x", tensors, unary_float<"isinf">, 0, "whether an element is infinite"},
    {"isfinite", "x", tensors, unary_float<"isfinite">, 0, "whether an element is neither infinite nor nan"},
    {"neg_", "x", tensors, unary<"neg", true>, 0, "neg, in place"},
    {"abs_", "x", tensors, unary<"abs", true>, 0, "abs, in place"},
    {"square_", "x", tensors, square<true>, 0, "square, in place"},
    {"relu_", "x", tensors, unary<"relu", true>, 0, "relu, in place"},
    {"floor_", "x", tensors, unary<"floor", true>, 0, "floor, in place"},
    {"ceil_", "x", tensors, unary<"ceil", true>, 0, "ceil, in place"},
    {"round_", "x", tensors, unary<"round", true>, 0, "round, in place"},
    {"sqrt_", "x", tensors, unary_float<"sqrt", true>, 0, "sqrt, in place"},
    {"exp_", "x", tensors, unary_float<"exp", true>, 0, "exp, in place"},
    {"log_", "x", tensors, unary_float<"log", true>, 0, "log, in place"},
    {"sin_", "x", tensors, unary_float<"sin", true>, 0, "sin, in place"},
    {"cos_", "x", tensors, unary_float<"cos", true>, 0, "cos, in place"},
    {"tanh_", "x", tensors, unary_float<"tanh", true>, 0, "tanh, in place"},
    {"sigmoid_", "x", tensors, unary_float<"sigmoid", true>, 0, "sigmoid, in place"},
    {"reciprocal_", "x", tensors, unary_float<"reciprocal", true>, 0, "reciprocal, in place"},

    {"add", "x, y; alpha?", either, arithmetic<Operator::add>, takes_symbolic, "x + alpha · y, alpha 1 by default"},
    {"sub", "x, y; alpha?", either, arithmetic<Operator::sub>, takes_symbolic, "x − alpha · y, alpha 1 by default"},
    {"mul", "x, y", either, arithmetic<Operator::mul>, takes_symbolic, "x · y"},
    {"div", "x, y", either, arithmetic<Operator::div>, takes_symbolic, "x / y, of ints as floats"},
    {"pow", "x, y", tensors, arithmetic<Operator::pow>, takes_symbolic, "xʸ"},
    {"pow", "x, y", either, arithmetic<Operator::pow>, takes_symbolic, "xʸ"},
    {"floor_divide", "x, y", either, arithmetic<Operator::floor_div>, takes_symbolic, "x // y, rounded down"},
    {"remainder", "x, y", either, arithmetic<Operator::remainder>, takes_symbolic, "x % y, with the sign of y"},
    {"add_", "x, y; alpha?", tensors, arithmetic<Operator::add, true>, takes_symbolic, "add, in place"},
    {"sub_", "x, y; alpha?", tensors, arithmetic<Operator::sub, true>, takes_symbolic, "sub, in place"},
    {"mul_", "x, y", tensors, arithmetic<Operator::mul, true>, takes_symbolic, "mul, in place"},
    {"div_", "x, y", tensors, arithmetic<Operator::div, true>, takes_symbolic, "div, in place"},
    {"pow_", "x, y", tensors, arithmetic<Operator::pow, true>, takes_symbolic, "pow, in place"},
    {"remainder_", "x, y", tensors, arithmetic<Operator::remainder, true>, takes_symbolic, "remainder, in place"},
    {"maximum", "x, y", either, binary<"maximum">, takes_symbolic, "the larger of each pair; nan where one is"},
    {"minimum", "x, y", either, binary<"minimum">, takes_symbolic, "the smaller of each pair; nan where one is"},
    {"fmod", "x, y", either, binary<"fmod">, takes_symbolic, "x − trunc(x / y) · y, with the sign of x"},
    {"atan2", "y, x", either, binary_float<"atan2">, takes_symbolic, "the angle of the point (x, y)"},
    {"not_equal", "x, y", either, binary<"not_equal">, takes_symbolic, "x != y"},
    {"less", "x, y", either, binary<"less">, takes_symbolic, "x < y"},
    {"less_equal", "x, y", either, binary<"less_equal">, takes_symbolic, "x <= y"},
    {"greater", "x, y", either, binary<"greater">, takes_symbolic, "x > y"},
    {"greater_equal", "x, y", either, binary<"greater_equal">, takes_symbolic, "x >= y"},
    {"logical_and", "x, y", either, logical<"logical_and">, takes_symbolic, "whether both are not 0"},
    {"logical_or", "x, y", either, logical<"logical_or">, takes_symbolic, "whether one is not 0"},
    {"logical_xor", "x, y", either, logical<"logical_xor">, takes_symbolic, "whether exactly one is not 0"},
    {"logical_not", "x", either, logical<"logical_not">, takes_symbolic, "whether it is 0"},
    {"bitwise_and", "x, y", either, binary<"bitwise_and">, takes_symbolic, "x & y, of ints or bools"},
    {"bitwise_or", "x, y", either, binary<"bitwise_or">, takes_symbolic, "x | y, of ints or bools"},
    {"bitwise_xor", "x, y", either, binary<"bitwise_xor">, takes_symbolic, "x ^ y, of ints or bools"},
    {"bitwise_not", "x", tensors, unary<"bitwise_not">, 0, "~x, of ints or bools"},
    {"clamp", "x, min?, max?", tensors, clamp<false>, takes_symbolic, "x, at least min and at most max"},
    {"clamp_", "x, min?, max?", tensors, clamp<true>, takes_symbolic, "clamp, in place"},
    {"where", "condition, x?, y?", tensors, where, takes_symbolic,
     "x where the condition holds, y elsewhere; the condition alone gives the positions where it holds, a tensor a "
     "dimension"},
    {"masked_fill", "x, mask, value", tensors, masked_fill<false>, takes_symbolic,
     "x, and the value where the mask is true"},
    {"masked_fill_", "x, mask, value", tensors, masked_fill<true>, takes_symbolic, "masked_fill, in place"},
    {"lerp", "x, y, weight", tensors, lerp, takes_symbolic, "x + weight · (y − x)"},

    {"sum", "x, dim?, keepdim?, dtype?", tensors, sum, 0,
     "the sum over dim (one, or a list; all by default), which keepdim leaves with size 1; of ints and bools i64"},
    {"mean", "x, dim?, keepdim?, dtype?", tensors, mean, 0, "the mean over dim (one, or a list; all by default)"},
    {"prod", "x, dim?, keepdim?", tensors, prod, 0, "the product over dim (one, or a list; all by default)"},
    {"var", "x, dim?, keepdim?; correction?, unbiased?", tensors, variance<false>, 0,
     "Σ (x − mean)² / (n − correction) over dim, correction 1 by default; unbiased: false is correction 0"},
    {"std", "x, dim?, keepdim?; correction?, unbiased?", tensors, variance<true>, 0, "√var"},
    {"any", "x, dim?, keepdim?", tensors, truth_reduction<"any">, 0,
     "whether one is not 0, over dim (one, or a list; all by default)"},
    {"all", "x, dim?, keepdim?", tensors, truth_reduction<"all">, 0,
     "whether none is 0, over dim (one, or a list; all by default)"},
    {"amax", "x, dim?, keepdim?", tensors, extremum<"max">, 0, "the largest over dim (one, or a list; all by default)"},
    {"amin", "x, dim?, keepdim?", tensors, extremum<"min">, 0,
     "the smallest over dim (one, or a list; all by default)"},
    {"max", "x, dim?, keepdim?", tensors, largest<"max", "max_along", "maximum">, 0,
     "of all elements the largest; with a dim (values, positions) along it; with a tensor the larger of each pair"},
    {"min", "x, dim?, keepdim?", tensors, largest<"min", "min_along", "minimum">, 0,
     "of all elements the smallest; with a dim (values, positions) along it; with a tensor the smaller of each pair"},
    {"argmax", "x, dim?, keepdim?", tensors, arg_extremum<"argmax">, 0,
     "the position of the first largest along dim, or among all elements"},
    {"argmin", "x, dim?, keepdim?", tensors, arg_extremum<"argmin">, 0,
     "the position of the first smallest along dim, or among all elements"},
    {"softmax_along", "x, dim", tensors, normalised_exponentials<"softmax">, 0,
     "softmax of f32 or f64 elements along dim: what softmax is made of"},
    {"log_softmax_along", "x, dim", tensors, normalised_exponentials<"log_softmax">, 0,
     "log_softmax of f32 or f64 elements along dim: what log_softmax is made of"},
    {"cumsum", "x, dim", tensors, cumsum, 0, "the sums of what comes up to each element along dim"},
    {"norm", "x, p?, dim?, keepdim?", tensors, norm, 0,
     "(Σ |x|ᵖ)^(1/p) over dim (all by default), p 2 by default; p inf: the largest |x|, p 0: how many are not 0"},

    {"result_type", "*xs", either, result_type, 0,
     "the dtype of an operation on these tensors and numbers; none counts as no operand"},
    {"isclose", "x, y; rtol?, atol?, equal_nan?", either, isclose, 0,
     "whether |x − y| ≤ atol + rtol · |y|, rtol 1e-5 and atol 1e-8 by default"},
    {"allclose", "x, y; rtol?, atol?, equal_nan?", either, allclose, 0,
     "whether isclose holds of all elements, as a bool"},
    {"equal", "x, y", tensors, equal, 0, "whether shapes and all elements are the same, as a bool"},
};

}  // namespace

std::span<const Builtin> tensor_math_builtins() { return tensor_math_table; }

}  // namespace tenon
