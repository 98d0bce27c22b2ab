// Random numbers: what the scalar definition, its programs and routines and the kernels made of them give is Philox4x32-10,
// against plain C++ and the known answers of its authors.
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <numeric>
#include <random>

#include "ir/scalar/number.h"
#include "ir/scalar/philox.h"
#include "ir/scalar/program.h"
#include "ir/text/text.h"
#include "jit/llvm_loader.h"
#include "jit/routines/routines.h"
#include "tests/jit/computer.h"

namespace tenon {
namespace {

using Words = std::array<uint32_t, 4>;

constexpr Words philox(std::array<uint32_t, 2> key, Words counter) {
    for (int round = 0; round < 10; ++round) {
        uint64_t product0 = uint64_t{0xD2511F53} * counter[0], product1 = uint64_t{0xCD9E8D57} * counter[2];
        counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(product1),
                   static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(product0)};
        key[0] += 0x9E3779B9;
        key[1] += 0xBB67AE85;
    }
    return counter;
}

// The known answers of Random123 (tests/kat_vectors, philox4x32 10).
constexpr uint32_t ones = 0xffffffff;
static_assert(philox({0, 0}, {0, 0, 0, 0}) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
static_assert(philox({ones, ones}, {ones, ones, ones, ones}) == Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
static_assert(philox({0xa4093822, 0x299f31d0}, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}) ==
              Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});

// Word number `position` of a stream, and pair of words without its last bit.
int64_t word(int64_t key, int64_t offset, int64_t position) {
    const auto counter = uint64_t(position >> 2);
    return philox({uint32_t(key), uint32_t(uint64_t(key) >> 32)},
                  {uint32_t(counter), uint32_t(counter >> 32), uint32_t(offset),
                   uint32_t(uint64_t(offset) >> 32)})[size_t(position & 3)];
}
int64_t bits(int64_t key, int64_t offset, int64_t position) {
    const auto high = uint64_t(word(key, offset, 2 * position)), low = uint64_t(word(key, offset, 2 * position + 1));
    return int64_t((high << 32 | low) >> 1);
}
constexpr std::pair<const char*, int64_t (*)(int64_t, int64_t, int64_t)> functions[] = {{"random_word", word},
                                                                                        {"random_bits", bits}};

TEST(RandomNumbers, DefinitionAndProgramArePhilox) {
    std::mt19937_64 random(1);
    using N = scalar::Number<int64_t>;
    for (int turn = 0; turn < 400; ++turn) {
        const auto key = int64_t(random()), offset = int64_t(random());
        const auto position = int64_t(turn < 20 ? uint64_t(turn) : random() >> (2 + turn % 50));
        EXPECT_EQ(scalar::RandomWord::of(N{key}, N{offset}, N{position}).value, word(key, offset, position));
        EXPECT_EQ(scalar::RandomBits::of(N{key}, N{offset}, N{position}).value, bits(key, offset, position));
        for (const auto& [name, expected] : functions) {
            const uint64_t operands[] = {uint64_t(key), uint64_t(offset), uint64_t(position)};
            EXPECT_EQ(evaluate(*scalar::program_of(name, DType::i64), operands),
                      uint64_t(expected(key, offset, position)));
        }
    }
}

// In order from anywhere, and in no order: strides, backwards, repeated, with keys and offsets that change.
TEST(RandomNumbers, RoutinesGiveTheirElementsInAnyOrder) {
    std::mt19937_64 random(2);
    const auto below = [&](uint64_t n) { return int64_t(random() % n); };
    std::vector<InstructionSet> sets{InstructionSet::avx2};
    if (best_instruction_set() != InstructionSet::avx2) sets.push_back(best_instruction_set());
    for (int turn = 0; turn < 600; ++turn) {
        const auto n = size_t(turn % 5 == 0 ? below(200) : below(40));
        const int64_t first = below(3) ? below(50) : int64_t(random() >> 4), step = below(3) ? 1 : below(7) - 3;
        std::vector<int64_t> key(n + 1, int64_t(random())), offset(n + 1, below(1000)), position(n + 1);
        for (size_t k = 0; k <= n; ++k) position[k] = first + 200 + int64_t(k) * step;
        if (n && below(4) == 0) position[size_t(below(n))] = below(100);
        if (n && below(6) == 0) key[size_t(below(n))] += 1;
        if (n && below(6) == 0) offset[size_t(below(n))] += 1;
        for (const auto& [name, expected] : functions)
            for (InstructionSet set : sets)
                for (unsigned single = 0; single < 8; ++single) {
                    std::vector<int64_t> out = position;  // in the memory of the positions, where these are many
                    const int64_t* from = single & 4 ? position.data() : out.data();
                    (*find_routine(name, DType::i64, set))(out.data(), key.data(), offset.data(), from, int64_t(n),
                                                           single);
                    for (size_t k = 0; k < n; ++k)
                        ASSERT_EQ(out[k], expected(key[single & 1 ? 0 : k], offset[single & 2 ? 0 : k],
                                                   position[single & 4 ? 0 : k]))
                            << name << ", element " << k << " of " << n << ", single " << single;
                    ASSERT_EQ(out[n], position[n]) << "written past the end";
                }
    }
}

// Of a float as many bits as its significand has, so that 1 is never reached.
double uniform(DType dtype, int64_t key, int64_t offset, int64_t position) {
    if (dtype == DType::f64) return std::ldexp(double(bits(key, offset, position) >> 10), -53);
    const int kept = dtype == DType::f32 ? 24 : dtype == DType::f16 ? 11 : 8;
    return std::ldexp(double(word(key, offset, position) >> (32 - kept)), -kept);
}

TEST(RandomNumbers, KernelsDrawByPlace) {
    Context context;
    Computer computer(2);
    const int64_t key = 0x123456789abcdef, offset = int64_t(1) << 40;
    const std::vector<Tensor> stream = {Tensor::from<int64_t>(computer.allocator(), std::array{key}, {}),
                                        Tensor::from<int64_t>(computer.allocator(), std::array{offset}, {})};
    std::vector<EngineKind> engines = {EngineKind::interp};
    if (has_llvm_backend()) engines.push_back(EngineKind::jit);
    for (DType dtype : {DType::f64, DType::f32, DType::f16, DType::bf16, DType::i64}) {
        const std::string type(name_of(dtype));
        // Whole; and the columns 3, 5, … of rows that counters do not end with, backwards.
        const GraphRef graph = parse_graph(context, "graph f(k: i64[], o: i64[]) -> " + type + "[301, 1003], " + type +
                                                        "[1003, 301] {\n"
                                                        "    r = random(k, o, sizes: [301, 1003], dtype: " +
                                                        type + ")  : " + type +
                                                        "[301, 1003]\n"
                                                        "    s = random(k, o, sizes: [301, 1003], dtype: " +
                                                        type + ")  : " + type +
                                                        "[301, 1003]\n"
                                                        "    t = permute(s, axes: [1, 0])  : " +
                                                        type +
                                                        "[1003, 301]\n"
                                                        "    u = flip(t, axes: [0])  : " +
                                                        type +
                                                        "[1003, 301]\n"
                                                        "    v = neg(u)  : " +
                                                        type +
                                                        "[1003, 301]\n"
                                                        "    return r, v\n}\n");
        for (EngineKind engine : engines) {
            const std::vector<Tensor> made = computer.run(graph, stream, engine);
            visit_dtype(dtype, [&]<class T>() {
                for (int64_t i = 0; i < 301; ++i)
                    for (int64_t j = 0; j < 1003; ++j) {
                        const T got = made[0].data<T>()[i * 1003 + j];
                        if (dtype == DType::i64) ASSERT_EQ(int64_t(got), bits(key, offset, i * 1003 + j));
                        else ASSERT_EQ(double(got), uniform(dtype, key, offset, i * 1003 + j)) << i << ", " << j;
                        ASSERT_TRUE(dtype == DType::i64 || double(got) < 1);
                        ASSERT_EQ(T(-got), made[1].data<T>()[(1002 - j) * 301 + i]);
                    }
            });
        }
    }
}

}  // namespace
}  // namespace tenon
