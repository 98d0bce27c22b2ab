// Memory of tensors. Fresh memory is dear (the first touch of a page costs more than the work on it), so what is
// returned is kept by size class and handed out again.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/device.h"
#include "runtime/ref.h"

namespace tenon {

class MemoryPool;
class Storage;

/// Whether the system would map so many more bytes now.
bool system_has_room(size_t bytes);

/// In bytes, except for the counts.
struct MemoryStatistics {
    size_t current = 0;        ///< in use by storages
    size_t peak = 0;           ///< the largest `current` since the start or reset_peak()
    size_t reserved = 0;       ///< held from the system: in use, or kept for reuse
    uint64_t allocations = 0;  ///< calls so far
    uint64_t reused = 0;       ///< of those, served from memory that was kept
};

/// A handle on a pool of memory; copies share the pool. Thread-safe. The pool lives until its last storage is gone.
class Allocator {
public:
    static constexpr size_t alignment = 64;

    /// `limit`: the most bytes it may reserve; 0 means what the machine (or its container) has.
    explicit Allocator(Device device = {}, size_t limit = 0);
    explicit Allocator(Ref<MemoryPool> pool);
    Allocator(const Allocator&);
    Allocator(Allocator&&) noexcept;
    Allocator& operator=(Allocator) noexcept;
    ~Allocator();

    /// At least `bytes` bytes, 64-byte aligned, uninitialised. Throws Error "memory" when there is not that much.
    Ref<Storage> allocate(size_t bytes) const;

    MemoryStatistics statistics() const;
    void reset_peak() const;
    /// Gives what is kept for reuse back to the system; returns how many bytes that was.
    size_t trim() const;

private:
    Ref<MemoryPool> pool_;
};

}  // namespace tenon
