// Moving elements between memory and blocks. The same instructions serve every CPU: nothing is computed.
#include <immintrin.h>

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstring>

#include "jit/routines/lines.h"
#include "jit/routines/routines.h"

namespace tenon {
namespace {

// Calls f with a value of an unsigned type of `size` bytes.
template <class F>
void with_size(size_t size, F f) {
    switch (size) {
        case 1: return f(uint8_t{});
        case 2: return f(uint16_t{});
        case 4: return f(uint32_t{});
        case 8: return f(uint64_t{});
    }
    assert(false && "elements are 1, 2, 4 or 8 bytes");
}

}  // namespace

void fill(void* out, const void* element, size_t size, int64_t n) {
    with_size(size, [&](auto value) {
        std::memcpy(&value, element, sizeof value);
        auto to = static_cast<decltype(value)*>(out);
        for (int64_t i = 0; i < n; ++i) to[i] = value;
    });
}

void load_strided(void* out, const void* base, int64_t stride, size_t size, int64_t n) {
    if (stride == 1) {
        if (n > 0) std::memcpy(out, base, size_t(n) * size);
        return;
    }
    if (stride == 0) return n > 0 ? fill(out, base, size, n) : void();
    with_size(size, [&]<class T>(T) {
        auto to = static_cast<T*>(out);
        auto from = static_cast<const T*>(base);
        for (int64_t i = 0; i < n; ++i) to[i] = from[i * stride];
    });
}

namespace {

// Squares of four lines and four lanes, or of two and two, by shuffles of registers.
void transpose_square(uint32_t* out, const uint32_t* base, int64_t stride, int64_t n) {
    const auto line = [&](int64_t i) { return _mm_loadu_ps(reinterpret_cast<const float*>(base + i * stride)); };
    __m128 a = line(0), b = line(1), c = line(2), d = line(3);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    const auto put = [&](int64_t r, __m128 x) { _mm_storeu_ps(reinterpret_cast<float*>(out + r * n), x); };
    put(0, a), put(1, b), put(2, c), put(3, d);
}
void transpose_square(uint64_t* out, const uint64_t* base, int64_t stride, int64_t n) {
    const auto line = [&](int64_t i) { return _mm_loadu_pd(reinterpret_cast<const double*>(base + i * stride)); };
    const __m128d a = line(0), b = line(1);
    _mm_storeu_pd(reinterpret_cast<double*>(out), _mm_unpacklo_pd(a, b));
    _mm_storeu_pd(reinterpret_cast<double*>(out + n), _mm_unpackhi_pd(a, b));
}

}  // namespace

void load_lines(void* out, const void* base, int64_t stride, size_t size, int64_t lines, int64_t n) {
    with_size(size, [&]<class T>(T) {
        auto to = static_cast<T*>(out);
        auto from = static_cast<const T*>(base);
        int64_t lanes_done = 0, lines_done = 0;
        if constexpr (sizeof(T) >= 4) {
            constexpr int64_t side = 16 / sizeof(T);
            lanes_done = n / side * side;
            lines_done = lines / side * side;
            for (int64_t i = 0; i < lanes_done; i += side)
                for (int64_t r = 0; r < lines_done; r += side)
                    transpose_square(to + r * n + i, from + i * stride + r, stride, n);
        }
        for (int64_t i = 0; i < n; ++i)
            for (int64_t r = i < lanes_done ? lines_done : 0; r < lines; ++r) to[r * n + i] = from[i * stride + r];
    });
}

void store_strided(void* base, int64_t stride, const void* values, size_t size, int64_t n) {
    if (stride == 1) {
        if (n > 0) std::memcpy(base, values, size_t(n) * size);
        return;
    }
    with_size(size, [&]<class T>(T) {
        auto to = static_cast<T*>(base);
        auto from = static_cast<const T*>(values);
        for (int64_t i = 0; i < n; ++i) to[i * stride] = from[i];
    });
}

void load_indexed(void* out, const void* base, const int64_t* indices, size_t size, int64_t n) {
    with_size(size, [&]<class T>(T) {
        auto to = static_cast<T*>(out);
        auto from = static_cast<const T*>(base);
        for (int64_t i = 0; i < n; ++i) to[i] = from[indices[i]];
    });
}

void store_indexed(void* base, const int64_t* indices, const void* values, size_t size, int64_t n) {
    with_size(size, [&]<class T>(T) {
        auto to = static_cast<T*>(base);
        auto from = static_cast<const T*>(values);
        for (int64_t i = 0; i < n; ++i) to[indices[i]] = from[i];
    });
}

void copy_past_caches(void* to, const void* from, size_t bytes) {
    auto* out = static_cast<std::byte*>(to);
    auto* in = static_cast<const std::byte*>(from);
    const size_t odd = std::min<size_t>(-reinterpret_cast<uintptr_t>(out) & 15, bytes);
    std::memcpy(out, in, odd);
    size_t k = odd;
    for (; k + 16 <= bytes; k += 16)
        _mm_stream_si128(reinterpret_cast<__m128i*>(out + k),
                         _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + k)));
    std::memcpy(out + k, in + k, bytes - k);
}

void iota(int64_t* out, int64_t start, int64_t step, int64_t n) {
    for (int64_t i = 0; i < n; ++i) out[i] = start + i * step;
}

}  // namespace tenon
