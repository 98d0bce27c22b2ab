// Packing. Lines whose elements are neighbours are transposed in registers, lines that are neighbours copied.
#include "jit/contract/panels.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "jit/contract/transpose.h"

namespace tenon::contract {

namespace {

// The first `kept` elements of a vector.
template <int kept, class T>
void store_first(T* to, __m256 v) {
    float* const p = reinterpret_cast<float*>(to);
    if constexpr (kept == 8) _mm256_storeu_ps(p, v);
    else _mm_storeu_ps(p, _mm256_castps256_ps128(v));
    if constexpr (kept == 6) _mm_storel_pi(reinterpret_cast<__m64*>(p + 4), _mm256_extractf128_ps(v, 1));
}
template <int kept, class T>
void store_first(T* to, __m256d v) {
    double* const p = reinterpret_cast<double*>(to);
    if constexpr (kept == 4) _mm256_storeu_pd(p, v);
    else _mm_storeu_pd(p, _mm256_castpd256_pd128(v));
}

template <int width, class E, class T>
void pack_one_by_one(const Lines<E>& from, int64_t lines, int64_t begin, int64_t end, T* to) {
    for (int64_t p = begin; p < end; ++p) {
        for (int64_t i = 0; i < lines; ++i) to[p * width + i] = T(from.data[i * from.line + p * from.step]);
        std::fill(to + p * width + lines, to + (p + 1) * width, T(0));
    }
}

// A cache line of each line at a time; or, where equal elements of all lines share a set of the first cache, which has room for
// eight, no more than eight lines at a time.
template <int width, class E, class T>
void pack_transposed(const Lines<E>& from, int64_t lines, int64_t depth, T* to) {
    constexpr int lanes = 32 / int(sizeof(T)), half = lanes / 2;
    const int64_t whole = depth / half * half;
    const int64_t together = share_a_set<E>(from.line) ? whole : 64 / int64_t(sizeof(E));
    for (int64_t begin = 0; begin < whole; begin += together) {
        const int64_t end = std::min(begin + together, whole);
        const auto block = [&]<int first>() {
            if (first >= lines) return;
            const E* line[lanes];
            for (int i = 0; i < lanes; ++i) line[i] = from.data + std::min(first + i, int(lines) - 1) * from.line;
            for (int64_t p = begin; p < end; p += half) {
                const auto block = transposed<T>([&](int i) { return line[i] + p; });
                for (int q = 0; q < half; ++q)
                    store_first<std::min(lanes, width - first)>(to + (p + q) * width + first, block.rows[q]);
            }
        };
        [&]<int... k>(std::integer_sequence<int, k...>) {
            (block.template operator()<k * lanes>(), ...);
        }(std::make_integer_sequence<int, (width + lanes - 1) / lanes>());
    }
    pack_one_by_one<width>(from, lines, whole, depth, to);
}

// A row of some panels at a time: rows may lie far apart, so they are asked for early.
template <int width, class E, class T>
void pack_side_by_side(const Lines<E>& from, int64_t lines, int64_t depth, T* to) {
    constexpr int half = 16 / int(sizeof(T));
    constexpr int64_t ahead = 4, together = 8 * width, line = 64 / int64_t(sizeof(E));
    for (int64_t first = 0; first < lines; first += together) {
        const int64_t count = std::min(together, lines - first), whole = count / width * width;
        const E* row = from.data + first;
        T* panel = to + first * depth;
        for (int64_t p = 0; p < depth; ++p, row += from.step, panel += width) {
            if (p + ahead < depth)
                for (int64_t j = 0; j < count; j += line) __builtin_prefetch(row + ahead * from.step + j);
            for (int64_t j = 0; j < whole; j += width) {
                T* const out = panel + j * depth;
                if constexpr (sizeof(E) == sizeof(T)) {
                    std::memcpy(out, row + j, width * sizeof(T));  // of so many that it is a few moves
                } else {
                    constexpr int vectors = width / half * half;
                    for (int q = 0; q < vectors; q += half) {
                        const auto v = half_vector(row + j + q);
                        std::memcpy(out + q, &v, sizeof v);
                    }
                    for (int q = vectors; q < width; ++q) out[q] = T(row[j + q]);
                }
            }
            if (whole == count) continue;
            T* const out = panel + whole * depth;
            if constexpr (sizeof(E) == sizeof(T)) std::memcpy(out, row + whole, size_t(count - whole) * sizeof(T));
            else std::copy(row + whole, row + count, out);
            std::fill(out + (count - whole), out + width, T(0));
        }
    }
}

template <int width, class E, class T>
void pack_width(const Lines<E>& from, int64_t lines, int64_t depth, T* to) {
    if (from.line == 1 && (lines > 1 || from.step != 1)) pack_side_by_side<width>(from, lines, depth, to);
    else
        for (int64_t i = 0; i < lines; i += width, to += width * depth) {
            const int64_t count = std::min<int64_t>(width, lines - i);
            if (from.step == 1) pack_transposed<width>(from.at(i, 0), count, depth, to);
            else pack_one_by_one<width>(from.at(i, 0), count, 0, depth, to);
        }
}

}  // namespace

template <class E, class T>
void pack_lines(const Lines<E>& from, int64_t lines, int64_t depth, int64_t width, T* to) {
    assert(lines > 0);
    constexpr const int64_t(&widths)[4] = packed_widths<T>;
    if (width == widths[0]) pack_width<widths[0]>(from, lines, depth, to);
    else if (width == widths[1]) pack_width<widths[1]>(from, lines, depth, to);
    else if (width == widths[2]) pack_width<widths[2]>(from, lines, depth, to);
    else {
        assert(width == widths[3]);
        pack_width<widths[3]>(from, lines, depth, to);
    }
}

#define TENON_PACK(E, T) template void pack_lines(const Lines<E>&, int64_t, int64_t, int64_t, T*);
TENON_PACK(float, float)
TENON_PACK(Half, float)
TENON_PACK(BFloat16, float)
TENON_PACK(double, double)
TENON_PACK(int32_t, uint32_t)
TENON_PACK(int16_t, uint32_t)
TENON_PACK(int8_t, uint32_t)
TENON_PACK(uint8_t, uint32_t)
TENON_PACK(int64_t, uint64_t)
#undef TENON_PACK

}  // namespace tenon::contract
