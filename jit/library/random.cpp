// Random numbers from Philox4x32-10: key and offset give the stream, an element's bits depend on its index in it alone.
#include <algorithm>
#include <cstring>
#include <numbers>

#include "jit/library/rows.h"
#include "jit/routines/routines.h"
#include "runtime/philox.h"

namespace tenon::library {

namespace {

constexpr int64_t block = 1024;  // elements made at a time, a multiple of 4

struct Stream {
    PhiloxKey key;
    uint32_t low, high;  // the offset: two words of the counter
    Stream(int64_t k, int64_t offset)
        : key{uint32_t(uint64_t(k)), uint32_t(uint64_t(k) >> 32)}, low(uint32_t(uint64_t(offset))),
          high(uint32_t(uint64_t(offset) >> 32)) {}
    // The four words number `index` of this stream.
    std::array<uint32_t, 4> words(uint64_t index) const {
        return philox4x32_10(key, {uint32_t(index), uint32_t(index >> 32), low, high});
    }
};

// f32: four elements a counter. Wider elements take two words each, so two.
void uniform(const Stream& stream, int64_t first, int64_t n, float* out) {
    for (int64_t k = 0; k < n; k += 4) {
        const auto words = stream.words(uint64_t(first + k) / 4);
        for (int64_t j = 0; j < std::min<int64_t>(4, n - k); ++j) out[k + j] = uniform_f32(words[size_t(j)]);
    }
}
void uniform(const Stream& stream, int64_t first, int64_t n, double* out) {
    for (int64_t k = 0; k < n; k += 2) {
        const auto words = stream.words(uint64_t(first + k) / 2);
        for (int64_t j = 0; j < std::min<int64_t>(2, n - k); ++j)
            out[k + j] = uniform_f64(words[size_t(2 * j)], words[size_t(2 * j + 1)]);
    }
}

// Box and Muller: a pair of uniform numbers u, v makes √(−2 log(1 − u)) · cos 2πv and the same · sin 2πv.
template <class T>
void normal(const Stream& stream, int64_t first, int64_t n, T* out, InstructionSet instructions) {
    T pairs[block], radius[block / 2], angle[block / 2], cosine[block / 2], sine[block / 2];
    const int64_t half = (n + 1) / 2;
    uniform(stream, first, 2 * half, pairs);
    for (int64_t k = 0; k < half; ++k) {
        radius[k] = T(1) - pairs[2 * k];  // exact, and never 0
        angle[k] = pairs[2 * k + 1] * T(2 * std::numbers::pi);
    }
    const auto apply = [&](const char* op, T* to, const T* from) {
        (*find_routine(op, dtype_of<T>, instructions))(to, from, half);
    };
    apply("log", radius, radius);
    for (int64_t k = 0; k < half; ++k) radius[k] *= T(-2);
    apply("sqrt", radius, radius);
    apply("cos", cosine, angle);
    apply("sin", sine, angle);
    for (int64_t k = 0; k < n; ++k) {
        const T* const turned = k % 2 ? sine : cosine;
        out[k] = radius[k / 2] * turned[k / 2];
    }
}

template <class T>
void fill_random(const Stream& stream, LibraryPlan::Random kind, int64_t first, int64_t n, T* out,
                 InstructionSet instructions) {
    if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>) {
        if (kind == LibraryPlan::Random::normal) normal<T>(stream, first, n, out, instructions);
        else uniform(stream, first, n, out);
    } else if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
        float wide[block];
        fill_random<float>(stream, kind, first, n, wide, instructions);
        // As many bits as the element holds: rounding would reach 1.
        constexpr float steps = std::is_same_v<T, Half> ? 0x1p11f : 0x1p8f;
        for (int64_t k = 0; k < n; ++k)
            out[k] = T(kind == LibraryPlan::Random::normal ? wide[k] : float(int32_t(wide[k] * steps)) / steps);
    } else if constexpr (std::is_same_v<T, int64_t>) {
        for (int64_t k = 0; k < n; ++k) {
            const auto words = stream.words(uint64_t(first + k) / 2);
            const size_t j = size_t(first + k) % 2 * 2;
            out[k] = int64_t((uint64_t(words[j]) << 32 | words[j + 1]) >> 1);
        }
    }
}

}  // namespace

void random(const LibraryCall& call) {
    const Stream stream(*call.operands[0].as<int64_t>(), *call.operands[1].as<int64_t>());
    const int64_t count = call.result.numel(), blocks = (count + block - 1) / block;
    visit_dtype(call.result.dtype, [&]<class T>() {
        const auto make = [&](int64_t tile) {
            fill_random<T>(stream, call.plan.random, tile * block, std::min(block, count - tile * block),
                           call.result.as<T>() + tile * block, call.instructions);
        };
        if (blocks < 16)
            for (int64_t tile = 0; tile < blocks; ++tile) make(tile);
        else call.pool.parallel_for(blocks, make);
    });
}

}  // namespace tenon::library
