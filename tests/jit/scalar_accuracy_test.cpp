// Every scalar function against long double's libm, within the bound it states.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "ir/scalar/functions.h"
#include "ir/scalar/number.h"

namespace tenon::scalar {
namespace {

// The error of `got` in units of the last place of the exact value; infinite where a NaN, an infinity or the sign of a
// zero is missed.
template <class T>
double error_in_ulp(T got, long double exact) {
    constexpr double wrong = std::numeric_limits<double>::infinity();
    constexpr int precision = std::numeric_limits<T>::digits;
    constexpr int lowest = std::numeric_limits<T>::min_exponent - precision;
    if (std::isnan(exact)) return std::isnan(got) ? 0 : wrong;
    auto rounded = static_cast<T>(exact);
    if (std::isinf(rounded) || std::isinf(got)) return rounded == got ? 0 : wrong;
    if (exact == 0) return got == 0 && std::signbit(got) == std::signbit(exact) ? 0 : wrong;
    int exponent = 0;
    std::frexp(exact, &exponent);
    return double(std::fabs(std::ldexp((long double)got - exact, -std::max(exponent - precision, lowest))));
}

template <class T>
T any_bits(std::mt19937_64& random) {
    auto bits = random();
    T x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}

double uniform(std::mt19937_64& random) { return double(random() >> 11) * 0x1p-53; }

const double special[] = {
    0.0,  -0.0,  1,    -1,    0.5,   -0.5, 2,     -2,     3,     -3,   0.25,   INFINITY,           -INFINITY, NAN,
    1e-3, -1e-3, 1e20, -1e20, 1e-40, 88.7, -87.4, -103.9, 709.8, -745, 1e-310, 4503599627370497.5, 1e300};
constexpr int samples = 60000;

// The bound a function states; half a unit where it says that it rounds correctly.
template <class F, class T>
constexpr double bound_of = (sizeof(T) == 4 ? F::is.ulp : F::is.ulp_f64) == 0 ? 0.5
                            : sizeof(T) == 4                                  ? F::is.ulp
                                                                              : F::is.ulp_f64;

template <class F, class T, class Reference>
void check_unary(Reference reference, double low, double high) {
    std::mt19937_64 random(1);
    auto check = [&](T x) {
        T got = F::of(Number<T>{x}).value;
        long double exact = reference((long double)x);
        ASSERT_LE(error_in_ulp(got, exact), (bound_of<F, T>)) << F::is.name << "(" << x << ") = " << got << ", not " << exact;
    };
    for (double x : special) check(T(x));
    for (int i = 0; i < samples; ++i) check(T(low + (high - low) * uniform(random)));
    for (int i = 0; i < samples; ++i) check(any_bits<T>(random));
}

template <class F, class Reference>
void check(Reference reference, double low, double high) {
    check_unary<F, float>(reference, low, high);
    check_unary<F, double>(reference, low, high);
}

using Real = long double;

TEST(ScalarAccuracy, Exponentials) {
    check<Exp>([](Real x) { return std::exp(x); }, -110, 110);
    check<Exp2>([](Real x) { return std::exp2(x); }, -150, 130);
    check<Expm1>([](Real x) { return std::expm1(x); }, -3, 3);
    check<Sigmoid>([](Real x) { return 1 / (1 + std::exp(-x)); }, -20, 20);
}

TEST(ScalarAccuracy, Logarithms) {
    check<Log>([](Real x) { return std::log(x); }, 0, 3);
    check<Log2>([](Real x) { return std::log2(x); }, 0, 3);
    check<Log1p>([](Real x) { return std::log1p(x); }, -1, 2);
}

TEST(ScalarAccuracy, Angles) {
    for (double range : {1.0, 100.0, 3e5}) {
        check<Sin>([](Real x) { return std::sin(x); }, -range, range);
        check<Cos>([](Real x) { return std::cos(x); }, -range, range);
        check<Tan>([](Real x) { return std::tan(x); }, -range, range);
    }
    check<Asin>([](Real x) { return std::asin(x); }, -1, 1);
    check<Acos>([](Real x) { return std::acos(x); }, -1, 1);
    check<Atan>([](Real x) { return std::atan(x); }, -4, 4);
}

// Arguments next to multiples of π/2, where reduction loses most.
TEST(ScalarAccuracy, AnglesBesideQuarterTurns) {
    std::mt19937_64 random(3);
    for (int i = 0; i < 20000; ++i) {
        Real turns = std::floor(std::exp2(Real(40 * uniform(random))));
        double x = double(turns * 1.570796326794896619231321691639751442L);
        EXPECT_LE(error_in_ulp(Sin::of(Number<double>{x}).value, std::sin(Real(x))), (bound_of<Sin, double>)) << x;
        EXPECT_LE(error_in_ulp(Cos::of(Number<double>{x}).value, std::cos(Real(x))), (bound_of<Cos, double>)) << x;
        float y = float(x);
        EXPECT_LE(error_in_ulp(Sin::of(Number<float>{y}).value, std::sin(Real(y))), (bound_of<Sin, float>)) << y;
        EXPECT_LE(error_in_ulp(Cos::of(Number<float>{y}).value, std::cos(Real(y))), (bound_of<Cos, float>)) << y;
    }
    // The double nearest to a multiple of π/2 there is: 2^−61 away from it. Known value of its cosine.
    EXPECT_LE(error_in_ulp(Cos::of(Number<double>{6381956970095103.0 * 0x1p797}).value, -4.68716592425462761112e-19L),
              2);
}

TEST(ScalarAccuracy, Hyperbolic) {
    check<Sinh>([](Real x) { return std::sinh(x); }, -5, 5);
    check<Cosh>([](Real x) { return std::cosh(x); }, -5, 5);
    check<Tanh>([](Real x) { return std::tanh(x); }, -3, 3);
    check<Sinh>([](Real x) { return std::sinh(x); }, 85, 90);
    check<Cosh>([](Real x) { return std::cosh(x); }, 705, 712);
}

TEST(ScalarAccuracy, ErrorFunctions) {
    check<Erf>([](Real x) { return std::erf(x); }, -4, 4);
    check<Erfc>([](Real x) { return std::erfc(x); }, -5, 11);
    check<Erfc>([](Real x) { return std::erfc(x); }, 5, 27.5);
}

TEST(ScalarAccuracy, Roots) {
    check<Sqrt>([](Real x) { return std::sqrt(x); }, 0, 9);
    check<Rsqrt>([](Real x) { return 1 / std::sqrt(x); }, 0, 9);
    check<Reciprocal>([](Real x) { return 1 / x; }, -9, 9);
    check<Round>([](Real x) { return std::nearbyint(x); }, -9, 9);
    check<Floor>([](Real x) { return std::floor(x); }, -9, 9);
    check<Ceil>([](Real x) { return std::ceil(x); }, -9, 9);
    check<Trunc>([](Real x) { return std::trunc(x); }, -9, 9);
}

// Pairs of special values, of moderate ones, with integer exponents, near 1, and of any bits.
template <class F, class T, class Reference>
void check_binary_of(Reference reference) {
    std::mt19937_64 random(2);
    auto check = [&](T x, T y) {
        T got = F::of(Number<T>{x}, Number<T>{y}).value;
        long double exact = reference((long double)x, (long double)y);
        ASSERT_LE(error_in_ulp(got, exact), (bound_of<F, T>))
            << F::is.name << "(" << x << ", " << y << ") = " << got << ", not " << exact;
    };
    for (double x : special) {
        for (double y : special) check(T(x), T(y));
    }
    for (int i = 0; i < samples; ++i) {
        check(T(std::exp(60 * uniform(random) - 30)), T(60 * uniform(random) - 30));
        check(T(4 * uniform(random) - 2), T(std::floor(40 * uniform(random) - 20)));
        check(T(1 + (uniform(random) - 0.5) * 1e-3), T(1e5 * (uniform(random) - 0.5)));
        T x = any_bits<T>(random), y = any_bits<T>(random);
        check(x, y);
    }
}

template <class F, class Reference>
void check_binary(Reference reference) {
    check_binary_of<F, float>(reference);
    check_binary_of<F, double>(reference);
}

TEST(ScalarAccuracy, TwoOperands) {
    check_binary<Pow>([](Real x, Real y) { return std::pow(x, y); });
    check_binary<Atan2>([](Real y, Real x) { return std::atan2(y, x); });
    check_binary<Fmod>([](Real x, Real y) { return std::fmod(x, y); });
}

TEST(ScalarAccuracy, PythonsDivision) {
    auto remainder = [](double a, double b) { return Remainder::of(Number<double>{a}, Number<double>{b}).value; };
    auto floor_divide = [](double a, double b) { return FloorDivide::of(Number<double>{a}, Number<double>{b}).value; };
    EXPECT_EQ(remainder(7, 3), 1);
    EXPECT_EQ(remainder(-7, 3), 2);
    EXPECT_EQ(remainder(7, -3), -2);
    EXPECT_EQ(remainder(-7, -3), -1);
    EXPECT_EQ(remainder(5.5, 2), 1.5);
    EXPECT_EQ(remainder(1, INFINITY), 1);
    EXPECT_TRUE(std::isnan(remainder(1, 0)));
    EXPECT_EQ(floor_divide(7, 3), 2);
    EXPECT_EQ(floor_divide(-7, 3), -3);
    EXPECT_EQ(floor_divide(1, 0.1), 9);  // Python: 1 // 0.1 == 9.0, as 0.1 is above 1/10
    EXPECT_EQ(floor_divide(1, 0), INFINITY);
    EXPECT_TRUE(std::signbit(floor_divide(-0.0, 5)));
    std::mt19937_64 random(4);
    for (int i = 0; i < samples; ++i) {
        double a = 1e4 * (uniform(random) - 0.5), b = 20 * (uniform(random) - 0.5);
        Real exact = std::floor(Real(a) / Real(b));
        EXPECT_EQ(floor_divide(a, b), double(exact)) << a << " // " << b;
    }
}

TEST(ScalarAccuracy, IntegersOfEightBits) {
    for (int a = -128; a < 128; ++a) {
        for (int b = -128; b < 128; ++b) {
            Number<int8_t> x{int8_t(a)}, y{int8_t(b)};
            EXPECT_EQ(Fmod::fault(x, y), b == 0);
            int quotient = b == 0 ? 0 : int(std::floor(double(a) / b));
            EXPECT_EQ(FloorDivide::of(x, y).value, int8_t(quotient)) << a << " // " << b;
            EXPECT_EQ(Remainder::of(x, y).value, b == 0 ? 0 : a - b * quotient) << a << " % " << b;
            EXPECT_EQ(Fmod::of(x, y).value, b == 0 ? 0 : a % b) << a << " fmod " << b;
            EXPECT_EQ(Mul::of(x, y).value, int8_t(a * b));
            EXPECT_EQ(Sub::of(x, y).value, int8_t(a - b));
            EXPECT_EQ(Maximum::of(x, y).value, std::max(a, b));
            bool inside = b >= 0 && b < 8;
            EXPECT_EQ(ShiftLeft::of(x, y).value, inside ? int8_t(unsigned(a) << b) : 0);
            EXPECT_EQ(ShiftRight::of(x, y).value, a >> (inside ? b : 7));
            int power = 1;
            for (int i = 0; i < b; ++i) power = int8_t(power * a);
            if (b < 0) power = a == 1 ? 1 : a == -1 ? (b & 1 ? -1 : 1) : 0;
            EXPECT_EQ(Pow::of(x, y).value, power) << a << " ** " << b;
        }
    }
}

TEST(ScalarAccuracy, Selections) {
    auto maximum = [](float a, float b) { return Maximum::of(Number<float>{a}, Number<float>{b}).value; };
    auto minimum = [](float a, float b) { return Minimum::of(Number<float>{a}, Number<float>{b}).value; };
    EXPECT_EQ(maximum(1, 2), 2);
    EXPECT_EQ(minimum(1, 2), 1);
    for (auto f : {+maximum, +minimum}) {
        EXPECT_TRUE(std::isnan(f(NAN, 1)));
        EXPECT_TRUE(std::isnan(f(1, NAN)));
    }
    EXPECT_TRUE(std::isnan(Relu::of(Number<float>{NAN}).value));
    EXPECT_FALSE(std::signbit(Relu::of(Number<float>{-3}).value));
    EXPECT_EQ(Sign::of(Number<float>{-3}).value, -1);
    EXPECT_EQ(Sign::of(Number<float>{NAN}).value, 0);
    EXPECT_EQ(Abs::of(Number<int8_t>{-128}).value, -128);
    EXPECT_FALSE(IsFinite::of(Number<float>{NAN}));
    EXPECT_TRUE(IsInf::of(Number<float>{-INFINITY}));
}

}  // namespace
}  // namespace tenon::scalar
