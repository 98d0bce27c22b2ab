// What emitted kernels are written with. Plain CUDA C++ without any header, for NVRTC and nvcc alike.
#pragma once

namespace tenon {

using i8 = signed char;
using i16 = short;
using i32 = int;
using i64 = long long;
using u8 = unsigned char;
using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;
using f32 = float;
using f64 = double;

// ---- 16-bit floats: held as floats that are one of theirs, u16 in memory ----

__device__ inline float from_f16(u16 bits) {
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
    return x;
}
__device__ inline u16 to_f16(float x) {
    u16 bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return bits;
}
__device__ inline float nearest_f16(float x) { return from_f16(to_f16(x)); }

__device__ inline float from_bf16(u16 bits) { return __int_as_float(int(u32(bits) << 16)); }
__device__ inline u16 to_bf16(float x) {
    const u32 bits = u32(__float_as_int(x));
    if (x != x) return u16((bits | 0x400000u) >> 16);
    return u16((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);  // nearest, ties to even
}
__device__ inline float nearest_bf16(float x) { return from_bf16(to_bf16(x)); }

// ---- positions ----

// ⌊a / b⌋ and its remainder; a divisor of 0 belongs to an empty loop.
__device__ inline i64 floor_divide_position(i64 a, i64 b) {
    if (b == 0) return 0;
    const i64 quotient = a / b;
    return quotient - (a % b != 0 && (a < 0) != (b < 0));
}
__device__ inline i64 remainder_position(i64 a, i64 b) { return a - b * floor_divide_position(a, b); }
__device__ inline i64 smaller(i64 a, i64 b) { return a < b ? a : b; }
__device__ inline i64 larger(i64 a, i64 b) { return a > b ? a : b; }

// ---- folds, in the order of the numeric contract ----

__device__ inline float other_lane(float x, int width) { return __shfl_xor_sync(~0u, x, width); }
__device__ inline double other_lane(double x, int width) { return __shfl_xor_sync(~0u, x, width); }
template <class T>
__device__ inline T other_lane(T x, int width) {
    return T(__shfl_xor_sync(~0u, i64(x), width));
}

// Lane i with lane i + w for w = 16, 8, 4, 2, 1; every lane gets the result.
template <class T, class Combine>
__device__ inline T across_lanes(T x, Combine combine) {
    const int lane = threadIdx.x & 31;
    for (int width = 16; width >= 1; width /= 2) {
        const T other = other_lane(x, width);
        x = lane & width ? combine(other, x) : combine(x, other);
    }
    return x;
}

// The last axis, by one warp: chunks of 1,024 elements, element k of one in lane k mod 32; chunk results like elements.
// Called by all lanes of a warp together.
template <class T, class Element, class Combine>
__device__ inline T fold_lanes(T identity, i64 low, i64 high, Element element, Combine combine) {
    constexpr i64 chunk = 1024;
    constexpr int levels = 4;  // of chunk results: 1,024^5 elements
    const int lane = threadIdx.x & 31;
    T partial[levels];
    i64 counts[levels];
    for (int k = 0; k < levels; ++k) partial[k] = identity, counts[k] = 0;
    T result = identity;
    i64 begin = low;
    do {
        T sum = identity;
        const i64 end = smaller(begin + chunk, high);
        for (i64 k = begin + lane; k < end; k += 32) sum = combine(sum, element(k));
        result = across_lanes(sum, combine);
        begin += chunk;
        if (high - low <= chunk) return result;
        // Result c of a level goes to lane c mod 32 of the next; 1,024 of them, or the last of all, are a chunk of it.
        for (int k = 0; k < levels; ++k) {
            if (lane == (counts[k] & 31)) partial[k] = combine(partial[k], result);
            if (++counts[k] < chunk && begin < high) break;
            result = across_lanes(partial[k], combine);
            partial[k] = identity;
            counts[k] = 0;
        }
    } while (begin < high);
    return result;
}

// Other axes, by one thread: in order within chunks of 64, chunk results likewise.
template <class T, class Element, class Combine>
__device__ inline T fold_rows(T identity, i64 low, i64 high, Element element, Combine combine) {
    constexpr i64 chunk = 64;
    constexpr int levels = 6;
    T partial[levels];
    i64 counts[levels];
    for (int k = 0; k < levels; ++k) partial[k] = identity, counts[k] = 0;
    T result = identity;
    for (i64 begin = low; begin < high; begin += chunk) {
        T sum = identity;
        const i64 end = smaller(begin + chunk, high);
        for (i64 k = begin; k < end; ++k) sum = combine(sum, element(k));
        result = sum;
        for (int k = 0; k < levels; ++k) {
            partial[k] = combine(partial[k], result);
            if (++counts[k] < chunk && end < high) break;
            result = partial[k];
            partial[k] = identity;
            counts[k] = 0;
        }
    }
    return result;
}

}  // namespace tenon
