// A scalar definition as a program gives the bits of the definition itself, and is short: code of every kernel that uses it.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "ir/scalar/functions.h"
#include "ir/scalar/number.h"
#include "ir/scalar/program.h"

namespace tenon::scalar {
namespace {

template <class T>
uint64_t bits_from(T value) {
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    return bits;
}

// A NaN is one value, whatever its bits.
template <class V>
std::pair<uint64_t, bool> result_of(V value) {
    if constexpr (std::is_same_v<V, bool>) return {value, false};
    else return {bits_from(value.value), value.value != value.value};
}

template <class T>
T any_element(std::mt19937_64& random, int turn) {
    const uint64_t bits = random();
    const double special[] = {0.0, -0.0, 1, -1, 0.5, INFINITY, -INFINITY, NAN, 1e-310, 1e-40, 1e6, -3e7, 1e300, 127, 3};
    if constexpr (std::is_floating_point_v<T>) {
        if (turn % 3 == 0) return T(special[bits % std::size(special)]);
        if (turn % 3 == 1) return T((double(bits >> 11) * 0x1p-53 - 0.5) * std::pow(10.0, turn % 10));
    }
    T value;
    std::memcpy(&value, &bits, sizeof value);
    if constexpr (std::is_integral_v<T>) {
        if (turn % 2) return T(value % 9);
    }
    return value;
}

struct Check {
    template <class F, class T>
    void of(DType dtype) const {
        if constexpr (F::is.arity < 3 && is_in<T>(F::is.domain)) {
            const std::optional<Program> program = program_of(F::is.name, dtype);
            ASSERT_TRUE(program) << F::is.name << " of " << name_of(dtype);
            std::mt19937_64 random(5);
            for (int turn = 0; turn < 600; ++turn) {
                const T a = any_element<T>(random, turn), b = any_element<T>(random, turn / 3);
                const Number<T> x{a}, y{b};
                const auto [want, is_nan] = [&] {
                    if constexpr (F::is.arity == 1) {
                        return result_of(F::of(x));
                    } else {
                        return result_of(F::of(x, y));
                    }
                }();
                const uint64_t operands[] = {bits_from(a), bits_from(b)};
                const uint64_t got = evaluate(*program, operands);
                ASSERT_TRUE(got == want || is_nan)
                    << F::is.name << " of " << name_of(dtype) << ": " << double(a) << ", " << double(b);
                if constexpr (CanFault<F, Number<T>>) {
                    ASSERT_EQ(evaluate(*fault_of(F::is.name, dtype), operands) != 0, F::fault(x, y)) << F::is.name;
                }
            }
        }
    }
    template <class F>
    void operator()() const {
        of<F, double>(DType::f64);
        of<F, float>(DType::f32);
        of<F, int64_t>(DType::i64);
        of<F, int32_t>(DType::i32);
        of<F, int16_t>(DType::i16);
        of<F, int8_t>(DType::i8);
        of<F, uint8_t>(DType::u8);
    }
};

TEST(ScalarPrograms, GiveTheBitsOfTheDefinition) { for_each_function(Check{}); }

TEST(ScalarPrograms, CastsGiveTheBitsOfTheRuntimes) {
    std::mt19937_64 random(6);
    for (int from = 0; from < dtype_count; ++from)
        for (int to = 0; to < dtype_count; ++to)
            visit_dtype(DType(from), [&]<class From>() {
                visit_dtype(DType(to), [&]<class To>() {
                    if constexpr (sizeof(From) != 2 && sizeof(To) != 2 && !std::is_same_v<From, bool>) {
                        const Program program = cast_program(DType(from), DType(to));
                        for (int turn = 0; turn < 300; ++turn) {
                            const From x = any_element<From>(random, turn);
                            const uint64_t operand = bits_from(x);
                            const To want = tenon::convert<To>(x);
                            if constexpr (std::is_floating_point_v<To>)
                                if (want != want) continue;
                            ASSERT_EQ(evaluate(program, {&operand, 1}), bits_from(want))
                                << double(x) << " from " << name_of(DType(from)) << " to " << name_of(DType(to));
                        }
                    }
                });
            });
}

// What is long, and rarely needed, is a helper function: called, and no part of the kernel.
TEST(ScalarPrograms, AreShort) {
    for (const Function* function : all_functions())
        for (int d = 0; d < dtype_count; ++d)
            if (const auto program = program_of(function->name, DType(d)); program && !function->is_helper) {
                EXPECT_LE(program->steps.size(), 200u)
                    << function->name << " of " << name_of(DType(d)) << ": part it with `rarely` or `apart`";
            }
}

}  // namespace
}  // namespace tenon::scalar
