// Normal numbers from Philox4x32-10: key and offset give the stream, an element's bits depend on its index in it alone.
// (Uniform ones are computed by the kernels that read them: ir/ops/random.cpp.)
#include <algorithm>
#include <cmath>
#include <numbers>

#include "jit/library/rows.h"
#include "jit/routines/routines.h"

namespace tenon::library {

namespace {

constexpr int64_t block = 1024;  // elements made at a time, a multiple of 4

struct Stream {
    int64_t key, offset;
    InstructionSet instructions;

    // Numbers first, first + 1, …, as the rows random_word and random_bits have them.
    void draw(std::string_view op, int64_t first, int64_t n, int64_t* out) const {
        iota(out, first, 1, n);
        (*find_routine(op, DType::i64, instructions))(out, &key, &offset, out, n, 3);
    }
};

void uniform(const Stream& stream, int64_t first, int64_t n, float* out) {
    int64_t words[block];
    stream.draw("random_word", first, n, words);
    for (int64_t k = 0; k < n; ++k) out[k] = float(int32_t(words[k] >> 8)) * 0x1p-24f;
}
void uniform(const Stream& stream, int64_t first, int64_t n, double* out) {
    int64_t bits[block];
    stream.draw("random_bits", first, n, bits);
    for (int64_t k = 0; k < n; ++k) out[k] = double(bits[k] >> 10) * 0x1p-53;
}

// Box and Muller: a pair of uniform numbers u, v makes √(−2 log(1 − u)) · cos 2πv and the same · sin 2πv.
template <class T>
void normal(const Stream& stream, int64_t first, int64_t n, T* out) {
    T pairs[block], radius[block / 2], angle[block / 2], cosine[block / 2], sine[block / 2];
    const int64_t half = (n + 1) / 2;
    uniform(stream, first, 2 * half, pairs);
    for (int64_t k = 0; k < half; ++k) {
        radius[k] = T(1) - pairs[2 * k];  // exact, and never 0
        angle[k] = pairs[2 * k + 1] * T(2 * std::numbers::pi);
    }
    const auto apply = [&](const char* op, T* to, const T* from) {
        (*find_routine(op, dtype_of<T>, stream.instructions))(to, from, half);
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
void fill(const Stream& stream, int64_t first, int64_t n, T* out) {
    if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>) {
        normal<T>(stream, first, n, out);
    } else if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
        float wide[block];
        normal<float>(stream, first, n, wide);
        for (int64_t k = 0; k < n; ++k) out[k] = T(wide[k]);
    }
}

}  // namespace

void random_normal(const LibraryCall& call) {
    const Stream stream{*call.operands[0].as<int64_t>(), *call.operands[1].as<int64_t>(), call.instructions};
    const int64_t count = call.result.numel(), blocks = (count + block - 1) / block;
    visit_dtype(call.result.dtype, [&]<class T>() {
        const auto make = [&](int64_t tile) {
            fill<T>(stream, tile * block, std::min(block, count - tile * block), call.result.as<T>() + tile * block);
        };
        if (blocks < 16)
            for (int64_t tile = 0; tile < blocks; ++tile) make(tile);
        else call.pool.parallel_for(blocks, make);
    });
}

}  // namespace tenon::library
