// What is said of sizes must hold for all values of their symbols: random sizes, tried with many values.
#include <gtest/gtest.h>

#include <random>

#include "ir/positions.h"
#include "ir/size_facts.h"
#include "runtime/diagnostic.h"
#include "runtime/integer.h"

namespace tenon {
namespace {

constexpr uint32_t symbol_count = 3;

class RandomSizes {
public:
    RandomSizes(Context& context, uint32_t seed) : context_(context), random_(seed) {}

    size_t pick(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }
    SizeId size(int depth) {
        if (depth == 0 || pick(4) == 0)
            return pick(3) ? context_.symbol(uint32_t(pick(symbol_count))) : context_.constant(int64_t(pick(5)));
        const SizeId a = size(depth - 1), b = size(depth - 1);
        switch (pick(10)) {
            case 0:
            case 1:
            case 2: return context_.mul(a, b);
            case 3:
            case 4: return context_.add(a, b);
            case 5: return context_.sub(a, b);
            case 6: return context_.floordiv(a, SizeId(int64_t(2 + pick(3))));
            case 7: return context_.mod(a, SizeId(int64_t(2 + pick(3))));
            case 8: return context_.min(a, b);
            default: return context_.max(a, b);
        }
    }

private:
    Context& context_;
    std::mt19937 random_;
};

// Calls f(values) for the values 0 … 6 of every symbol.
template <class F>
void for_all_values(F f) {
    std::vector<int64_t> values(symbol_count);
    for (values[0] = 0; values[0] < 7; ++values[0])
        for (values[1] = 0; values[1] < 7; ++values[1])
            for (values[2] = 0; values[2] < 7; ++values[2]) f(values);
}

TEST(SizeFacts, WhatIsProvedHoldsForAllValues) {
    size_t proved = 0, denied_though_true = 0;
    for (uint32_t seed = 0; seed < 4000; ++seed) {
        Context c;
        RandomSizes random(c, seed);
        const SizeId size = c.sub(random.size(3), random.size(2));
        const bool said = SizeFacts(c, {}).nonnegative(size);
        bool holds = true;
        for_all_values([&](const auto& values) { holds &= c.evaluate(size, values) >= 0; });
        ASSERT_TRUE(holds || !said) << "seed " << seed << ": " << c.to_string(size, {});
        proved += said;
        denied_though_true += holds && !said;
    }
    EXPECT_GT(proved, 500u);
    EXPECT_LT(denied_though_true, 500u) << "of " << proved << " proved";
}

TEST(SizeFacts, SamplesAreNoProof) {
    Context c;
    const SizeId a = c.symbol(0), b = c.symbol(1), d = c.symbol(2);
    const SizeFacts none(c, {});
    EXPECT_FALSE(none.nonnegative(c.sub(d, a)));
    EXPECT_FALSE(none.nonnegative(c.sub(a, d)));
    EXPECT_FALSE(none.nonnegative(c.sub(a, SizeId(1))));  // a may be 0
    EXPECT_TRUE(none.nonnegative(c.sub(c.mul(a, b), c.mul(SizeId(0), b))));
    EXPECT_TRUE(none.nonnegative(c.sub(a, c.mul(SizeId(4), c.floordiv(a, SizeId(4))))));
    EXPECT_FALSE(none.nonnegative(c.sub(c.mul(SizeId(4), c.floordiv(a, SizeId(4))), a)));
    const SizeEquality product{d, c.mul(a, b)};
    const SizeFacts facts(c, {&product, 1});
    EXPECT_TRUE(facts.equal(c.mul(d, b), c.mul(a, c.mul(b, b))));
    EXPECT_TRUE(facts.nonnegative(c.sub(c.mul(a, b), d)));
    EXPECT_FALSE(facts.equal(d, a));
}

TEST(SizeFacts, NormalFormsAndSolutionsHoldWhereTheEqualitiesDo) {
    size_t solved = 0, left = 0, met = 0;
    for (uint32_t seed = 0; seed < 3000; ++seed) {
        Context c;
        RandomSizes random(c, seed);
        std::vector<SizeEquality> equalities;
        for (size_t k = 0, n = 1 + random.pick(3); k < n; ++k) equalities.push_back({random.size(2), random.size(2)});
        const SizeFacts facts(c, equalities);
        const SizeId size = random.size(3), normal = facts.normal(size);
        EXPECT_EQ(facts.normal(normal), normal) << "seed " << seed;
        std::vector<SizeId> symbols;
        for (uint32_t k = 0; k < symbol_count; ++k) symbols.push_back(c.symbol(k));
        const SolvedSizes solution = solve(c, symbols, equalities);
        for (uint32_t k = 0; k < symbol_count; ++k) solved += solution.sizes[k] != symbols[k];
        left += solution.left.size();
        for_all_values([&](const std::vector<int64_t>& values) {
            const auto holds = [&](const SizeEquality& e) {
                return c.evaluate(e.left, values) == c.evaluate(e.right, values);
            };
            if (!std::all_of(equalities.begin(), equalities.end(), holds)) return;
            ++met;
            ASSERT_EQ(c.evaluate(size, values), c.evaluate(normal, values)) << "seed " << seed;
            for (uint32_t k = 0; k < symbol_count; ++k)
                ASSERT_EQ(c.evaluate(solution.sizes[k], values), values[k]) << "seed " << seed;
            ASSERT_TRUE(std::all_of(solution.left.begin(), solution.left.end(), holds)) << "seed " << seed;
        });
        if (::testing::Test::HasFailure()) FAIL() << "seed " << seed;
    }
    EXPECT_GT(solved, 1000u);
    EXPECT_GT(left, 300u);
    EXPECT_GT(met, 20000u);
}

TEST(SizeFacts, ASumIsSolvedForTheWhole) {
    Context c;
    const SizeId a = c.symbol(0), b = c.symbol(1), d = c.symbol(2);
    const std::vector<SizeEquality> equalities{{c.add(b, d), a}, {c.sub(d, SizeId(4)), SizeId(1)}};
    const SolvedSizes solution = solve(c, {a, b, d}, equalities);
    EXPECT_EQ(solution.sizes[0], c.add(b, SizeId(5)));
    EXPECT_EQ(solution.sizes[1], b);
    EXPECT_EQ(solution.sizes[2], SizeId(5));
    EXPECT_TRUE(solution.left.empty());
}

TEST(Size, DivisionsRoundDownAndAreCanonical) {
    for (uint32_t seed = 0; seed < 2000; ++seed) {
        Context c;
        RandomSizes random(c, seed);
        const SizeId a = c.sub(random.size(2), random.size(2)), b = SizeId(int64_t(1 + random.pick(5)));
        const SizeId quotient = c.floordiv(a, b), rest = c.mod(a, b);
        for_all_values([&](const auto& values) {
            const int64_t x = c.evaluate(a, values), y = c.evaluate(b, values);
            ASSERT_EQ(c.evaluate(quotient, values), floor_divide(x, y)) << c.to_string(a, {});
            ASSERT_EQ(c.evaluate(rest, values), x - y * floor_divide(x, y)) << c.to_string(a, {});
        });
        EXPECT_EQ(c.floordiv(c.add(a, c.mul(b, c.symbol(0))), b), c.add(quotient, c.symbol(0)));
        EXPECT_EQ(c.mod(c.add(a, c.mul(b, c.symbol(0))), b), rest);
    }
}

TEST(Size, OverflowIsAnErrorOrTheLargestNumber) {
    Context c;
    const SizeId n = c.symbol(0), huge(int64_t{1} << 40);
    EXPECT_EQ(c.mul(huge, huge), SizeId(INT64_MAX));
    EXPECT_THROW(c.mul(c.mul(n, huge), huge), Error);
    EXPECT_EQ(c.evaluate(c.mul(n, huge), std::vector<int64_t>{int64_t{1} << 40}), INT64_MAX);
    EXPECT_EQ(c.floordiv(c.constant(INT64_MIN), c.constant(-1)), SizeId(INT64_MAX));
    EXPECT_FALSE(SizeFacts(c, {}).nonnegative(c.mul(huge, huge)));
}

// Positions taken apart and put together over symbolic sizes are what the numbers are.
TEST(Positions, HoldForAllSizesAndPositions) {
    for (uint32_t seed = 0; seed < 3000; ++seed) {
        Context c;
        RandomSizes random(c, seed);
        std::vector<SizeEquality> equalities;
        if (random.pick(2)) equalities.push_back({c.symbol(2), c.mul(c.symbol(0), c.symbol(1))});
        const SizeFacts facts(c, equalities);
        Positions positions(facts);
        std::vector<SizeId> extents;
        PositionList at;
        for (uint32_t d = 0; d < 2; ++d) {
            extents.push_back(random.pick(3) ? c.symbol(uint32_t(random.pick(symbol_count))) : SizeId(3));
            at.push_back(positions.variable(d, extents.back()));
        }
        const auto stride = [&] {
            const SizeId sizes[] = {SizeId(1), c.symbol(0), c.symbol(1), c.symbol(2), c.mul(c.symbol(0), c.symbol(1))};
            return sizes[random.pick(std::size(sizes))];
        };
        const SizeId strides[] = {stride(), stride()}, offset(int64_t(random.pick(3)));
        const Position p = positions.add(positions.constant(offset), positions.add(positions.scale(at[0], strides[0]),
                                                                                   positions.scale(at[1], strides[1])));
        const SizeId divisor = stride();
        const Position quotient = positions.floordiv(p, divisor), rest = positions.mod(p, divisor);
        const Position again = positions.add(positions.scale(quotient, divisor), rest);
        for_all_values([&](const std::vector<int64_t>& values) {
            if (!equalities.empty() && values[2] != values[0] * values[1]) return;
            const int64_t y = c.evaluate(divisor, values);
            if (y == 0) return;
            for (int64_t i = 0; i < c.evaluate(extents[0], values); ++i)
                for (int64_t j = 0; j < c.evaluate(extents[1], values); ++j) {
                    const auto value = [&](auto&& self, Position of) -> int64_t {
                        int64_t sum = c.evaluate(positions[of].offset, values);
                        for (const Positions::Term& t : positions[of].terms) {
                            const Positions::Atom& a = positions.atom(t.atom);
                            int64_t x = a.number == 0 ? i : j;
                            if (a.kind != Positions::Atom::Kind::variable) {
                                const int64_t inner = self(self, {a.inner}), by = c.evaluate(a.divisor, values);
                                x = floor_divide(inner, by);
                                if (a.kind == Positions::Atom::Kind::remainder) x = inner - x * by;
                            }
                            const bool bounded = a.extent == SizeId(0) || x < c.evaluate(a.extent, values);
                            EXPECT_TRUE(bounded) << "seed " << seed;
                            sum += c.evaluate(t.stride, values) * x;
                        }
                        return sum;
                    };
                    const int64_t x =
                        c.evaluate(offset, values) + c.evaluate(strides[0], values) * i + c.evaluate(strides[1], values) * j;
                    ASSERT_EQ(value(value, p), x) << "seed " << seed;
                    ASSERT_EQ(value(value, quotient), floor_divide(x, y)) << "seed " << seed;
                    ASSERT_EQ(value(value, rest), x - y * floor_divide(x, y)) << "seed " << seed;
                    ASSERT_EQ(value(value, again), x) << "seed " << seed;
                }
        });
        if (::testing::Test::HasFailure()) FAIL() << "seed " << seed;
    }
}

}  // namespace
}  // namespace tenon
