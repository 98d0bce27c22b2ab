// The vector routines: each gives, lane by lane, the bits of the scalar definition, with AVX2 and with AVX-512, for any
// length, with operands that are a single element, and without touching what lies behind.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "ir/scalar/functions.h"
#include "ir/scalar/number.h"
#include "jit/routines/routines.h"

namespace tenon {
namespace {

using scalar::Domain;
using scalar::Number;
using scalar::Result;

std::vector<InstructionSet> instruction_sets() {
    if (best_instruction_set() == InstructionSet::avx2) return {InstructionSet::avx2};
    return {InstructionSet::avx2, InstructionSet::avx512};
}

// What a stored element is computed with.
template <class S> struct ComputedAs {
    using Type = S;
};
template <> struct ComputedAs<Half> {
    using Type = float;
};
template <> struct ComputedAs<BFloat16> {
    using Type = float;
};
template <> struct ComputedAs<bool> {
    using Type = uint8_t;
};
template <class S> using Computed = typename ComputedAs<S>::Type;

template <class S>
bool same(S a, S b) {
    if constexpr (!std::is_integral_v<S>) {
        if (float(a) != float(a) && float(b) != float(b)) return true;
    }
    return std::memcmp(&a, &b, sizeof a) == 0;
}

template <class S>
std::vector<S> sample(size_t n, uint64_t seed) {
    std::mt19937_64 random(seed);
    const double special[] = {0.0, -0.0, 1, -1, 0.5, 2, -3, INFINITY, -INFINITY, NAN, 1e-40, 1e-310, 88.8, -104, 3e38};
    std::vector<S> values(n);
    for (size_t i = 0; i < n; ++i) {
        double moderate = 16.0 * double(random() >> 11) * 0x1p-53 - 8;
        if constexpr (std::is_same_v<S, bool>) {
            values[i] = random() & 1;
        } else if (i % 3 == 0) {
            values[i] = convert<S>(moderate);
        } else if (i % 3 == 1) {
            values[i] = convert<S>(special[random() % std::size(special)]);
        } else {
            uint64_t bits = random();
            std::memcpy(static_cast<void*>(&values[i]), &bits, sizeof(S));
        }
    }
    return values;
}
// vector<bool> has no data(): bytes stand in for it.
template <> std::vector<bool> sample<bool>(size_t, uint64_t) = delete;

template <class S> using Buffer = std::vector<std::conditional_t<std::is_same_v<S, bool>, uint8_t, S>>;

template <class S>
Buffer<S> operand(size_t n, uint64_t seed) {
    if constexpr (std::is_same_v<S, bool>) {
        Buffer<S> values(n);
        std::mt19937_64 random(seed);
        for (auto& value : values) value = random() & 1;
        return values;
    } else {
        return sample<S>(n, seed);
    }
}

template <class S, class T>
auto stored(T x) {
    if constexpr (std::is_same_v<S, bool>) {
        return uint8_t(x);
    } else {
        return S(x);
    }
}

// The definition of F on elements of T, the second operand ignored where there is one only; a mask gives 0 or 1.
template <class F, class T>
auto apply(T x, T y) {
    auto value = [&] {
        if constexpr (requires(Number<T> v) { F::of(v); }) {
            return F::of(Number<T>{x});
        } else {
            return F::of(Number<T>{x}, Number<T>{y});
        }
    }();
    if constexpr (std::is_same_v<decltype(value), bool>) {
        return uint8_t(value);
    } else {
        return value.value;
    }
}

// One case of one routine, types erased: the operands, and what to expect.
struct Case {
    const void *a, *b;
    std::vector<std::byte> want;
    Faults faults = no_fault;
};

// `To` is the memory format of the result. The definition comes as a pointer, so that it is compiled once a type.
template <class S, class To, class Function>
Case make_case(Function definition, bool can_fault, const Buffer<S>& a, const Buffer<S>& b, size_t n, unsigned single) {
    Case made{a.data(), b.data(), {}};
    made.want.resize(n * sizeof(To));
    for (size_t i = 0; i < n; ++i) {
        auto x = Computed<S>(a[single & 1 ? 0 : i]);
        auto y = Computed<S>(b[single & 2 ? 0 : i]);
        auto value = stored<To>(definition(x, y));
        std::memcpy(made.want.data() + i * sizeof value, &value, sizeof value);
        if (can_fault && y == 0) made.faults = division_by_zero;
    }
    return made;
}

template <class S>
constexpr bool admitted(Domain domain) {
    if constexpr (std::is_same_v<S, bool>) {
        return domain == Domain::all || domain == Domain::integral;
    } else if constexpr (std::is_integral_v<S>) {
        return domain != Domain::floats;
    } else {
        return domain == Domain::floats || domain == Domain::numbers || domain == Domain::all;
    }
}

bool same_element(DType dtype, const std::byte* a, const std::byte* b) {
    return visit_dtype(dtype, [&]<class S>() {
        typename Buffer<S>::value_type x, y;
        std::memcpy(static_cast<void*>(&x), a, sizeof x);
        std::memcpy(static_cast<void*>(&y), b, sizeof y);
        return same(x, y);
    });
}

std::string show(DType dtype, const void* element) {
    return visit_dtype(dtype, [&]<class S>() {
        typename Buffer<S>::value_type x;
        std::memcpy(static_cast<void*>(&x), element, sizeof x);
        return std::to_string(double(x));
    });
}

void check_case(const Routine& routine, const Case& expected, size_t n, unsigned single) {
    size_t size = size_of(routine.out), in_size = size_of(routine.in);
    std::vector<std::byte> out((n + 1) * size, std::byte(77));
    ASSERT_EQ(expected.want.size(), n * size) << routine.name;
    Faults faults = routine.variants[single](out.data(), expected.a, expected.b, nullptr, int64_t(n));
    for (size_t i = 0; i < n; ++i) {
        const std::byte *got = out.data() + i * size, *want = expected.want.data() + i * size;
        if (same_element(routine.out, got, want)) continue;
        auto operand = [&](const void* p, unsigned bit) {
            return show(routine.in, static_cast<const std::byte*>(p) + (single & bit ? 0 : i * in_size));
        };
        FAIL() << routine.name << " of " << name_of(routine.in) << ", element " << i << " of " << n << ", single "
               << single << ": " << operand(expected.a, 1) << ", " << operand(expected.b, 2) << " gave "
               << show(routine.out, got) << ", not " << show(routine.out, want);
    }
    for (size_t i = n * size; i < out.size(); ++i)
        ASSERT_EQ(out[i], std::byte(77)) << routine.name << " wrote past its end";
    ASSERT_EQ(faults, expected.faults) << routine.name;
}

template <class S, class To, class Function>
void check_routine(const Routine& routine, Function definition, bool can_fault) {
    for (size_t n : {0, 1, 3, 31, 64, 1000}) {
        auto a = operand<S>(n + 1, 7);
        auto b = operand<S>(n + 1, 8);
        for (unsigned single = 0; single < (routine.arity == 1 ? 1u : 4u); ++single) {
            check_case(routine, make_case<S, To>(definition, can_fault, a, b, n, single), n, single);
        }
    }
}

// The routine of each instruction set; its entry must say what the table of functions says.
std::vector<const Routine*> find_all(std::string_view name, DType in, bool admitted, int arity, DType out) {
    std::vector<const Routine*> found;
    for (InstructionSet set : instruction_sets()) {
        const Routine* routine = find_routine(name, in, set);
        EXPECT_EQ(routine != nullptr, admitted) << name << " of " << name_of(in);
        if (!routine) continue;
        EXPECT_EQ(routine->name, name);
        EXPECT_EQ(routine->arity, arity) << name;
        EXPECT_EQ(routine->in, in) << name;
        EXPECT_EQ(routine->out, out) << name;
        found.push_back(routine);
    }
    return found;
}

struct CheckAll {
    template <class F>
    void operator()() const {
        if constexpr (F::is.arity < 3) {
            check<F, double>();
            check<F, float>();
            check<F, Half>();
            check<F, BFloat16>();
            check<F, int64_t>();
            check<F, int32_t>();
            check<F, int16_t>();
            check<F, int8_t>();
            check<F, uint8_t>();
            check<F, bool>();
        }
    }

    template <class F, class S>
    void check() const {
        constexpr bool admits = admitted<S>(F::is.domain), is_boolean = F::is.result == Result::boolean;
        const DType out = is_boolean ? DType::boolean : dtype_of<S>;
        for (const Routine* routine : find_all(F::is.name, dtype_of<S>, admits, F::is.arity, out)) {
            if constexpr (admits) {
                using G = std::conditional_t<std::is_same_v<S, bool>, typename scalar::BoolDefinition<F>::Type, F>;
                using To = std::conditional_t<is_boolean, bool, S>;
                check_routine<S, To>(*routine, &apply<G, Computed<S>>, scalar::CanFault<F, Number<Computed<S>>>);
            }
        }
    }
};

TEST(ScalarRoutines, GiveTheBitsOfTheDefinition) { scalar::for_each_function(CheckAll{}); }

TEST(ScalarRoutines, WhereMovesBits) {
    for (InstructionSet set : instruction_sets()) {
        for (int d = 0; d < dtype_count; ++d) {
            const Routine* where = find_routine("where", DType(d), set);
            ASSERT_NE(where, nullptr);
            size_t size = size_of(DType(d));
            const int64_t n = 77;
            std::vector<uint8_t> condition(n), a(size * n), b(size * n), out(size * n + 1, 99);
            std::mt19937_64 random(5);
            for (auto& c : condition) c = random() & 1;
            for (auto& x : a) x = uint8_t(random());
            for (auto& x : b) x = uint8_t(random());
            for (unsigned single = 0; single < 8; ++single) {
                (*where)(out.data(), condition.data(), a.data(), b.data(), n, single);
                for (size_t i = 0; i < size_t(n); ++i) {
                    const uint8_t* x = a.data() + (single & 2 ? 0 : size * i);
                    const uint8_t* y = b.data() + (single & 4 ? 0 : size * i);
                    ASSERT_EQ(std::memcmp(out.data() + size * i, condition[single & 1 ? 0 : i] ? x : y, size), 0);
                }
                ASSERT_EQ(out.back(), 99);
            }
        }
    }
}

// Against the definition that copies of tensors use.
template <class From, class To>
void check_cast(InstructionSet set) {
    const Routine* cast = find_cast(dtype_of<From>, dtype_of<To>, set);
    ASSERT_EQ(cast->in, dtype_of<From>);
    ASSERT_EQ(cast->out, dtype_of<To>);
    auto from = operand<From>(3001, 11);
    if constexpr (sizeof(From) == 2) {  // all of them
        from.resize(65536);
        for (size_t i = 0; i < from.size(); ++i) {
            auto bits = uint16_t(i);
            std::memcpy(static_cast<void*>(&from[i]), &bits, 2);
        }
    }
    if constexpr (std::is_floating_point_v<From>) {
        for (double bound : {127.0, 255.0, 32767.0, 2147483647.0, 9223372036854775807.0, 65504.0, 65520.0, 0x1p-24,
                             0x1p-25, 0x1.8p-15}) {
            for (double sign : {1.0, -1.0}) {
                for (double offset : {-1.0, -0.5, 0.0, 0.5, 1.0, 1.5}) from.push_back(From(sign * (bound + offset)));
                from.push_back(From(sign * bound * (1 + 0x1p-20)));
                from.push_back(From(sign * bound * (1 - 0x1p-20)));
                from.push_back(std::nextafter(From(sign * bound), From(0)));
            }
        }
    }
    Buffer<To> out(from.size());
    (*cast)(out.data(), from.data(), int64_t(from.size()));
    for (size_t i = 0; i < from.size(); ++i) {
        auto want = [&] {
            if constexpr (std::is_same_v<From, bool>) {
                return convert<To>(from[i] != 0);
            } else {
                return convert<To>(from[i]);
            }
        }();
        auto got = out[i];
        ASSERT_TRUE(same(got, decltype(got)(want)))
            << double(from[i]) << " from " << name_of(dtype_of<From>) << " to " << name_of(dtype_of<To>) << " gave "
            << double(got) << ", not " << double(want);
    }
}

TEST(ScalarRoutines, CastsAreTheRuntimesCasts) {
    for (InstructionSet set : instruction_sets()) {
        for (int from = 0; from < dtype_count; ++from) {
            for (int to = 0; to < dtype_count; ++to) {
                visit_dtype(DType(from), [&]<class From>() {
                    visit_dtype(DType(to), [&]<class To>() { check_cast<From, To>(set); });
                });
            }
        }
    }
}

TEST(ScalarRoutines, MemoryMoves) {
    std::vector<int32_t> base(100);
    for (size_t i = 0; i < base.size(); ++i) base[i] = int32_t(i);
    int32_t block[10];
    load_strided(block, base.data() + 90, -9, 4, 10);
    for (int i = 0; i < 10; ++i) EXPECT_EQ(block[i], 90 - 9 * i);
    load_strided(block, base.data() + 5, 0, 4, 10);
    EXPECT_EQ(block[9], 5);
    int64_t indices[3];
    iota(indices, 4, 7, 3);
    EXPECT_EQ(indices[2], 18);
    load_indexed(block, base.data(), indices, 4, 3);
    EXPECT_EQ(block[1], 11);
    indices[1] = 4;
    int32_t values[] = {-1, -2, -3};
    store_indexed(base.data(), indices, values, 4, 3);
    EXPECT_EQ(base[4], -2);  // the last wins
    store_strided(base.data(), 50, values, 4, 2);
    EXPECT_EQ(base[50], -2);
    int32_t nine = 9;
    fill(base.data(), &nine, 4, 100);
    EXPECT_EQ(base[99], 9);
}

}  // namespace
}  // namespace tenon
