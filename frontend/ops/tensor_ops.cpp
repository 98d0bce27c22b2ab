#include "frontend/ops/tensor_ops.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <limits>
#include <numeric>

#include <fmt/format.h>

#include "frontend/ops/contraction.h"
#include "frontend/ops/tensor_data.h"
#include "frontend/record/capture.h"
#include "runtime/diagnostic.h"

namespace tenon::ops {

// ---- numbers and dtypes -------------------------------------------------------------------------------------------
DType Term::dtype() const {
    if (tensor) return is_number && is_float(tensor->dtype()) ? DType::f32 : tensor->dtype();
    if (std::holds_alternative<bool>(number)) return DType::boolean;
    return std::holds_alternative<int64_t>(number) ? DType::i64 : DType::f32;
}

Term term_of(Dispatcher& d, const Value& value, bool is_literal, std::string_view what) {
    switch (value.kind()) {
        case Kind::tensor: return Term(value.ref<TensorObject>());
        case Kind::boolean: return Term(Scalar(value.as_bool()), is_literal);
        case Kind::integer: return Term(Scalar(value.as_int()), is_literal);
        case Kind::real: return Term(Scalar(value.as_real()), is_literal);
        case Kind::symbolic: {
            if (const TensorRef& element = value.as<SymbolicObject>().element) {
                if (d.tracer().capturing() && d.tracer().capture().is_pending(*element)) {
                    // The host's number: a double, an int of 64 bits, a bool.
                    const DType dtype = element->dtype();
                    Term term(is_float(dtype)     ? cast(d, element, DType::f64)
                              : is_integer(dtype) ? cast(d, element, DType::i64)
                                                  : element);
                    term.is_number = true;
                    return term;
                }
                return term_of(d, settled(d, value), false, what);
            }
            if (is_host_int(value)) return Term(Scalar(value.as<SymbolicObject>().value), is_literal);
            const Size size = size_of(d, value, what);
            if (size.id.is_inline_constant() || !d.tracer().capturing()) return Term(Scalar(size.value), false);
            Term term(
                d.apply(op<"size">(), std::span<const Arg>(),
                        d.attr({{d.names().value, AttrValue(size.id)}, {d.names().dtype, AttrValue(DType::i64)}})));
            term.number = Scalar(size.value);
            term.is_number = term.is_size = true;
            return term;
        }
        default: break;
    }
    throw_error("type", fmt::format("{} must be a tensor or a number, but it is {}", what, with_article(value.kind())));
}

// PyTorch's rule: tensors with dimensions decide, then 0-dim tensors, then numbers; one that counts less changes the
// dtype only where its category (bool < integer < float) is higher.
DType promoted(std::span<const Term> terms) {
    std::optional<DType> ranks[3];
    for (const Term& term : terms) {
        std::optional<DType>& best = ranks[term.is_number ? 2 : term.tensor->rank() == 0 ? 1 : 0];
        best = best ? promote(*best, term.dtype()) : term.dtype();
    }
    std::optional<DType> result;
    for (const std::optional<DType>& next : ranks) {
        if (next) result = result ? promote_weak(*result, *next) : *next;
    }
    return result.value_or(DType::f32);
}

std::pair<int64_t, int64_t> integer_range(DType dtype) {
    return visit_dtype(dtype, []<class T>() -> std::pair<int64_t, int64_t> {
        if constexpr (std::is_integral_v<T>) return {std::numeric_limits<T>::min(), std::numeric_limits<T>::max()};
        return {0, 0};
    });
}

void require_fits(const Scalar& number, DType dtype) {
    if (!is_integer(dtype)) return;
    const auto [lowest, highest] = integer_range(dtype);
    bool fits;
    if (const double* real = std::get_if<double>(&number)) {
        const double whole = std::trunc(*real);  // 2 · (highest / 2 + 1) is exact, highest + 1 would overflow
        fits = whole >= static_cast<double>(lowest) && whole < 2 * static_cast<double>(highest / 2 + 1);
    } else {
        fits = scalar_as<int64_t>(number) >= lowest && scalar_as<int64_t>(number) <= highest;
    }
    if (fits) return;
    const std::string shown = std::visit([](auto v) { return fmt::format("{}", v); }, number);
    throw_error("overflow", fmt::format("{} does not fit in {} ({} to {})", shown, name_of(dtype), lowest, highest),
                fmt::format("take a wider dtype; `x.to({})` of a tensor wraps", name_of(dtype)));
}

// The number that a deferred item stands for: the graph that computes it ends.
static Term decided(Dispatcher& d, const Term& term) {
    const Value number = to_number(d, *term.tensor);
    if (number.is_bool()) return Term(Scalar(number.as_bool()), false);
    if (number.is_int()) return Term(Scalar(number.as_int()), false);
    return Term(Scalar(number.as_real()), false);
}

Term fitting(Dispatcher& d, const Term& term, DType dtype) {
    if (!is_integer(dtype) || !term.is_number) return term;
    const bool always_fits = term.is_pending() && (term.dtype() == DType::boolean || term.dtype() == dtype);
    if (always_fits) return term;
    const Term known = term.is_pending() ? decided(d, term) : term;
    require_fits(known.number, dtype);
    return known;
}

void require_numbers_fit(Dispatcher& d, std::span<Term> terms) {
    const DType dtype = promoted(terms);
    if (dtype == DType::i64) return;
    for (Term& term : terms) term = fitting(d, term, dtype);
}

TensorRef cast(Dispatcher& d, const TensorRef& x, DType to) {
    if (x->dtype() == to) return x;
    return d.apply(op<"cast">(), {x}, d.attr({{d.names().dtype, AttrValue(to)}}));
}

TensorRef widened(Dispatcher& d, const TensorRef& x) {
    return x->dtype() == DType::f16 || x->dtype() == DType::bf16 ? cast(d, x, DType::f32) : x;
}

Arg as_arg(Dispatcher& d, const Term& term, DType dtype, TensorRef& cast_to) {
    if (term.tensor && term.tensor->dtype() == dtype) return Arg(term.tensor);
    if (term.tensor) return Arg(cast_to = cast(d, term.tensor, dtype));
    return term.is_literal ? Arg::literal(term.number, dtype) : Arg::host(term.number, dtype);
}

static TensorRef elementwise_as(Dispatcher& d, Op op, std::span<const Term> terms, DType dtype, AttrId attr = {}) {
    std::array<TensorRef, 3> casts;
    std::array<Arg, 3> args;
    assert(terms.size() <= args.size());
    for (size_t k = 0; k < terms.size(); ++k) args[k] = as_arg(d, terms[k], dtype, casts[k]);
    return d.apply(op, std::span(args.data(), terms.size()), attr);
}

TensorRef elementwise(Dispatcher& d, Op op, std::span<const Term> terms, AttrId attr) {
    const DType dtype = promoted(terms);
    const bool has_number = std::any_of(terms.begin(), terms.end(), [](const Term& t) { return t.is_number; });
    // A number beside f16 or bf16 is rounded to f32 only; the op's result is rounded once.
    if (has_number && (dtype == DType::f16 || dtype == DType::bf16)) {
        const TensorRef wide = elementwise_as(d, op, terms, DType::f32, attr);
        return wide->dtype() == DType::f32 ? cast(d, wide, dtype) : wide;
    }
    return elementwise_as(d, op, terms, dtype, attr);
}

TensorRef elementwise_float(Dispatcher& d, Op op, std::span<const Term> terms) {
    if (is_float(promoted(terms))) return elementwise(d, op, terms);
    return elementwise_as(d, op, terms, DType::f32);
}

TensorRef binary(Dispatcher& d, Operator o, const Term& a, const Term& b) {
    Term terms[] = {a, b};
    if (o >= Operator::equal || o == Operator::floor_div || o == Operator::remainder) require_numbers_fit(d, terms);
    switch (o) {
        case Operator::add:
            if (promoted(terms) == DType::boolean) return elementwise(d, op<"logical_or">(), terms);
            return elementwise(d, op<"add">(), terms);
        case Operator::sub: return elementwise(d, op<"sub">(), terms);
        case Operator::mul:
            if (promoted(terms) == DType::boolean) return elementwise(d, op<"logical_and">(), terms);
            return elementwise(d, op<"mul">(), terms);
        case Operator::div: return elementwise_float(d, op<"div">(), terms);
        case Operator::floor_div: return elementwise(d, op<"floor_divide">(), terms);
        case Operator::remainder: return elementwise(d, op<"remainder">(), terms);
        case Operator::pow: {
            if (!is_float(promoted(terms)) && b.is_pending()) terms[1] = decided(d, b);
            const Term& exponent = terms[1];
            const bool negative =
                exponent.is_number && !exponent.is_pending() && scalar_as<int64_t>(exponent.number) < 0;
            if (negative && !is_float(promoted(terms))) {
                throw_error("value", "an integer tensor has no negative powers", "cast it first: `x.to(f32) ** n`");
            }
            return elementwise(d, op<"pow">(), terms);
        }
        case Operator::matmul:
            if (!a.tensor || !b.tensor)
                throw_error("type", "`@` multiplies two tensors, but one operand is a number",
                            "write `*` to scale a tensor");
            return matmul(d, a.tensor, b.tensor);
        case Operator::bit_or: return elementwise(d, op<"bitwise_or">(), terms);
        case Operator::bit_xor: return elementwise(d, op<"bitwise_xor">(), terms);
        case Operator::bit_and: return elementwise(d, op<"bitwise_and">(), terms);
        case Operator::shift_left: return elementwise(d, op<"shift_left">(), terms);
        case Operator::shift_right: return elementwise(d, op<"shift_right">(), terms);
        case Operator::equal: return elementwise(d, op<"equal">(), terms);
        case Operator::not_equal: return elementwise(d, op<"not_equal">(), terms);
        case Operator::less: return elementwise(d, op<"less">(), terms);
        case Operator::less_equal: return elementwise(d, op<"less_equal">(), terms);
        case Operator::greater: return elementwise(d, op<"greater">(), terms);
        case Operator::greater_equal: break;
    }
    return elementwise(d, op<"greater_equal">(), terms);
}

// NumPy's rule: a vector on the left is a row, on the right a column; the dimension added goes away again.
TensorRef matmul(Dispatcher& d, TensorRef a, TensorRef b) {
    if (a->rank() == 0 || b->rank() == 0) {
        throw_error(
            "shape",
            fmt::format("matmul needs one dimension or more, but got {} and {}", describe_type(*a), describe_type(*b)),
            "write `*` to scale a tensor by a 0-dim one");
    }
    if (a->dtype() != b->dtype()) {  // as in PyTorch: a product of matrices is where silent casts cost most
        throw_error(
            "dtype",
            fmt::format("matmul needs operands of one dtype, but they are {} and {}", describe_type(*a),
                        describe_type(*b)),
            fmt::format("cast one of them, for example with `.to({})`", name_of(promote(a->dtype(), b->dtype()))));
    }
    const bool row = a->rank() == 1, column = b->rank() == 1;
    if (const int64_t left = a->shape().back(), right = b->shape()[column ? 0 : b->rank() - 2];
        (row || column) && left != right) {
        throw_error("shape",
                    fmt::format("matmul needs the inner sizes to be equal, but they are {} and {}", left, right),
                    fmt::format("`a @ b` multiplies {} by {}: here {} by {}", row ? "[k]" : "[m, k]",
                                column ? "[k]" : "[k, n]", describe_type(*a), describe_type(*b)));
    }
    if (row && column && a->dtype() != DType::boolean)
        return contract(d, {{a, {0}}, {b, {0}}}, {});  // a sum, as sums go
    if (row) a = unsqueeze(d, a, 0);
    if (column) b = unsqueeze(d, b, 1);
    TensorRef product = d.apply(op<"matmul">(), {a, b});
    if (column) product = squeeze(d, product, -1);
    if (row) product = squeeze(d, product, column ? -1 : -2);
    return product;
}

// ---- reductions ---------------------------------------------------------------------------------------------------
Dims all_axes(const TensorRef& x) {
    Dims axes(x->rank());
    std::iota(axes.begin(), axes.end(), 0);
    return axes;
}

TensorRef reduce(Dispatcher& d, Op op, const TensorRef& x, Dims axes, bool keepdim) {
    for (int64_t& axis : axes) axis = normalise_dim(axis, x->rank());
    std::sort(axes.begin(), axes.end());
    const Dispatcher::Names& n = d.names();
    return d.apply(op, {x},
                   d.attr({{n.axes, d.list(std::span<const int64_t>(axes))}, {n.keepdim, AttrValue(keepdim)}}));
}

TensorRef sum(Dispatcher& d, const TensorRef& x, const Dims& axes, bool keepdim) {
    // Sums of small integers and bools are i64.
    const TensorRef wide = is_float(x->dtype()) ? x : cast(d, x, DType::i64);
    return reduce(d, op<"sum">(), wide, axes, keepdim);
}

Term count(Dispatcher& d, const TensorRef& x, const Dims& axes, DType dtype) {
    Size n(1);
    for (int64_t axis : axes) n = multiply(d, n, d.size(*x, static_cast<size_t>(normalise_dim(axis, x->rank()))));
    if (n.id.is_inline_constant() || !d.tracer().capturing()) return Term(Scalar(static_cast<double>(n.value)), true);
    const Dispatcher::Names& names = d.names();
    Term made(d.apply(op<"size">(), std::span<const Arg>(),
                      d.attr({{names.value, AttrValue(n.id)}, {names.dtype, AttrValue(dtype)}})));
    made.number = Scalar(n.value);
    made.is_number = made.is_size = true;
    return made;
}

TensorRef mean(Dispatcher& d, const TensorRef& x, const Dims& axes, bool keepdim) {
    if (!is_float(x->dtype())) {
        throw_error("dtype", fmt::format("mean needs a float tensor, but it is {}", describe_type(*x)),
                    "cast it first: `x.to(f32).mean()`");
    }
    const TensorRef wide = widened(d, x);
    const Term terms[] = {sum(d, wide, axes, keepdim), count(d, wide, axes, wide->dtype())};
    return cast(d, elementwise(d, op<"div">(), terms), x->dtype());
}

TensorRef root(Dispatcher& d, const TensorRef& total, double p) {
    const TensorRef zero = elementwise(d, op<"equal">(), {total, Term::literal(0.0)});
    const TensorRef safe = where(d, zero, Term::literal(1.0), total);
    const TensorRef taken =
        p == 2 ? elementwise(d, op<"sqrt">(), {safe}) : elementwise(d, op<"pow">(), {safe, Term::literal(1 / p)});
    return where(d, zero, Term::literal(0.0), taken);
}

// Two passes: the mean, then the mean of squared differences.
TensorRef variance(Dispatcher& d, const TensorRef& given, const Dims& axes, bool keepdim, double correction) {
    const TensorRef x = widened(d, given);
    const TensorRef centre = mean(d, x, axes, true);
    const TensorRef squares = elementwise(d, op<"square">(), {elementwise(d, op<"sub">(), {x, centre})});
    Term n = count(d, x, axes, x->dtype());
    if (n.tensor) {
        TensorRef less = elementwise(d, op<"sub">(), {n.tensor, Term::literal(correction)});
        n = Term(elementwise(d, op<"maximum">(), {less, Term::literal(0.0)}));
        n.is_number = true;
    } else {
        n = Term(Scalar(std::max(scalar_as<double>(n.number) - correction, 0.0)), true);
    }
    const Term terms[] = {sum(d, squares, axes, keepdim), n};
    return elementwise(d, op<"div">(), terms);
}

// ---- making -------------------------------------------------------------------------------------------------------
TensorRef scalar(Dispatcher& d, Scalar value, DType dtype, bool is_literal) {
    return full(d, Term(value, is_literal), dtype, {});
}

TensorRef full(Dispatcher& d, const Term& given, DType dtype, const Sizes& sizes) {
    for (const Size& size : sizes) {
        if (size.value < 0) throw_error("shape", fmt::format("a size cannot be negative, but one is {}", size.value));
    }
    const Term value = fitting(d, given, dtype);
    if (!d.tracer().capturing() && !value.tensor) {
        return make_ref<TensorObject>(Tensor::full(d.tracer().allocator(), dtype, values_of(sizes), value.number));
    }
    TensorRef cast_to;
    return d.apply(op<"full">(), {as_arg(d, value, dtype, cast_to)}, d.sizes_attr(sizes));
}

TensorRef iota(Dispatcher& d, const Size& n, DType dtype) {
    if (n.value < 0)
        throw_error("value", fmt::format("a number of elements cannot be negative, but it is {}", n.value));
    const Sizes sizes{n};
    return d.apply(
        op<"iota">(), std::span<const Arg>(),
        d.attr({{d.names().sizes, d.list(std::span<const Size>(sizes))}, {d.names().dtype, AttrValue(dtype)}}));
}

TensorRef cat(Dispatcher& d, std::span<const TensorRef> parts, int64_t dim) {
    if (parts.empty()) throw_error("value", "cat needs at least one tensor");
    std::vector<Term> terms(parts.begin(), parts.end());
    DType dtype = parts[0]->dtype();
    for (const TensorRef& part : parts) dtype = promote(dtype, part->dtype());
    std::vector<TensorRef> keep;
    std::vector<Arg> args;
    for (const TensorRef& part : parts) keep.push_back(cast(d, part, dtype));
    for (const TensorRef& part : keep) args.push_back(Arg(part));
    if (parts[0]->rank() == 0) throw_error("shape", "0-dim tensors have no dimension to join them along", "use stack");
    return d.apply(op<"cat">(), args, d.attr({{d.names().axis, AttrValue(normalise_dim(dim, parts[0]->rank()))}}));
}

TensorRef stack(Dispatcher& d, std::span<const TensorRef> parts, int64_t dim) {
    if (parts.empty()) throw_error("value", "stack needs at least one tensor");
    const int64_t axis = normalise_dim(dim, parts[0]->rank() + 1);
    std::vector<TensorRef> lifted;
    for (const TensorRef& part : parts) {
        if (part->shape() != parts[0]->shape()) {
            throw_error("shape", fmt::format("stack needs tensors of one shape, but they are {} and {}",
                                             describe_type(*parts[0]), describe_type(*part)));
        }
        lifted.push_back(unsqueeze(d, part, axis));
    }
    return cat(d, lifted, axis);
}

TensorRef where(Dispatcher& d, const TensorRef& condition, const Term& a, const Term& b) {
    Term terms[] = {a, b};
    const DType dtype = promoted(terms);
    require_numbers_fit(d, terms);
    TensorRef casts[2];
    const Arg yes = as_arg(d, terms[0], dtype, casts[0]), no = as_arg(d, terms[1], dtype, casts[1]);
    return d.apply(op<"where">(), {Arg(condition), yes, no});
}

TensorRef ends_of_runs(Dispatcher& d, const TensorRef& sorted, int64_t axis) {
    Sizes sizes = d.sizes(*sorted);
    const Size count = sizes[static_cast<size_t>(axis)];
    sizes[static_cast<size_t>(axis)] = Size(1);
    const TensorRef differs = elementwise(
        d, op<"not_equal">(),
        {narrow(d, sorted, axis, Size(1), count), narrow(d, sorted, axis, Size(0), subtract(d, count, Size(1)))});
    const TensorRef parts[] = {differs, full(d, Term::literal(int64_t{1}), DType::boolean, sizes)};
    return cat(d, parts, axis);
}

TensorRef positions_from_front(Dispatcher& d, const TensorRef& x, const TensorRef& index, int64_t axis) {
    Term extent = count(d, x, Dims{axis}, DType::i64);
    if (!extent.tensor) extent = Term(Scalar(x->shape()[static_cast<size_t>(axis)]), true);
    const TensorRef wide = cast(d, index, DType::i64);
    const TensorRef wrapped = elementwise(d, op<"add">(), {wide, extent});
    return where(d, elementwise(d, op<"less">(), {wide, Term::literal(int64_t{0})}), wrapped, wide);
}

TensorRef take(Dispatcher& d, const TensorRef& x, const TensorRef& index, int64_t dim) {
    return d.apply(op<"take">(), {x, index}, d.attr({{d.names().axis, AttrValue(normalise_dim(dim, x->rank()))}}));
}

TensorRef gather(Dispatcher& d, const TensorRef& x, int64_t dim, const TensorRef& index) {
    return d.apply(op<"gather">(), {x, index}, d.attr({{d.names().axis, AttrValue(normalise_dim(dim, x->rank()))}}));
}

// What x shows several times, as expand does, shown once.
static TensorRef shown_once(Dispatcher& d, TensorRef x) {
    for (size_t k = 0; k < x->rank(); ++k) {
        if (x->tensor.strides[k] == 0) x = narrow(d, x, static_cast<int64_t>(k), Size(0), Size(1));
    }
    return x;
}

void assign(Dispatcher& d, const TensorRef& x, const Term& given) {
    d.check_write(*x);
    const Term value = fitting(d, given, x->dtype());
    if (!value.tensor && repeats_elements(x->tensor)) return assign(d, shown_once(d, x), value);  // one number for all
    TensorRef now;
    if (value.tensor) {
        now = cast(d, value.tensor, x->dtype());
        if (now->shape() != x->shape()) now = expand(d, now, d.sizes(*x));
        else if (now.get() == x.get()) return;
    } else {
        now = full(d, value, x->dtype(), d.sizes(*x));
    }
    // A history goes on: what x was is replaced, as under a view of it, and its gradient is zero.
    if (d.grad_enabled() && !x->base && x->requires_grad()) now = d.updated(*x, {}, *now);
    d.write(*x, *now);
}

void assign_result(Dispatcher& d, const TensorRef& x, const TensorRef& result, std::string_view what) {
    if (result->shape() != x->shape()) {
        throw_error("shape",
                    fmt::format("{} would need the shape {}, but it writes into a tensor of shape {}", what,
                                shape_to_string(result->shape()), shape_to_string(x->shape())),
                    "a tensor's shape does not change in place");
    }
    auto category = [](DType t) { return is_float(t) ? 2 : is_integer(t) ? 1 : 0; };
    if (category(result->dtype()) > category(x->dtype())) {
        throw_error("dtype",
                    fmt::format("{} gives {}, which a tensor of {} cannot hold", what, name_of(result->dtype()),
                                name_of(x->dtype())),
                    "write `x = x …` instead, or cast x first");
    }
    d.write(*x, *cast(d, result, x->dtype()));
}

}  // namespace tenon::ops
