// Folds against a naive model of the numeric contract's order.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "jit/routines/routines.h"

namespace tenon {
namespace {

std::vector<InstructionSet> instruction_sets() {
    if (best_instruction_set() == InstructionSet::avx2) return {InstructionSet::avx2};
    return {InstructionSet::avx2, InstructionSet::avx512};
}

// The contract, word by word: chunks of 1,024; element k in lane k mod 32; lane i with lane i + w; the same over the
// chunk results.
template <class T, class F>
T lanes_model(std::vector<T> x, T identity, F f) {
    do {
        std::vector<T> results;
        for (size_t start = 0; start < x.size(); start += 1024) {
            std::vector<T> lanes(32, identity);
            for (size_t k = start; k < std::min(start + 1024, x.size()); ++k)
                lanes[(k - start) % 32] = f(lanes[(k - start) % 32], x[k]);
            for (size_t w : {16, 8, 4, 2, 1}) {
                for (size_t i = 0; i < w; ++i) lanes[i] = f(lanes[i], lanes[i + w]);
            }
            results.push_back(lanes[0]);
        }
        x = results;
    } while (x.size() > 1);
    return x[0];
}

template <class T, class F>
T rows_model(std::vector<T> x, T identity, F f) {
    do {
        std::vector<T> results;
        for (size_t start = 0; start < x.size(); start += 64) {
            T sum = identity;
            for (size_t k = start; k < std::min(start + 64, x.size()); ++k) sum = f(sum, x[k]);
            results.push_back(sum);
        }
        x = results;
    } while (x.size() > 1);
    return x[0];
}

template <class T>
std::vector<T> numbers(size_t n) {
    std::mt19937_64 random(n);
    std::vector<T> x(n);
    for (T& value : x)
        value = std::is_integral_v<T> ? T(random())
                                      : T((double(random() >> 11) * 0x1p-53 - 0.3) * std::exp2(double(random() % 20)));
    return x;
}

template <class T, class F>
void check_fold(const char* op, T identity, F f) {
    for (InstructionSet set : instruction_sets()) {
        const Fold* fold = find_fold(op, dtype_of<T>, set);
        ASSERT_NE(fold, nullptr);
        T got;
        fold->identity(&got);
        EXPECT_EQ(std::memcmp(&got, &identity, sizeof got), 0) << op;
        for (size_t n : {1, 2, 31, 32, 33, 1000, 1023, 1024, 1025, 5000, 65536, 1048576 + 1030}) {
            auto x = numbers<T>(n);
            fold->lanes(&got, x.data(), int64_t(n));
            T want = lanes_model<T>(x, identity, f);
            ASSERT_EQ(std::memcmp(&got, &want, sizeof got), 0) << op << " of " << n << " " << name_of(dtype_of<T>);
        }
        for (size_t rows : {1, 63, 64, 65, 200, 4096, 4100}) {
            for (size_t columns : {1, 5, 64, 67, 1023, 2100}) {
                if (rows * columns > 500000) continue;
                auto x = numbers<T>(rows * columns);
                std::vector<T> sums(columns + 1, T(5));
                fold->rows(sums.data(), x.data(), int64_t(rows), int64_t(columns), int64_t(columns));
                for (size_t j = 0; j < columns; ++j) {
                    std::vector<T> column(rows);
                    for (size_t i = 0; i < rows; ++i) column[i] = x[i * columns + j];
                    T want = rows_model<T>(column, identity, f);
                    ASSERT_EQ(std::memcmp(&sums[j], &want, sizeof want), 0)
                        << op << " of " << rows << " rows, column " << j << " of " << columns;
                }
                ASSERT_EQ(sums[columns], T(5));
            }
        }
    }
}

TEST(ScalarFolds, FollowTheContract) {
    auto add = [](auto a, auto b) { return a + b; };
    auto mul = [](auto a, auto b) { return a * b; };
    auto maximum = [](auto a, auto b) { return a > b ? a : b; };
    auto minimum = [](auto a, auto b) { return a < b ? a : b; };
    check_fold<float>("add", -0.0f, add);
    check_fold<double>("add", -0.0, add);
    check_fold<float>("mul", 1.0f, mul);
    check_fold<float>("maximum", -INFINITY, maximum);
    check_fold<double>("minimum", INFINITY, minimum);
    check_fold<int32_t>("add", 0, [](int32_t a, int32_t b) { return int32_t(uint32_t(a) + uint32_t(b)); });
    check_fold<int64_t>("mul", 1, [](int64_t a, int64_t b) { return int64_t(uint64_t(a) * uint64_t(b)); });
    check_fold<int64_t>("minimum", INT64_MAX, minimum);
    check_fold<int8_t>("maximum", -128, maximum);
    check_fold<uint8_t>("minimum", 255, minimum);
}

TEST(ScalarFolds, Ends) {
    float sum = 1;
    find_fold("add", DType::f32, best_instruction_set())->lanes(&sum, nullptr, 0);
    EXPECT_EQ(sum, 0);
    EXPECT_FALSE(std::signbit(sum));  // an empty sum is +0
    std::vector<float> zeros(50, -0.0f);
    find_fold("add", DType::f32, best_instruction_set())->lanes(&sum, zeros.data(), 50);
    EXPECT_TRUE(std::signbit(sum));  // one of −0.0 is not
    std::vector<float> x(2000, 1.0f);
    x[1700] = NAN;
    float extreme = 0;
    find_fold("maximum", DType::f32, best_instruction_set())->lanes(&extreme, x.data(), 2000);
    EXPECT_TRUE(std::isnan(extreme));
    std::vector<uint8_t> truths(70, 1);
    uint8_t truth = 9;
    find_fold("logical_and", DType::boolean, best_instruction_set())->lanes(&truth, truths.data(), 70);
    EXPECT_EQ(truth, 1);
    truths[69] = 0;
    find_fold("logical_and", DType::boolean, best_instruction_set())->lanes(&truth, truths.data(), 70);
    EXPECT_EQ(truth, 0);
    find_fold("logical_or", DType::boolean, best_instruction_set())->lanes(&truth, truths.data(), 0);
    EXPECT_EQ(truth, 0);
    Half halves[] = {Half(1), Half(-5), Half(3)};
    Half least;
    find_fold("minimum", DType::f16, best_instruction_set())->lanes(&least, halves, 3);
    EXPECT_EQ(float(least), -5);
    EXPECT_EQ(find_fold("add", DType::f16, best_instruction_set()), nullptr);
    EXPECT_EQ(find_fold("sub", DType::f32, best_instruction_set()), nullptr);
}

TEST(ScalarFolds, IndexOfTheExtreme) {
    std::vector<float> x(3000, 1.0f);
    auto argmax = find_arg_fold("argmax", DType::f32, best_instruction_set());
    auto argmin = find_arg_fold("argmin", DType::f32, best_instruction_set());
    EXPECT_EQ(argmax(x.data(), 3000), 0);  // the first wins
    x[2999] = 2;
    x[17] = -1;
    x[40] = -1;
    EXPECT_EQ(argmax(x.data(), 3000), 2999);
    EXPECT_EQ(argmin(x.data(), 3000), 17);
    x[2000] = NAN;
    x[2500] = NAN;
    EXPECT_EQ(argmax(x.data(), 3000), 2000);  // a NaN wins
    EXPECT_EQ(argmin(x.data(), 3000), 2000);
    uint8_t truths[] = {0, 0, 1, 1};
    EXPECT_EQ(find_arg_fold("argmax", DType::boolean, best_instruction_set())(truths, 4), 2);
    for (int d = 0; d < dtype_count; ++d) EXPECT_NE(find_arg_fold("argmin", DType(d), best_instruction_set()), nullptr);
    EXPECT_EQ(find_arg_fold("add", DType::f32, best_instruction_set()), nullptr);
}

}  // namespace
}  // namespace tenon
