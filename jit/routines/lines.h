// Moving memory that lies otherwise than it is wanted, or that is too much for caches.
#pragma once
#include <cstddef>
#include <cstdint>

namespace tenon {

/// out[r · n + i] = base[i · stride + r] for `lines` times n elements of `size` bytes: 1, 2, 4 or 8. Strides count elements.
void load_lines(void* out, const void* base, int64_t stride, size_t size, int64_t lines, int64_t n);

/// Past the caches; others see it after a store fence of the calling thread. No overlap.
void copy_past_caches(void* to, const void* from, size_t bytes);

}  // namespace tenon
