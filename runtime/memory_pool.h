// What allocators share: the lists of kept blocks. Included by allocator.cpp only; everybody else uses Allocator.
#pragma once

#include <array>
#include <cstddef>
#include <mutex>
#include <vector>

#include "runtime/allocator.h"
#include "runtime/device.h"
#include "runtime/ref.h"

namespace tenon {

class MemoryPool final : public RefCounted {
public:
    MemoryPool(Device device, size_t limit) : device_(device), limit_(limit) {}
    ~MemoryPool() override;

    Ref<Storage> allocate(size_t bytes);
    void take_back(std::byte* data, size_t bytes, size_t capacity) noexcept;

    MemoryStatistics statistics() const;
    void reset_peak();
    size_t trim();

private:
    std::byte* kept_block(size_t& capacity);
    std::byte* fresh_block(size_t bytes, size_t capacity);
    bool has_room(size_t capacity);
    size_t trim_locked();

    static constexpr size_t class_count = 4 + 4 * 55;  // up to 2^63

    const Device device_;
    size_t limit_;  // 0 until asked for
    mutable std::mutex mutex_;
    MemoryStatistics statistics_;
    std::array<std::vector<std::byte*>, class_count> kept_;
};

}  // namespace tenon
