#include "runtime/dtype.h"

#include <gtest/gtest.h>

#include <bit>
#include <cfenv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>

namespace tenon {
namespace {

TEST(DType, NamesComeBack) {
    for (int i = 0; i < dtype_count; ++i) {
        auto d = static_cast<DType>(i);
        EXPECT_EQ(dtype_from_name(name_of(d)), d);
        EXPECT_EQ(visit_dtype(d, []<class T>() { return dtype_of<T>; }), d);
        EXPECT_EQ(visit_dtype(d, []<class T>() { return sizeof(T); }), size_of(d));
    }
    EXPECT_FALSE(dtype_from_name("float32"));
}

// PyTorch's table, rows and columns in the order u8 i8 i16 i32 i64 f16 f32 f64 bool bf16 of its
// c10/core/ScalarType.cpp.
TEST(DType, PromotesAsPyTorch) {
    const DType order[] = {DType::u8,  DType::i8,  DType::i16, DType::i32,     DType::i64,
                           DType::f16, DType::f32, DType::f64, DType::boolean, DType::bf16};
    const char* table[10][10] = {
        {"u8", "i16", "i16", "i32", "i64", "f16", "f32", "f64", "u8", "bf16"},
        {"i16", "i8", "i16", "i32", "i64", "f16", "f32", "f64", "i8", "bf16"},
        {"i16", "i16", "i16", "i32", "i64", "f16", "f32", "f64", "i16", "bf16"},
        {"i32", "i32", "i32", "i32", "i64", "f16", "f32", "f64", "i32", "bf16"},
        {"i64", "i64", "i64", "i64", "i64", "f16", "f32", "f64", "i64", "bf16"},
        {"f16", "f16", "f16", "f16", "f16", "f16", "f32", "f64", "f16", "f32"},
        {"f32", "f32", "f32", "f32", "f32", "f32", "f32", "f64", "f32", "f32"},
        {"f64", "f64", "f64", "f64", "f64", "f64", "f64", "f64", "f64", "f64"},
        {"u8", "i8", "i16", "i32", "i64", "f16", "f32", "f64", "bool", "bf16"},
        {"bf16", "bf16", "bf16", "bf16", "bf16", "f32", "f32", "f64", "bf16", "bf16"},
    };
    for (int a = 0; a < 10; ++a) {
        for (int b = 0; b < 10; ++b) {
            EXPECT_EQ(name_of(promote(order[a], order[b])), table[a][b])
                << name_of(order[a]) << " with " << name_of(order[b]);
        }
    }
}

TEST(DType, WeakOperandsChangeOnlyTheCategory) {
    EXPECT_EQ(promote_weak(DType::u8, DType::i64), DType::u8);
    EXPECT_EQ(promote_weak(DType::i8, DType::f32), DType::f32);
    EXPECT_EQ(promote_weak(DType::f16, DType::f64), DType::f16);
    EXPECT_EQ(promote_weak(DType::boolean, DType::i64), DType::i64);
    EXPECT_EQ(promote_weak(DType::boolean, DType::boolean), DType::boolean);
    EXPECT_EQ(promote_weak(DType::i64, DType::f16), DType::f16);
}

TEST(Half, EveryValueComesBack) {
    for (uint32_t bits = 0; bits < 0x10000; ++bits) {
        Half h = Half::from_bits(static_cast<uint16_t>(bits));
        float wide = h;
        bool is_nan = (bits & 0x7fff) > 0x7c00;
        EXPECT_EQ(std::isnan(wide), is_nan);
        EXPECT_EQ(Half(wide).bits, is_nan ? bits | 0x200 : bits);
        if (is_nan) continue;
        int exponent = (bits >> 10) & 31, mantissa = bits & 0x3ff;
        double expected =
            exponent == 31 ? INFINITY : std::ldexp(exponent ? 1024 + mantissa : mantissa, std::max(exponent, 1) - 25);
        EXPECT_EQ(std::abs(wide), expected);
        EXPECT_EQ(std::signbit(wide), bits >> 15 != 0);
    }
}

TEST(BFloat16, EveryValueComesBack) {
    for (uint32_t bits = 0; bits < 0x10000; ++bits) {
        BFloat16 b = BFloat16::from_bits(static_cast<uint16_t>(bits));
        bool is_nan = (bits & 0x7fff) > 0x7f80;
        EXPECT_EQ(BFloat16(static_cast<float>(b)).bits, is_nan ? bits | 0x40 : bits);
    }
}

// Between two neighbours the nearer one, and the even one from the middle.
template <class Small> void check_rounding(uint16_t infinity) {
    for (uint16_t bits = 0; bits + 1 < infinity; ++bits) {
        float low = Small::from_bits(bits), high = Small::from_bits(static_cast<uint16_t>(bits + 1));
        float middle = static_cast<float>((static_cast<double>(low) + high) / 2);
        uint16_t even = bits % 2 == 0 ? bits : bits + 1;
        ASSERT_EQ(Small(middle).bits, even);
        ASSERT_EQ(Small(-middle).bits, even | 0x8000);
        ASSERT_EQ(Small(std::nextafterf(middle, 0)).bits, bits);
        ASSERT_EQ(Small(std::nextafterf(middle, INFINITY)).bits, bits + 1);
    }
}

TEST(Half, RoundsToNearestEven) { check_rounding<Half>(0x7c00); }
TEST(BFloat16, RoundsToNearestEven) { check_rounding<BFloat16>(0x7f80); }

TEST(Half, OverflowsToInfinity) {
    EXPECT_EQ(Half(65519.996f).bits, 0x7bff);
    EXPECT_EQ(Half(65520.0f).bits, 0x7c00);
    EXPECT_EQ(Half(-1e30f).bits, 0xfc00);
    EXPECT_EQ(BFloat16(std::numeric_limits<float>::max()).bits, 0x7f80);
}

// The portable definition, which the compiler evaluates, and the instruction agree.
TEST(Half, CompileTimeAndRunTimeAgree) {
    static constexpr float samples[] = {0.0f,     1.0f,        -1.5f,       65504.0f,    65519.0f,   65520.0f,
                                        1e-8f,    2.98023e-8f, 5.96046e-8f, 6.10352e-5f, 6.0976e-5f, 0.1f,
                                        3.14159f, 2049.0f,     2051.0f,     -1e-7f,      1e30f};
    constexpr auto at_compile_time = [] {
        std::array<uint16_t, std::size(samples)> bits{};
        for (size_t i = 0; i < bits.size(); ++i) bits[i] = Half(samples[i]).bits;
        return bits;
    }();
    for (size_t i = 0; i < at_compile_time.size(); ++i) {
        volatile float sample = samples[i];
        EXPECT_EQ(Half(sample).bits, at_compile_time[i]) << samples[i];
    }
}

TEST(Convert, FloatToIntegerSaturates) {
    EXPECT_EQ((convert<int64_t>(1e300)), INT64_MAX);
    EXPECT_EQ((convert<int64_t>(-1e300)), INT64_MIN);
    EXPECT_EQ((convert<int64_t>(9223372036854775807.0)), INT64_MAX);
    EXPECT_EQ((convert<int64_t>(-9223372036854775808.0)), INT64_MIN);
    EXPECT_EQ((convert<int32_t>(2147483648.0f)), INT32_MAX);
    EXPECT_EQ((convert<int32_t>(2147483520.0f)), 2147483520);
    EXPECT_EQ((convert<int32_t>(2147483646.9)), 2147483646);
    EXPECT_EQ((convert<int16_t>(-40000.0f)), INT16_MIN);
    EXPECT_EQ((convert<int8_t>(127.9f)), 127);
    EXPECT_EQ((convert<int8_t>(128.0f)), 127);
    EXPECT_EQ((convert<int8_t>(-128.9f)), -128);
    EXPECT_EQ((convert<uint8_t>(-0.9f)), 0);
    EXPECT_EQ((convert<uint8_t>(-7.0f)), 0);
    EXPECT_EQ((convert<uint8_t>(255.9f)), 255);
    EXPECT_EQ((convert<uint8_t>(256.0f)), 255);
    EXPECT_EQ((convert<uint8_t>(INFINITY)), 255);
    EXPECT_EQ((convert<int32_t>(NAN)), 0);
    EXPECT_EQ((convert<int64_t>(std::nan(""))), 0);
    EXPECT_EQ((convert<int16_t>(Half(INFINITY))), INT16_MAX);
    EXPECT_EQ((convert<int32_t>(BFloat16(-2.75f))), -2);
}

TEST(Convert, OtherPairs) {
    EXPECT_EQ((convert<uint8_t>(int64_t{-1})), 255);
    EXPECT_EQ((convert<int8_t>(int32_t{200})), -56);
    EXPECT_EQ((convert<bool>(NAN)), true);
    EXPECT_EQ((convert<bool>(-0.0f)), false);
    EXPECT_EQ((convert<bool>(Half(0.0f))), false);
    EXPECT_EQ((convert<bool>(BFloat16::from_bits(1))), true);
    EXPECT_EQ((convert<bool>(int8_t{-128})), true);
    EXPECT_EQ((convert<double>(true)), 1.0);
    EXPECT_EQ((convert<Half>(BFloat16(1.0f))).bits, 0x3c00);
    EXPECT_EQ((convert<BFloat16>(3.14159265358979)).bits, 0x4049);
    EXPECT_EQ((convert<float>(16777217.0)), 16777216.0f);
    EXPECT_EQ((convert<float>(INT64_MAX)), 9223372036854775808.0f);
}

}  // namespace
}  // namespace tenon
