// Every unary float function in f32 against its f64 definition (which scalar_accuracy_test holds against long double):
// within the error budget of its row, and the same bits from the AVX2 and the AVX-512 build.
//
// All 2^32 inputs take some minutes: TENON_EVERY_INPUT=1 asks for them. Otherwise each 4,093rd is tried.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "ir/row.h"
#include "jit/routines/routines.h"

namespace tenon {
namespace {

constexpr int64_t block = 4096;

// |got − exact| in units of the last place of exact as f32; infinite where a NaN, an infinity or the sign of a zero is
// missed. `exact` is a double, itself off by some 2^−29 of such a unit.
double error_in_ulp(float got, double exact) {
    constexpr double wrong = std::numeric_limits<double>::infinity();
    if (std::isnan(exact)) return std::isnan(got) ? 0 : wrong;
    const auto rounded = static_cast<float>(exact);
    if (std::isinf(rounded) || std::isinf(got)) return rounded == got ? 0 : wrong;
    if (exact == 0) return got == 0 && std::signbit(got) == std::signbit(exact) ? 0 : wrong;
    const int exponent = std::max(int(std::bit_cast<uint64_t>(exact) >> 52 & 2047) - 1023, -126);
    const double unit = std::bit_cast<double>(uint64_t(exponent - 23 + 1023) << 52);
    return std::fabs(double(got) - exact) / unit;
}

class EveryInput : public ::testing::TestWithParam<const Row*> {};

TEST_P(EveryInput, StaysWithinItsBudget) {
    const Row& row = *GetParam();
    const Routine& single = *find_routine(row.name, DType::f32, best_instruction_set());
    const Routine& twofold = *find_routine(row.name, DType::f64, best_instruction_set());
    const Routine* other = find_routine(row.name, DType::f32, InstructionSet::avx2);
    const bool all = std::getenv("TENON_EVERY_INPUT") != nullptr;
    const uint64_t step = all ? 1 : 4093;

    std::vector<float> x(block), y(block), z(block);
    std::vector<double> wide(block), exact(block);
    double worst = 0;
    float worst_at = 0;
    for (uint64_t first = 0; first < uint64_t{1} << 32; first += step * block) {
        for (int64_t i = 0; i < block; ++i) {
            x[size_t(i)] = std::bit_cast<float>(uint32_t(first + step * uint64_t(i)));
            wide[size_t(i)] = x[size_t(i)];
        }
        single(y.data(), x.data(), block);
        twofold(exact.data(), wide.data(), block);
        if (other) {
            (*other)(z.data(), x.data(), block);
            for (int64_t i = 0; i < block; ++i) {
                const bool both_nan = std::isnan(y[size_t(i)]) && std::isnan(z[size_t(i)]);
                ASSERT_TRUE(both_nan || std::bit_cast<uint32_t>(y[size_t(i)]) == std::bit_cast<uint32_t>(z[size_t(i)]))
                    << row.name << "(" << x[size_t(i)] << ") differs between instruction sets";
            }
        }
        for (int64_t i = 0; i < block; ++i) {
            const double error = error_in_ulp(y[size_t(i)], exact[size_t(i)]);
            if (error > worst) {
                worst = error;
                worst_at = x[size_t(i)];
            }
        }
    }
    // What rounds correctly is half a unit off.
    const double budget = row.ulp == 0 ? 0.5 : row.ulp;
    EXPECT_LE(worst, budget + 1e-6) << row.name << "(" << worst_at << ")";
    if (all) std::printf("%.*s: %.3f ulp at %a\n", int(row.name.size()), row.name.data(), worst, double(worst_at));
}

std::vector<const Row*> unary_float_rows() {
    std::vector<const Row*> found;
    for (const Row& row : all_rows()) {
        if (row.lowering != Lowering::scalar || row.min_operands != 1 || row.max_operands != 1) continue;
        const Routine* single = find_routine(row.name, DType::f32, best_instruction_set());
        if (single && single->out == DType::f32) found.push_back(&row);
    }
    return found;
}

INSTANTIATE_TEST_SUITE_P(Rows, EveryInput, ::testing::ValuesIn(unary_float_rows()),
                         [](const auto& info) { return std::string(info.param->name); });

}  // namespace
}  // namespace tenon
