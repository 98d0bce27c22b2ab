// Moving elements between memory and blocks. The same instructions serve every CPU: nothing is computed.
#include <cassert>
#include <cstring>

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

void iota(int64_t* out, int64_t start, int64_t step, int64_t n) {
    for (int64_t i = 0; i < n; ++i) out[i] = start + i * step;
}

}  // namespace tenon
