// Every elementwise function by name: the table behind rows whose lowering is `scalar`.
//
// X(name, arity, Struct, domain, result). `name` is the op row's. `Struct::of(V…)` is the definition; where the result
// is `boolean` it returns V's mask, otherwise V. `where` takes (mask, V, V). Functions that can fail on integers also
// have `Struct::fault(V…)`, a mask of the lanes whose operands are an error (division by zero).
// f16 and bf16 have no definitions of their own: computed in f32 and rounded after every op.
#pragma once
#include "ir/scalar/arithmetic.h"
#include "ir/scalar/cast.h"
#include "ir/scalar/error_function.h"
#include "ir/scalar/exponential.h"
#include "ir/scalar/hyperbolic.h"
#include "ir/scalar/trigonometric.h"

// clang-format off
#define TENON_SCALAR_FUNCTIONS(X)                             \
    X("add",           2, Add,          numbers,  same)       \
    X("sub",           2, Sub,          numbers,  same)       \
    X("mul",           2, Mul,          numbers,  same)       \
    X("div",           2, Div,          floats,   same)       \
    X("floor_divide",  2, FloorDivide,  numbers,  same)       \
    X("remainder",     2, Remainder,    numbers,  same)       \
    X("fmod",          2, Fmod,         numbers,  same)       \
    X("pow",           2, Pow,          numbers,  same)       \
    X("maximum",       2, Maximum,      all,      same)       \
    X("minimum",       2, Minimum,      all,      same)       \
    X("neg",           1, Neg,          numbers,  same)       \
    X("abs",           1, Abs,          numbers,  same)       \
    X("sign",          1, Sign,         numbers,  same)       \
    X("square",        1, Square,       numbers,  same)       \
    X("relu",          1, Relu,         numbers,  same)       \
    X("reciprocal",    1, Reciprocal,   floats,   same)       \
    X("sqrt",          1, Sqrt,         floats,   same)       \
    X("rsqrt",         1, Rsqrt,        floats,   same)       \
    X("floor",         1, Floor,        numbers,  same)       \
    X("ceil",          1, Ceil,         numbers,  same)       \
    X("round",         1, Round,        numbers,  same)       \
    X("trunc",         1, Trunc,        numbers,  same)       \
    X("exp",           1, Exp,          floats,   same)       \
    X("exp2",          1, Exp2,         floats,   same)       \
    X("expm1",         1, Expm1,        floats,   same)       \
    X("log",           1, Log,          floats,   same)       \
    X("log2",          1, Log2,         floats,   same)       \
    X("log1p",         1, Log1p,        floats,   same)       \
    X("sin",           1, Sin,          floats,   same)       \
    X("cos",           1, Cos,          floats,   same)       \
    X("tan",           1, Tan,          floats,   same)       \
    X("asin",          1, Asin,         floats,   same)       \
    X("acos",          1, Acos,         floats,   same)       \
    X("atan",          1, Atan,         floats,   same)       \
    X("atan2",         2, Atan2,        floats,   same)       \
    X("sinh",          1, Sinh,         floats,   same)       \
    X("cosh",          1, Cosh,         floats,   same)       \
    X("tanh",          1, Tanh,         floats,   same)       \
    X("sigmoid",       1, Sigmoid,      floats,   same)       \
    X("erf",           1, Erf,          floats,   same)       \
    X("erfc",          1, Erfc,         floats,   same)       \
    X("isnan",         1, IsNan,        numbers,  boolean)    \
    X("isinf",         1, IsInf,        numbers,  boolean)    \
    X("isfinite",      1, IsFinite,     numbers,  boolean)    \
    X("less",          2, Less,         all,      boolean)    \
    X("less_equal",    2, LessEqual,    all,      boolean)    \
    X("greater",       2, Greater,      all,      boolean)    \
    X("greater_equal", 2, GreaterEqual, all,      boolean)    \
    X("equal",         2, Equal,        all,      boolean)    \
    X("not_equal",     2, NotEqual,     all,      boolean)    \
    X("logical_and",   2, LogicalAnd,   all,      boolean)    \
    X("logical_or",    2, LogicalOr,    all,      boolean)    \
    X("logical_xor",   2, LogicalXor,   all,      boolean)    \
    X("logical_not",   1, LogicalNot,   all,      boolean)    \
    X("bitwise_and",   2, BitwiseAnd,   integral, same)       \
    X("bitwise_or",    2, BitwiseOr,    integral, same)       \
    X("bitwise_xor",   2, BitwiseXor,   integral, same)       \
    X("bitwise_not",   1, BitwiseNot,   integral, same)       \
    X("shift_left",    2, ShiftLeft,    integers, same)       \
    X("shift_right",   2, ShiftRight,   integers, same)       \
    X("where",         3, Where,        all,      same)
// clang-format on

namespace tenon::scalar {

// Which elements a function is defined on: f32 and f64; f32, f64 and the integers; the integers; the integers and bool;
// all of them. A bool beside `same` is a uint8_t that is 0 or 1.
enum class Domain : uint8_t { floats, numbers, integers, integral, all };
enum class Result : uint8_t { same, boolean };

template <class T>
constexpr bool is_in(Domain domain) {
    return domain == Domain::all || domain == Domain::numbers ||
           (domain == Domain::floats ? std::is_floating_point_v<T> : std::is_integral_v<T>);
}

// The domain and the result of a function, by its struct.
template <class F> inline constexpr Domain domain_of = Domain::all;
template <class F> inline constexpr Result result_of = Result::same;
#define TENON_DESCRIBE(name, arity, Struct, domain, result)                 \
    template <> inline constexpr Domain domain_of<Struct> = Domain::domain; \
    template <> inline constexpr Result result_of<Struct> = Result::result;
TENON_SCALAR_FUNCTIONS(TENON_DESCRIBE)
#undef TENON_DESCRIBE

// Calls f.template operator()<Struct>(name, arity, domain, result) for every function.
template <class F>
constexpr void for_each_scalar(F&& f) {
#define TENON_VISIT(name, arity, Struct, domain, result) \
    f.template operator()<Struct>(name, arity, Domain::domain, Result::result);
    TENON_SCALAR_FUNCTIONS(TENON_VISIT)
#undef TENON_VISIT
}

}  // namespace tenon::scalar
