// Operations as a script means them: dtypes promoted as PyTorch does, numbers beside tensors, shapes worked out. Each
// is written in terms of rows, so it runs at once or is captured, and is differentiated either way.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "frontend/record/tensor_dispatch.h"
#include "frontend/record/tracer.h"
#include "frontend/values/operators.h"

namespace tenon::ops {

/// A tensor, or a number that counts less than a tensor when dtypes are promoted.
struct Term {
    TensorRef tensor;  ///< of a number: set where it is known to the graph only (a symbolic size, a deferred item)
    Scalar number{};   ///< of a size its present value, of a deferred item nothing
    bool is_number = false;
    bool is_literal = false;
    bool is_size = false;
    /// A number whose value nobody knows yet.
    bool is_pending() const { return is_number && tensor && !is_size; }
    Term(TensorRef t) : tensor(std::move(t)) {}
    Term(Scalar value, bool literal) : number(value), is_number(true), is_literal(literal) {}
    static Term literal(double value) { return Term(Scalar(value), true); }
    static Term literal(int64_t value) { return Term(Scalar(value), true); }
    DType dtype() const;  ///< of a number: bool, i64 or f32
};
/// Throws Error "type" for what is neither tensor nor number.
Term term_of(Dispatcher& d, const Value& value, bool is_literal, std::string_view what);

/// The dtype that an op on these computes in.
DType promoted(std::span<const Term> terms);

/// Throws Error "overflow" for a number that an integer dtype cannot hold; fractions are cut off.
void require_fits(const Scalar& number, DType dtype);
/// The term as what a tensor of this dtype is filled with: a number must fit, and is decided where that is not known.
Term fitting(Dispatcher& d, const Term& term, DType dtype);
/// The same for the numbers among operands of an op whose result modulo 2^bits would be another: orders and quotients.
void require_numbers_fit(Dispatcher& d, std::span<Term> terms);
/// The lowest and the highest integer of a dtype.
std::pair<int64_t, int64_t> integer_range(DType dtype);

TensorRef cast(Dispatcher& d, const TensorRef& x, DType to);
/// f16 and bf16 as f32, in which sums of them and what is made of sums are computed; other dtypes as they are.
TensorRef widened(Dispatcher& d, const TensorRef& x);
/// The term in this dtype as an operand; `cast_to` holds the tensor where one is made for it.
Arg as_arg(Dispatcher& d, const Term& term, DType dtype, TensorRef& cast_to);

/// An elementwise row on promoted operands.
TensorRef elementwise(Dispatcher& d, Op op, std::span<const Term> terms, AttrId attr = {});
inline TensorRef elementwise(Dispatcher& d, Op op, std::initializer_list<Term> terms) {
    return elementwise(d, op, std::span(terms.begin(), terms.size()));
}
/// The same where the row knows floats only: integers and bools become f32.
TensorRef elementwise_float(Dispatcher& d, Op op, std::span<const Term> terms);
TensorRef binary(Dispatcher& d, Operator op, const Term& a, const Term& b);
TensorRef matmul(Dispatcher& d, TensorRef a, TensorRef b);

/// A 0-dim tensor has no dimensions, but 0 and −1 may be named all the same, as in PyTorch. Throws Error "index" for others.
inline void check_dim_of_scalar(int64_t dim) {
    if (dim != 0 && dim != -1) normalise_dim(dim, 0);
}

// Shapes. Dimensions count from the end when negative; results share memory with x where strides allow it.
TensorRef reshape(Dispatcher& d, const TensorRef& x, Sizes sizes);  ///< one size may be −1
TensorRef expand(Dispatcher& d, const TensorRef& x, Sizes sizes);   ///< −1 keeps a size
TensorRef permute(Dispatcher& d, const TensorRef& x, const Dims& axes);
TensorRef transpose(Dispatcher& d, const TensorRef& x, int64_t first, int64_t second);
TensorRef unsqueeze(Dispatcher& d, const TensorRef& x, int64_t dim);
TensorRef squeeze(Dispatcher& d, const TensorRef& x, std::optional<int64_t> dim);
TensorRef flatten(Dispatcher& d, const TensorRef& x, int64_t first, int64_t last);
struct Slice {  // normalised: 0 ≤ start ≤ stop ≤ size, step ≥ 1
    Size start, stop;
    int64_t step = 1;
};
TensorRef slice(Dispatcher& d, const TensorRef& x, std::span<const Slice> slices);
/// A dimension of one element or none decides, about broadcasting for one: such a slice has no symbolic bounds.
void settle_short(Dispatcher& d, Slice& slice);
TensorRef narrow(Dispatcher& d, const TensorRef& x, int64_t dim, Size start, Size stop);
/// `at` counts from the start.
TensorRef select(Dispatcher& d, const TensorRef& x, int64_t dim, const Size& at);
/// Where an index lies along a dimension, counted from the start. Throws Error "index" where that is outside.
Size position(Dispatcher& d, const TensorRef& x, size_t dim, const Value& index);
TensorRef flip(Dispatcher& d, const TensorRef& x, const Dims& axes);
TensorRef detach(Dispatcher& d, const TensorRef& x);
TensorRef clone(Dispatcher& d, const TensorRef& x);
/// x with rank at least `rank`… broadcast to exactly these sizes where it has others.
TensorRef broadcast_to(Dispatcher& d, const TensorRef& x, const Sizes& sizes);

// Reductions; no axes means all of them.
TensorRef reduce(Dispatcher& d, Op op, const TensorRef& x, Dims axes, bool keepdim);
TensorRef sum(Dispatcher& d, const TensorRef& x, const Dims& axes, bool keepdim);
TensorRef mean(Dispatcher& d, const TensorRef& x, const Dims& axes, bool keepdim);
/// total^(1/p) of what is not negative. Where it is 0 the gradient is 0, not infinite: norms are differentiable there.
TensorRef root(Dispatcher& d, const TensorRef& total, double p = 2);
/// Of f16 and bf16 it is f32: rounding is the caller's, at the end.
TensorRef variance(Dispatcher& d, const TensorRef& x, const Dims& axes, bool keepdim, double correction);
Dims all_axes(const TensorRef& x);
/// The product of the sizes of these axes as a 0-dim tensor or a number.
Term count(Dispatcher& d, const TensorRef& x, const Dims& axes, DType dtype);

// Making.
TensorRef scalar(Dispatcher& d, Scalar value, DType dtype, bool is_literal = true);
TensorRef full(Dispatcher& d, const Term& value, DType dtype, const Sizes& sizes);
TensorRef iota(Dispatcher& d, const Size& n, DType dtype);
TensorRef cat(Dispatcher& d, std::span<const TensorRef> parts, int64_t dim);
TensorRef stack(Dispatcher& d, std::span<const TensorRef> parts, int64_t dim);

TensorRef where(Dispatcher& d, const TensorRef& condition, const Term& a, const Term& b);
/// Positions along an axis of x, counted from the front; those out of range stay so.
TensorRef positions_from_front(Dispatcher& d, const TensorRef& x, const TensorRef& index, int64_t axis);
/// Of sorted values along an axis that is not empty: whether the next one differs, bool; true for the last.
TensorRef ends_of_runs(Dispatcher& d, const TensorRef& sorted, int64_t axis);
TensorRef take(Dispatcher& d, const TensorRef& x, const TensorRef& index, int64_t dim);
TensorRef gather(Dispatcher& d, const TensorRef& x, int64_t dim, const TensorRef& index);

/// x becomes `value`, cast and broadcast to it. A number may be written into what is expanded, a tensor may not.
void assign(Dispatcher& d, const TensorRef& x, const Term& value);

/// The same for the result of an in-place op, which must have x's shape already and a dtype of x's category or below.
void assign_result(Dispatcher& d, const TensorRef& x, const TensorRef& result, std::string_view what);

// `x[i]` and `x[i] = e`.
TensorRef index(Dispatcher& d, const TensorRef& x, const Value& i);
void set_index(Dispatcher& d, const TensorRef& x, const Value& i, const Term& value);

/// An int that may be symbolic, as a size.
Size size_of(Dispatcher& d, const Value& value, std::string_view what);
/// An int of the host that may be another at the next call. As a size it is a symbol of the graph under capture from 2
/// on; with `shared`, one line that gives one value several times gives one symbol. As a position it always is.
bool is_host_int(const Value& value);
Size host_size(Dispatcher& d, int64_t value, bool shared = false);
Size host_position(Dispatcher& d, int64_t value);
/// An int; a symbolic one is decided.
int64_t int_of(Dispatcher& d, const Value& value, std::string_view what);
/// The value of a size as a script sees it.
Value to_value(Dispatcher& d, const Size& size);
/// Sizes worked out: constants or polynomials.
Size multiply(Dispatcher& d, const Size& a, const Size& b);
Size add(Dispatcher& d, const Size& a, const Size& b);
Size subtract(Dispatcher& d, const Size& a, const Size& b);

}  // namespace tenon::ops
