// Elementwise ops: one element of the result from one element of each operand; shapes broadcast as in NumPy.
// The scalar function is the one of the same name in ir/scalar/. The family un-broadcasts gradients (ir/differentiate/gradient.cpp).
#include <cmath>
#include <numbers>

#include "ir/differentiate/batching.h"
#include "ir/differentiate/gradient.h"
#include "ir/ops/tables.h"
#include "ir/scalar/functions.h"

namespace tenon {

namespace {

using enum DTypes;

enum class Result { same, boolean };

// Throws unless operand k is a tensor, a scalar or an index, of the dtype of `model`.
void check_operand(const Infer& i, size_t k, const Type& t, const Type& model) {
    const Row& r = row(i.row);
    if (t.kind == Type::Kind::index) return;
    if (t.kind != Type::Kind::tensor && t.kind != Type::Kind::scalar)
        i.fail("type",
               std::string(i.op) + " takes tensors, but operand " + std::to_string(k) + " is " + i.show(i.operands[k]));
    if (!admits(r.dtypes, t.dtype))
        i.fail("dtype",
               std::string(i.op) + " needs " + std::string(describe(r.dtypes)) + ", but operand " + std::to_string(k) +
                   " is " + std::string(name_of(t.dtype)),
               is_float(t.dtype) ? "cast it first, for example `x.to(i64)`" : "cast it first, for example `x.to(f32)`");
    if (t.dtype != model.dtype)
        i.fail("dtype",
               std::string(i.op) + " needs operands of one dtype, but they are " + std::string(name_of(model.dtype)) +
                   " and " + std::string(name_of(t.dtype)),
               "cast one of them with `x.to(dtype)`");
}

// Operands are tensors that broadcast, or (at the loop level) scalars and literals, or indices; dtypes are equal.
TypeId elementwise(Infer& i, size_t first, Result result) {
    const Type& model = i.type(first);
    size_t rank = 0;
    bool scalar = false, index = false, alike = true;
    TypeId sized;  // of the first operand that is not 0-dim; alike: of all of them, as it mostly is
    for (size_t k = 0; k < i.operands.size(); ++k) {
        const TypeId id = i.operands[k];
        if (id == sized && alike) continue;
        const Type& t = i.type(k);
        if (k >= first) check_operand(i, k, t, model);
        scalar |= t.kind == Type::Kind::scalar;
        index |= t.kind == Type::Kind::index;
        if (t.sizes.empty()) continue;
        rank = std::max(rank, t.sizes.size());
        alike &= !sized && k >= first && t.device == model.device;
        sized = id;
    }
    if (index && result == Result::same) return i.context.index();
    const DType dtype = result == Result::boolean ? DType::boolean : model.dtype;
    if (scalar || index) return i.context.scalar(dtype);
    if (sized && alike && dtype == model.dtype) return sized;
    SmallVector<SizeId, 8> sizes(rank, SizeId(1));
    for (size_t k = 0; k < i.operands.size(); ++k) {
        const std::vector<SizeId>& mine = i.type(k).sizes;
        for (size_t d = 0; d < mine.size(); ++d) {
            SizeId& out = sizes[rank - mine.size() + d];
            out = broadcast_size(i, out, mine[d], mine.size() - d);
        }
    }
    return i.context.tensor(dtype, sizes, model.device);
}
TypeId same(Infer& i) { return elementwise(i, 0, Result::same); }
TypeId boolean_rule(Infer& i) { return elementwise(i, 0, Result::boolean); }
TypeId where_rule(Infer& i) {
    if (i.type(0).dtype != DType::boolean || i.type(0).kind == Type::Kind::index)
        i.fail("dtype", "where needs a bool condition, but it is " + i.show(i.operands[0]),
               "compare first, for example `x > 0`");
    return elementwise(i, 1, Result::same);
}
TypeId cast_rule(Infer& i) {
    const Type& t = i.type(0);
    const DType to = i.attributes().dtype("dtype");
    if (t.kind == Type::Kind::scalar) return i.context.scalar(to);
    require_tensor(i, 0);
    return i.context.tensor(to, t.sizes, t.device);
}

// What the family's rows have in common; each row says the rest, and its scalar function its error.
constexpr Row elementwise_row(Row r, int operands) {
    scalar::for_each_function([&]<class F>() {
        if (F::is.name == r.name) r.ulp = F::is.ulp;
    });
    r.level = Level::any;
    r.min_operands = r.max_operands = int8_t(operands);
    r.lowering = Lowering::scalar;
    r.batching = batch_broadcasting;
    return r;
}
constexpr Row unary(Row r) {
    r.result = same;
    return elementwise_row(r, 1);
}
constexpr Row binary(Row r) {
    r.result = same;
    return elementwise_row(r, 2);
}
constexpr Row predicate(Row r) {
    r.result = boolean_rule;
    r.no_gradient = "its result is bool";
    return elementwise_row(r, 1);
}
constexpr Row comparison(Row r) {
    r.result = boolean_rule;
    r.no_gradient = "its result is bool";
    return elementwise_row(r, 2);
}
constexpr Row bitwise(Row r, int operands) {
    r.result = same;
    r.no_gradient = "integers and bools have no gradient";
    return elementwise_row(r, operands);
}

// Random bits of a key, an offset and a position, all i64.
constexpr Row drawn(Row r) {
    r.dtypes = counts;
    r.result = same;
    r.no_gradient = "integers and bools have no gradient";
    return elementwise_row(r, 3);
}

Term call(Op o, const Term& x) { return apply(o, {x}); }
Term where(const Term& c, const Term& x, const Term& y) { return apply(op<"where">(), {c, x, y}); }

void zero_gradient(Gradient& d) { d.x(0) += d.zero(); }  // piecewise constant

// d a^b = b·a^(b−1) and a^b·log a. Where b is 0, and where a is 0 and b not negative, what would be infinite is never
// computed: so the limits, 0, hold at every order.
void pow_gradient(Gradient& d) {
    if (d.literal(1) == 0.0) {
        d.x(0) += d.zero();
    } else {
        const Term less = d.literal(1) ? d.b - 1 : where(apply(op<"equal">(), {d.b, 0}), 0, d.b - 1);
        d.x(0) += d.g * (d.b * apply(op<"pow">(), {d.a, less}));
    }
    const Term zero =
        apply(op<"logical_and">(), {apply(op<"equal">(), {d.a, 0}), apply(op<"greater_equal">(), {d.b, 0})});
    d.x(1) += d.g * (d.y * call(op<"log">(), where(zero, 1, d.a)));
}

// d = b/(a²+b²), −a/(a²+b²), by the quotient of the smaller by the larger, so that no square leaves the range; 0 at (0, 0).
void atan2_gradient(Gradient& d) {
    const Term steep = apply(op<"greater">(), {call(op<"abs">(), d.a), call(op<"abs">(), d.b)});
    const Term large = where(steep, d.a, d.b), small = where(steep, d.b, d.a);
    const Term origin = apply(op<"equal">(), {large, 0});
    const Term nonzero = where(origin, 1, large);
    const Term r = small / nonzero;
    const Term scale = d.g * where(origin, 0, 1 / (nonzero * (1 + r * r)));
    d.x(0) += scale * where(steep, r, 1);
    d.x(1) += -scale * where(steep, 1, r);
}

// Of equal elements each takes half, as PyTorch does; NaN passes the cotangent to the first operand. With `bound` the
// second operand is a bound, and what has reached it has no gradient.
void extremum_gradient(Gradient& d, Op loses) {
    if (d.attributes().flag("bound")) {
        d.x(0) += where(apply(loses, {d.b, d.a}), d.g, 0);
        d.x(1) += where(apply(loses, {d.b, d.a}), 0, d.g);
        return;
    }
    const auto share = [&](const Term& mine, const Term& other) {
        return where(apply(op<"equal">(), {mine, other}), d.g / 2, where(apply(loses, {mine, other}), 0, d.g));
    };
    d.x(0) += share(d.a, d.b);
    d.x(1) += share(d.b, d.a);
}

// clang-format off
const Row elementwise_table[] = {
    unary({.name = "neg", .doc = "negation", .dtypes = numeric, .gradient = [](Gradient& d) { d.x(0) += -d.g; }}),
    unary({.name = "abs", .doc = "absolute value", .dtypes = numeric, .gradient = [](Gradient& d) { d.x(0) += d.g * call(op<"sign">(), d.a); }}),
    unary({.name = "sign", .doc = "-1, 0 or 1", .dtypes = numeric, .gradient = zero_gradient}),
    unary({.name = "exp", .doc = "e to the power x", .dtypes = floats, .cost = 16, .gradient = [](Gradient& d) { d.x(0) += d.g * d.y; }}),
    unary({.name = "exp2", .doc = "2 to the power x", .dtypes = floats, .cost = 16, .gradient = [](Gradient& d) { d.x(0) += d.g * (d.y * std::numbers::ln2); }}),
    unary({.name = "expm1", .doc = "e to the power x, less 1", .dtypes = floats, .cost = 16, .gradient = [](Gradient& d) { d.x(0) += d.g * (d.y + 1); }}),
    unary({.name = "log", .doc = "natural logarithm", .dtypes = floats, .cost = 16, .gradient = [](Gradient& d) { d.x(0) += d.g / d.a; }}),
    unary({.name = "log2", .doc = "logarithm to base 2", .dtypes = floats, .cost = 16, .gradient = [](Gradient& d) { d.x(0) += d.g / (d.a * std::numbers::ln2); }}),
    unary({.name = "log1p", .doc = "natural logarithm of 1 + x", .dtypes = floats, .cost = 16, .gradient = [](Gradient& d) { d.x(0) += d.g / (d.a + 1); }}),
    unary({.name = "sqrt", .doc = "square root", .dtypes = floats, .cost = 4, .gradient = [](Gradient& d) { d.x(0) += d.g / (d.y * 2); }}),
    unary({.name = "rsqrt", .doc = "1 / sqrt(x)", .dtypes = floats, .cost = 4, .gradient = [](Gradient& d) { d.x(0) += d.g * (d.y * d.y * d.y * -0.5); }}),    // d x^(-1/2) = -1/2 x^(-3/2)
    unary({.name = "reciprocal", .doc = "1 / x", .dtypes = floats, .cost = 4, .gradient = [](Gradient& d) { d.x(0) += -(d.g * (d.y * d.y)); }}),
    unary({.name = "square", .doc = "x * x", .dtypes = numeric, .gradient = [](Gradient& d) { d.x(0) += d.g * (d.a * 2); }}),
    unary({.name = "sin", .doc = "sine", .dtypes = floats, .cost = 16, .gradient = [](Gradient& d) { d.x(0) += d.g * call(op<"cos">(), d.a); }}),
    unary({.name = "cos", .doc = "cosine", .dtypes = floats, .cost = 16, .gradient = [](Gradient& d) { d.x(0) += d.g * -call(op<"sin">(), d.a); }}),
    unary({.name = "tan", .doc = "tangent", .dtypes = floats, .cost = 16, .gradient = [](Gradient& d) { d.x(0) += d.g * (1 + d.y * d.y); }}),
    unary({.name = "sinh", .doc = "hyperbolic sine", .dtypes = floats, .cost = 16, .gradient = [](Gradient& d) { d.x(0) += d.g * call(op<"cosh">(), d.a); }}),
    unary({.name = "cosh", .doc = "hyperbolic cosine", .dtypes = floats, .cost = 16, .gradient = [](Gradient& d) { d.x(0) += d.g * call(op<"sinh">(), d.a); }}),
    unary({.name = "tanh", .doc = "hyperbolic tangent", .dtypes = floats, .cost = 16, .gradient = [](Gradient& d) { d.x(0) += d.g * (1 - d.y * d.y); }}),    // d tanh = 1 − tanh²
    unary({.name = "asin", .doc = "inverse sine", .dtypes = floats, .cost = 16, .gradient = [](Gradient& d) { d.x(0) += d.g * call(op<"rsqrt">(), 1 - d.a * d.a); }}),
    unary({.name = "acos", .doc = "inverse cosine", .dtypes = floats, .cost = 16, .gradient = [](Gradient& d) { d.x(0) += d.g * -call(op<"rsqrt">(), 1 - d.a * d.a); }}),
    unary({.name = "atan", .doc = "inverse tangent", .dtypes = floats, .cost = 16, .gradient = [](Gradient& d) { d.x(0) += d.g / (1 + d.a * d.a); }}),
    unary({.name = "erf", .doc = "error function", .dtypes = floats, .cost = 16, .gradient = [](Gradient& d) {    // d erf = 2/√π · exp(−x²)
        d.x(0) += d.g * (call(op<"exp">(), -(d.a * d.a)) * (2 * std::numbers::inv_sqrtpi));
    }}),
    unary({.name = "erfc", .doc = "1 - erf(x)", .dtypes = floats, .cost = 16, .gradient = [](Gradient& d) {
        d.x(0) += d.g * (call(op<"exp">(), -(d.a * d.a)) * (-2 * std::numbers::inv_sqrtpi));
    }}),
    unary({.name = "sigmoid", .doc = "1 / (1 + exp(-x))", .dtypes = floats, .cost = 16, .gradient = [](Gradient& d) { d.x(0) += d.g * (d.y * (1 - d.y)); }}),
    unary({.name = "relu", .doc = "max(x, 0), NaN passes", .dtypes = numeric, .gradient = [](Gradient& d) {
        d.x(0) += where(apply(op<"greater">(), {d.y, 0}), d.g, 0);
    }}),
    unary({.name = "floor", .doc = "largest integer not above x", .dtypes = numeric, .gradient = zero_gradient}),
    unary({.name = "ceil", .doc = "smallest integer not below x", .dtypes = numeric, .gradient = zero_gradient}),
    unary({.name = "round", .doc = "nearest integer, ties to even", .dtypes = numeric, .gradient = zero_gradient}),
    unary({.name = "trunc", .doc = "x without its fraction", .dtypes = numeric, .gradient = zero_gradient}),
    predicate({.name = "isnan", .doc = "is it NaN", .dtypes = floats}),
    predicate({.name = "isinf", .doc = "is it an infinity", .dtypes = floats}),
    predicate({.name = "isfinite", .doc = "is it neither NaN nor an infinity", .dtypes = floats}),
    predicate({.name = "logical_not", .doc = "not, of bools", .dtypes = boolean}),
    bitwise({.name = "bitwise_not", .doc = "complement of the bits", .dtypes = integral}, 1),

    binary({.name = "add", .doc = "sum", .dtypes = numeric, .index_op = IndexOp::add, .commutative = true, .absent_is_nothing = true, .gradient = [](Gradient& d) {
        d.x(0) += d.g;
        d.x(1) += d.g;
    }}),
    binary({.name = "sub", .doc = "difference", .dtypes = numeric, .index_op = IndexOp::sub, .gradient = [](Gradient& d) {
        d.x(0) += d.g;
        d.x(1) += -d.g;
    }}),
    binary({.name = "mul", .doc = "product", .dtypes = numeric, .index_op = IndexOp::mul, .commutative = true, .gradient = [](Gradient& d) {
        d.x(0) += d.g * d.b;
        d.x(1) += d.g * d.a;
    }}),
    binary({.name = "div", .doc = "quotient", .dtypes = floats, .divides_exactly = true, .cost = 4, .gradient = [](Gradient& d) {    // d(a/b) = 1/b, −(a/b)/b
        d.x(0) += d.g / d.b;
        d.x(1) += -d.g * ((d.a / d.b) / d.b);  // not the result: it may be written, as in `y = a / b; y += 1`
    }}),
    binary({.name = "pow", .doc = "a to the power b; where b is 0 its gradient is 0, at a = 0 too", .dtypes = numeric, .cost = 16, .gradient = pow_gradient}),
    binary({.name = "maximum", .doc = "the larger, NaN passes", .dtypes = all, .index_op = IndexOp::maximum, .commutative = true, .gradient = [](Gradient& d) { extremum_gradient(d, op<"less">()); }}),
    binary({.name = "minimum", .doc = "the smaller, NaN passes", .dtypes = all, .index_op = IndexOp::minimum, .commutative = true, .gradient = [](Gradient& d) { extremum_gradient(d, op<"greater">()); }}),
    binary({.name = "floor_divide", .doc = "quotient rounded down", .dtypes = numeric, .index_op = IndexOp::floor_divide, .may_fail = true, .cost = 4, .gradient = [](Gradient& d) {
        d.x(0) += d.zero();
        d.x(1) += d.zero();
    }}),
    binary({.name = "remainder", .doc = "a - b * floor(a / b): the sign of b", .dtypes = numeric, .index_op = IndexOp::remainder, .may_fail = true, .cost = 4, .gradient = [](Gradient& d) {
        d.x(0) += d.g;
        d.x(1) += -d.g * apply(op<"floor_divide">(), {d.a, d.b});
    }}),
    binary({.name = "fmod", .doc = "a - b * trunc(a / b): the sign of a", .dtypes = numeric, .may_fail = true, .cost = 4, .gradient = [](Gradient& d) {
        d.x(0) += d.g;
        d.x(1) += -d.g * call(op<"trunc">(), d.a / d.b);
    }}),
    binary({.name = "atan2", .doc = "angle of the point (b, a); at (0, 0) its gradient is 0", .dtypes = floats, .cost = 16, .gradient = atan2_gradient}),
    comparison({.name = "equal", .doc = "a == b", .commutative = true}),
    comparison({.name = "not_equal", .doc = "a != b", .commutative = true}),
    comparison({.name = "less", .doc = "a < b"}),
    comparison({.name = "less_equal", .doc = "a <= b"}),
    comparison({.name = "greater", .doc = "a > b"}),
    comparison({.name = "greater_equal", .doc = "a >= b"}),
    bitwise({.name = "logical_and", .doc = "and, of bools", .dtypes = boolean, .commutative = true}, 2),
    bitwise({.name = "logical_or", .doc = "or, of bools", .dtypes = boolean, .commutative = true}, 2),
    bitwise({.name = "logical_xor", .doc = "exclusive or, of bools", .dtypes = boolean, .commutative = true}, 2),
    bitwise({.name = "bitwise_and", .doc = "and, bit by bit", .dtypes = integral, .commutative = true}, 2),
    bitwise({.name = "bitwise_or", .doc = "or, bit by bit", .dtypes = integral, .commutative = true}, 2),
    bitwise({.name = "bitwise_xor", .doc = "exclusive or, bit by bit", .dtypes = integral, .commutative = true}, 2),
    bitwise({.name = "shift_left", .doc = "a * 2**b", .dtypes = integers}, 2),
    bitwise({.name = "shift_right", .doc = "a // 2**b", .dtypes = integers}, 2),
    drawn({.name = "random_word", .doc = "32 random bits, from (key, offset, position)", .cost = 48}),
    drawn({.name = "random_bits", .doc = "63 random bits, from (key, offset, position)", .cost = 96}),
    elementwise_row({.name = "where", .doc = "b where a is true, else c", .result = where_rule, .conditions = 1, .gradient = [](Gradient& d) {
        d.x(1) += where(d.a, d.g, 0);
        d.x(2) += where(d.a, 0, d.g);
    }}, 3),
    elementwise_row({.name = "cast", .doc = "the same numbers in another dtype", .result = cast_rule, .converts = true, .gradient = [](Gradient& d) {
        if (is_float(d.type(0).dtype)) d.x(0) += d.cast(d.g, d.type(0).dtype);
    }}, 1),
};
// clang-format on

}  // namespace

std::span<const Row> elementwise_rows() { return elementwise_table; }

}  // namespace tenon
