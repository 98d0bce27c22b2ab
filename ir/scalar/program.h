// A scalar definition as a list of steps: what LLVM and CUDA translate, and what folds literals. Made by running the
// definition once on values that write down what is done to them.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ir/scalar/function.h"
#include "runtime/dtype.h"

namespace tenon::scalar {

/// What a step computes: an element of the algebra, or a truth value.
enum class Lane : uint8_t { f64, f32, i64, i32, i16, i8, u64, u32, u16, u8, mask };
constexpr bool holds_float(Lane lane) { return lane <= Lane::f32; }
constexpr bool holds_sign(Lane lane) { return lane <= Lane::i8; }
constexpr int bytes_of(Lane lane) {
    constexpr int bytes[] = {8, 4, 8, 4, 2, 1, 8, 4, 2, 1, 1};
    return bytes[int(lane)];
}

/// As ir/scalar/algebra.h has them.
enum class Code : uint8_t {
    // clang-format off
    parameter, constant,
    add, sub, mul, div, neg, quotient,
    bit_and, bit_or, bit_xor, bit_not, shift_left, shift_right,
    less, less_equal, greater, greater_equal, equal, not_equal,
    select, fma, sqrt, abs, floor, ceil, trunc, round_even,
    bits, float_bits, convert, scaled,
    rarely, apart,
    // clang-format on
};

struct Step {
    Code code;
    Lane lane;                         // of the result; of masks, the bitwise codes are the logical ones
    uint16_t a = 0, b = 0, c = 0, d = 0;  // the steps that are operands
    uint64_t bits = 0;                 // of a constant
    const Function* callee = nullptr;  // rarely(a, b): callee(c, d); apart: callee(a, b)

    friend bool operator==(const Step&, const Step&) = default;
};

struct Program {
    std::vector<Step> steps;  // the first `arity` are the parameters
    int arity = 0;
    uint16_t result = 0;

    Lane lane() const { return steps[result].lane; }
};

/// How a dtype takes part in arithmetic: f16 and bf16 as f32, bool as a u8 that is 0 or 1.
constexpr Lane lane_of(DType dtype) {
    constexpr Lane lanes[dtype_count] = {Lane::f64, Lane::f32, Lane::f32, Lane::f32, Lane::i64,
                                         Lane::i32, Lane::i16, Lane::i8,  Lane::u8,  Lane::u8};
    return lanes[size_t(dtype)];
}

/// visit.operator()<T>() for the type of a lane of a dtype's arithmetic.
template <class Visit> auto visit_arithmetic(Lane lane, Visit visit) {
    switch (lane) {
        case Lane::f64: return visit.template operator()<double>();
        case Lane::f32: return visit.template operator()<float>();
        case Lane::i64: return visit.template operator()<int64_t>();
        case Lane::i32: return visit.template operator()<int32_t>();
        case Lane::i16: return visit.template operator()<int16_t>();
        case Lane::i8: return visit.template operator()<int8_t>();
        default: return visit.template operator()<uint8_t>();
    }
}

/// What the function of that name says of itself; null where there is none.
const Function* find_function(std::string_view name);
std::vector<const Function*> all_functions();

/// The definition for operands of a dtype, not yet rounded to it; nothing where the function has none.
std::optional<Program> program_of(std::string_view name, DType);
/// The mask of operands that are an error; nothing where there are none.
std::optional<Program> fault_of(std::string_view name, DType);
/// What of the definition is left for a first operand that is no NaN; nothing where NaNs do not win over all else.
std::optional<Program> of_numbers(std::string_view name, DType);
/// What a fold by the function begins with, as bits of the lane; nothing where it does not fold.
std::optional<uint64_t> identity_of(std::string_view name, DType);
/// Between different lanes; of `to` bool it is a mask.
Program cast_program(DType from, DType to);
/// f32 to the bits of bf16 in the low half of an i32, and back.
Program bfloat16_bits();
Program float_of_bfloat16();
/// What Code::scaled means, of its first and its last operand: for who has no instruction for it.
Program scaled_in_two_program(Lane);

/// The program's result for operands given as bits, as bits: those of every engine. Constant folding uses it.
uint64_t evaluate(const Program&, std::span<const uint64_t> operands);

}  // namespace tenon::scalar
