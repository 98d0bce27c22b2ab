// Elementwise ops: one element of the result from one element of each operand; shapes broadcast as in NumPy.
// The scalar function is the one of the same name in ir/scalar/. The family un-broadcasts gradients (ir/gradient.cpp).
#include <cmath>
#include <numbers>

#include "ir/gradient.h"
#include "ir/ops/tables.h"

namespace tenon {

namespace {

enum class Result { same, boolean };

// Operands are tensors that broadcast, or (at the loop level) scalars and literals, or indices; dtypes are equal.
TypeId elementwise(Infer& i, size_t first, Result result) {
    const Row& r = row(find_op(i.op));
    const Type& model = i.type(first);
    for (size_t k = first; k < i.operands.size(); ++k) {
        const Type& t = i.type(k);
        if (t.kind == Type::Kind::index) continue;
        if (t.kind != Type::Kind::tensor && t.kind != Type::Kind::scalar)
            i.fail("type", std::string(i.op) + " takes tensors, but operand " + std::to_string(k) + " is " +
                               i.show(i.operands[k]));
        if (!admits(r.dtypes, t.dtype))
            i.fail("dtype",
                   std::string(i.op) + " needs " + std::string(describe(r.dtypes)) + ", but operand " +
                       std::to_string(k) + " is " + std::string(name_of(t.dtype)),
                   is_float(t.dtype) ? "cast it first, for example `x.to(i64)`"
                                     : "cast it first, for example `x.to(f32)`");
        if (t.dtype != model.dtype)
            i.fail("dtype",
                   std::string(i.op) + " needs operands of one dtype, but they are " +
                       std::string(name_of(model.dtype)) + " and " + std::string(name_of(t.dtype)),
                   "cast one of them with `x.to(dtype)`");
    }
    size_t rank = 0;
    bool scalar = false, index = false;
    for (size_t k = 0; k < i.operands.size(); ++k) {
        scalar |= i.type(k).kind == Type::Kind::scalar;
        index |= i.type(k).kind == Type::Kind::index;
        rank = std::max(rank, i.type(k).sizes.size());
    }
    const DType dtype = result == Result::boolean ? DType::boolean : model.dtype;
    if (index && result == Result::same) return i.context.index();
    if (scalar || index) return i.context.scalar(dtype);
    std::vector<SizeId> sizes(rank, SizeId(1));
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
TypeId boolean(Infer& i) { return elementwise(i, 0, Result::boolean); }
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

constexpr Row unary(std::string_view name, std::string_view doc, DTypes dtypes, double ulp, GradientRule gradient) {
    return {name,     doc, Level::any,       Effect::none, 1,  1,   dtypes, same,
            gradient, {},  Lowering::scalar, nullptr,      {}, ulp, false};
}
constexpr Row predicate(std::string_view name, std::string_view doc, DTypes dtypes) {
    return {name,    doc,     Level::any,           Effect::none,     1,       1,  dtypes,
            boolean, nullptr, "its result is bool", Lowering::scalar, nullptr, {}, 0,
            false};
}
constexpr Row binary(std::string_view name, std::string_view doc, DTypes dtypes, double ulp, GradientRule gradient,
                     bool commutes = false, std::string_view why_none = {}) {
    return {name,     doc,      Level::any,       Effect::none, 2,  2,   dtypes,  same,
            gradient, why_none, Lowering::scalar, nullptr,      {}, ulp, commutes};
}
constexpr Row comparison(std::string_view name, std::string_view doc, bool commutes = false) {
    return {name,    doc,     Level::any,           Effect::none,     2,       2,  DTypes::all,
            boolean, nullptr, "its result is bool", Lowering::scalar, nullptr, {}, 0,
            commutes};
}
constexpr Row bitwise(std::string_view name, std::string_view doc, DTypes dtypes, bool commutes) {
    return binary(name, doc, dtypes, 0, nullptr, commutes, "integers and bools have no gradient");
}

Term call(Op o, const Term& x) { return apply(o, {x}); }
Term where(const Term& c, const Term& x, const Term& y) { return apply(op<"where">(), {c, x, y}); }

void zero_gradient(Gradient& d) { d.x(0) += d.zero_like(0); }  // piecewise constant

// Of equal elements each takes half, as PyTorch does; NaN passes the cotangent to the first operand.
void extremum_gradient(Gradient& d, Op loses) {
    const auto share = [&](const Term& mine, const Term& other) {
        return where(apply(op<"equal">(), {mine, other}), d.g / 2, where(apply(loses, {mine, other}), 0, d.g));
    };
    d.x(0) += share(d.a, d.b);
    d.x(1) += share(d.b, d.a);
}

// clang-format off
const Row rows[] = {
    unary("neg", "negation", DTypes::numeric, 0, [](Gradient& d) { d.x(0) += -d.g; }),
    unary("abs", "absolute value", DTypes::numeric, 0, [](Gradient& d) { d.x(0) += d.g * call(op<"sign">(), d.a); }),
    unary("sign", "-1, 0 or 1", DTypes::numeric, 0, zero_gradient),
    unary("exp", "e to the power x", DTypes::floats, 2, [](Gradient& d) { d.x(0) += d.g * d.y; }),
    unary("exp2", "2 to the power x", DTypes::floats, 2, [](Gradient& d) { d.x(0) += d.g * (d.y * std::numbers::ln2); }),
    unary("expm1", "e to the power x, less 1", DTypes::floats, 2, [](Gradient& d) { d.x(0) += d.g * (d.y + 1); }),
    unary("log", "natural logarithm", DTypes::floats, 2, [](Gradient& d) { d.x(0) += d.g / d.a; }),
    unary("log2", "logarithm to base 2", DTypes::floats, 2, [](Gradient& d) { d.x(0) += d.g / (d.a * std::numbers::ln2); }),
    unary("log1p", "natural logarithm of 1 + x", DTypes::floats, 2, [](Gradient& d) { d.x(0) += d.g / (d.a + 1); }),
    unary("sqrt", "square root", DTypes::floats, 0, [](Gradient& d) { d.x(0) += d.g / (d.y * 2); }),
    unary("rsqrt", "1 / sqrt(x)", DTypes::floats, 1.5, [](Gradient& d) { d.x(0) += d.g * (d.y * d.y * d.y * -0.5); }),    // d x^(-1/2) = -1/2 x^(-3/2)
    unary("reciprocal", "1 / x", DTypes::floats, 0, [](Gradient& d) { d.x(0) += -(d.g * (d.y * d.y)); }),
    unary("square", "x * x", DTypes::numeric, 0, [](Gradient& d) { d.x(0) += d.g * (d.a * 2); }),
    unary("sin", "sine", DTypes::floats, 2, [](Gradient& d) { d.x(0) += d.g * call(op<"cos">(), d.a); }),
    unary("cos", "cosine", DTypes::floats, 2, [](Gradient& d) { d.x(0) += d.g * -call(op<"sin">(), d.a); }),
    unary("tan", "tangent", DTypes::floats, 3, [](Gradient& d) { d.x(0) += d.g * (1 + d.y * d.y); }),
    unary("sinh", "hyperbolic sine", DTypes::floats, 3, [](Gradient& d) { d.x(0) += d.g * call(op<"cosh">(), d.a); }),
    unary("cosh", "hyperbolic cosine", DTypes::floats, 3, [](Gradient& d) { d.x(0) += d.g * call(op<"sinh">(), d.a); }),
    unary("tanh", "hyperbolic tangent", DTypes::floats, 2, [](Gradient& d) { d.x(0) += d.g * (1 - d.y * d.y); }),    // d tanh = 1 − tanh²
    unary("asin", "inverse sine", DTypes::floats, 3, [](Gradient& d) { d.x(0) += d.g * call(op<"rsqrt">(), 1 - d.a * d.a); }),
    unary("acos", "inverse cosine", DTypes::floats, 3, [](Gradient& d) { d.x(0) += d.g * -call(op<"rsqrt">(), 1 - d.a * d.a); }),
    unary("atan", "inverse tangent", DTypes::floats, 3, [](Gradient& d) { d.x(0) += d.g / (1 + d.a * d.a); }),
    unary("erf", "error function", DTypes::floats, 2, [](Gradient& d) {    // d erf = 2/√π · exp(−x²)
        d.x(0) += d.g * (call(op<"exp">(), -(d.a * d.a)) * (2 * std::numbers::inv_sqrtpi));
    }),
    unary("erfc", "1 - erf(x)", DTypes::floats, 3, [](Gradient& d) {
        d.x(0) += d.g * (call(op<"exp">(), -(d.a * d.a)) * (-2 * std::numbers::inv_sqrtpi));
    }),
    unary("sigmoid", "1 / (1 + exp(-x))", DTypes::floats, 2, [](Gradient& d) { d.x(0) += d.g * (d.y * (1 - d.y)); }),
    unary("relu", "max(x, 0), NaN passes", DTypes::numeric, 0, [](Gradient& d) {
        d.x(0) += where(apply(op<"greater">(), {d.y, 0}), d.g, 0);
    }),
    unary("floor", "largest integer not above x", DTypes::numeric, 0, zero_gradient),
    unary("ceil", "smallest integer not below x", DTypes::numeric, 0, zero_gradient),
    unary("round", "nearest integer, ties to even", DTypes::numeric, 0, zero_gradient),
    unary("trunc", "x without its fraction", DTypes::numeric, 0, zero_gradient),
    predicate("isnan", "is it NaN", DTypes::floats),
    predicate("isinf", "is it an infinity", DTypes::floats),
    predicate("isfinite", "is it neither NaN nor an infinity", DTypes::floats),
    predicate("logical_not", "not, of bools", DTypes::boolean),
    {"bitwise_not", "complement of the bits", Level::any, Effect::none, 1, 1, DTypes::integral, same, nullptr,
     "integers and bools have no gradient", Lowering::scalar, nullptr, {}, 0, false},

    binary("add", "sum", DTypes::numeric, 0, [](Gradient& d) {
        d.x(0) += d.g;
        d.x(1) += d.g;
    }, true),
    binary("sub", "difference", DTypes::numeric, 0, [](Gradient& d) {
        d.x(0) += d.g;
        d.x(1) += -d.g;
    }),
    binary("mul", "product", DTypes::numeric, 0, [](Gradient& d) {
        d.x(0) += d.g * d.b;
        d.x(1) += d.g * d.a;
    }, true),
    binary("div", "quotient", DTypes::floats, 0, [](Gradient& d) {    // d(a/b) = 1/b, −(a/b)/b
        d.x(0) += d.g / d.b;
        d.x(1) += -d.g * (d.y / d.b);
    }),
    binary("pow", "a to the power b", DTypes::numeric, 2, [](Gradient& d) {
        // d a^b = b·a^(b−1), 0 where b is 0; a^b·log a, 0 where a is 0 and b is not negative
        const Term slope = d.b * apply(op<"pow">(), {d.a, d.b - 1});
        d.x(0) += d.g * (d.literal(1) ? slope : where(apply(op<"equal">(), {d.b, 0}), 0, slope));
        const Term zero = apply(op<"logical_and">(), {apply(op<"equal">(), {d.a, 0}), apply(op<"greater_equal">(), {d.b, 0})});
        d.x(1) += d.g * where(zero, 0, d.y * call(op<"log">(), d.a));
    }),
    binary("maximum", "the larger, NaN passes", DTypes::all, 0, [](Gradient& d) { extremum_gradient(d, op<"less">()); }, true),
    binary("minimum", "the smaller, NaN passes", DTypes::all, 0, [](Gradient& d) { extremum_gradient(d, op<"greater">()); }, true),
    failing(binary("floor_divide", "quotient rounded down", DTypes::numeric, 1, [](Gradient& d) {
        d.x(0) += d.zero_like(0);
        d.x(1) += d.zero_like(1);
    })),
    failing(binary("remainder", "a - b * floor(a / b): the sign of b", DTypes::numeric, 1, [](Gradient& d) {
        d.x(0) += d.g;
        d.x(1) += -d.g * apply(op<"floor_divide">(), {d.a, d.b});
    })),
    failing(binary("fmod", "a - b * trunc(a / b): the sign of a", DTypes::numeric, 0, [](Gradient& d) {
        d.x(0) += d.g;
        d.x(1) += -d.g * call(op<"trunc">(), d.a / d.b);
    })),
    binary("atan2", "angle of the point (b, a)", DTypes::floats, 3, [](Gradient& d) {    // d = b/(a²+b²), −a/(a²+b²)
        d.x(0) += d.g * (d.b / (d.a * d.a + d.b * d.b));
        d.x(1) += d.g * -(d.a / (d.a * d.a + d.b * d.b));
    }),
    comparison("equal", "a == b", true),
    comparison("not_equal", "a != b", true),
    comparison("less", "a < b"),
    comparison("less_equal", "a <= b"),
    comparison("greater", "a > b"),
    comparison("greater_equal", "a >= b"),
    bitwise("logical_and", "and, of bools", DTypes::boolean, true),
    bitwise("logical_or", "or, of bools", DTypes::boolean, true),
    bitwise("logical_xor", "exclusive or, of bools", DTypes::boolean, true),
    bitwise("bitwise_and", "and, bit by bit", DTypes::integral, true),
    bitwise("bitwise_or", "or, bit by bit", DTypes::integral, true),
    bitwise("bitwise_xor", "exclusive or, bit by bit", DTypes::integral, true),
    bitwise("shift_left", "a * 2**b", DTypes::integers, false),
    bitwise("shift_right", "a // 2**b", DTypes::integers, false),
    {"where", "b where a is true, else c", Level::any, Effect::none, 3, 3, DTypes::all, where_rule,
     [](Gradient& d) {
         d.x(1) += where(d.a, d.g, 0);
         d.x(2) += where(d.a, 0, d.g);
     },
     {}, Lowering::scalar, nullptr, {}, 0, false},
    {"cast", "the same numbers in another dtype", Level::any, Effect::none, 1, 1, DTypes::all, cast_rule,
     [](Gradient& d) {
         if (is_float(d.type(0).dtype)) d.x(0) += d.cast(d.g, d.type(0).dtype);
     },
     {}, Lowering::scalar, nullptr, {}, 0, false},
};
// clang-format on

}  // namespace

std::span<const Row> elementwise_rows() { return rows; }

}  // namespace tenon
