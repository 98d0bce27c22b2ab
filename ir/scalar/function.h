// What a scalar function says of itself, beside its definition. All tables of functions are made from it: the routines
// of the block interpreter, the programs that LLVM and CUDA translate, the error bounds that tests hold them to.
//
//   struct Tanh {
//       static constexpr Function is = unary("tanh", floats).within(2, 3);
//       template <class V> static V of(V x) { … }
//   };
//
// and Tanh in the list at the end of its header. `of` is the definition: it returns V's mask where the result is
// boolean, otherwise V; a choice takes (mask, V, V). Functions that can fail on integers also have `fault(V, V)`, a mask
// of the operands that are an error (division by zero). Functions that fold have `identity<T>`, what a fold begins with.
// Where a NaN of either operand wins, `of_numbers` is what is left of the definition for a first operand that is none: folds see
// to NaNs by themselves. `OnBool` names another definition for bool, which elsewhere is a uint8_t that is 0 or 1. f16 and bf16 have no definitions of their own: computed in f32 and rounded after every op.
#pragma once
#include <string_view>

#include "ir/scalar/algebra.h"

namespace tenon::scalar {

// Which elements a function is defined on: f32 and f64; f32, f64 and the integers; the integers; the integers and bool;
// all of them; i64.
enum class Domain : uint8_t { floats, numbers, integers, integral, all, counts };
enum class Result : uint8_t { same, boolean };
using enum Domain;

struct Function {
    std::string_view name;  // the op row's
    int arity;
    Domain domain;
    Result result = Result::same;
    double ulp = 0, ulp_f64 = 0;  // bounds of the error of f32 and f64; 0: correctly rounded
    bool is_exact = false;        // the result is an operand, its negation or a small integer: nothing to round
    bool computes_f64 = false;    // f32 is computed in f64: the interpreter's packs fill a register there
    bool is_large = false;        // the interpreter compiles it once, not again for operands of one element
    bool is_helper = false;       // of other functions, no row's: what they call rarely, or out of line
    bool is_choice = false;       // the first operand is a mask
    bool is_drawn = false;  // what neighbours share is computed once: machine code calls the interpreter's routine

    constexpr Function within(double f32, double f64) const {
        Function f = *this;
        f.ulp = f32;
        f.ulp_f64 = f64;
        return f;
    }
    constexpr Function exact() const { return with(&Function::is_exact); }
    constexpr Function through_f64() const { return with(&Function::computes_f64); }
    constexpr Function large() const { return with(&Function::is_large); }
    constexpr Function helper() const { return with(&Function::is_helper); }

private:
    constexpr Function with(bool Function::* flag) const {
        Function f = *this;
        f.*flag = true;
        return f;
    }
};

constexpr Function unary(std::string_view name, Domain domain) { return {name, 1, domain}; }
constexpr Function binary(std::string_view name, Domain domain) { return {name, 2, domain}; }
constexpr Function predicate(std::string_view name, Domain domain) { return {name, 1, domain, Result::boolean}; }
constexpr Function comparison_of(std::string_view name, Domain domain) { return {name, 2, domain, Result::boolean}; }
constexpr Function choice(std::string_view name, Domain domain) {
    Function f = Function{name, 3, domain}.exact();
    f.is_choice = true;
    return f;
}
constexpr Function drawn(std::string_view name) {
    Function f = Function{name, 3, Domain::counts}.exact();
    f.is_drawn = true;
    return f;
}

template <class T>
constexpr bool is_in(Domain domain) {
    if (domain == Domain::counts) return std::is_same_v<T, int64_t>;
    return domain == Domain::all || domain == Domain::numbers ||
           (domain == Domain::floats ? std::is_floating_point_v<T> : std::is_integral_v<T>);
}

// A family: the functions of one header.
template <class... F> struct Functions {};

template <class F, class V>
concept CanFault = std::is_integral_v<Element<V>> && requires(V v) { F::fault(v, v); };

template <class F, class V>
concept NaNsWin = is_float<V> && requires(V v) { F::of_numbers(v, v); };

// The ends of what an element holds.
template <class T> inline constexpr T highest = T(~uint64_t(0) >> (65 - 8 * sizeof(T) - std::is_unsigned_v<T>));
template <> inline constexpr float highest<float> = __builtin_inff();
template <> inline constexpr double highest<double> = __builtin_inf();
template <class T> inline constexpr T lowest = std::is_signed_v<T> ? T(-highest<T> - 1) : T(0);
template <> inline constexpr float lowest<float> = -__builtin_inff();
template <> inline constexpr double lowest<double> = -__builtin_inf();

template <class F, class T>
concept Folds = requires { F::template identity<T>; };

// The definition for bool.
template <class F> struct BoolDefinition {
    using Type = F;
};
template <class F>
    requires requires { typename F::OnBool; }
struct BoolDefinition<F> {
    using Type = typename F::OnBool;
};

}  // namespace tenon::scalar
