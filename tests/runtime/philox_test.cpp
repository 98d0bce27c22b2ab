#include "runtime/philox.h"

#include <gtest/gtest.h>

namespace tenon {
namespace {

using Words = std::array<uint32_t, 4>;

// The known answers of Random123 (tests/kat_vectors, philox4x32 10).
static_assert(philox4x32_10({0, 0}, {0, 0, 0, 0}) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});

TEST(Philox, KnownAnswers) {
    constexpr uint32_t ones = 0xffffffff;
    EXPECT_EQ(philox4x32_10({ones, ones}, {ones, ones, ones, ones}),
              (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
    EXPECT_EQ(philox4x32_10({0xa4093822, 0x299f31d0}, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}),
              (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, UniformIsBelowOne) {
    EXPECT_EQ(uniform_f32(0), 0.0f);
    EXPECT_EQ(uniform_f32(0xff), 0.0f);
    EXPECT_EQ(uniform_f32(0xffffffff), 1.0f - 0x1p-24f);
    EXPECT_EQ(uniform_f64(0xffffffff, 0xffffffff), 1.0 - 0x1p-53);
    EXPECT_EQ(uniform_f64(0x80000000, 0), 0.5);
}

}  // namespace
}  // namespace tenon
