// Memory for syntax trees: pieces are handed out one after another and go away together.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace tenon {

/// Owns what is made in it until it is destroyed; no destructor of a piece ever runs.
class Arena {
public:
    template <class T, class... Arguments>
    T* make(Arguments&&... arguments) {
        static_assert(std::is_trivially_destructible_v<T>);
        return ::new (allocate(sizeof(T), alignof(T))) T{std::forward<Arguments>(arguments)...};
    }

    /// A copy of `items` that lives as long as the arena.
    template <class T>
    std::span<T> copy(const std::vector<T>& items) {
        static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);
        if (items.empty()) return {};
        T* place = static_cast<T*>(allocate(items.size() * sizeof(T), alignof(T)));
        std::uninitialized_copy(items.begin(), items.end(), place);
        return {place, items.size()};
    }

    void* allocate(size_t bytes, size_t alignment) {
        size_t start = (used_ + alignment - 1) / alignment * alignment;
        if (start + bytes > capacity_) {
            capacity_ = std::max(bytes, chunk_bytes);
            chunks_.push_back(std::make_unique_for_overwrite<std::byte[]>(capacity_));
            start = 0;
        }
        used_ = start + bytes;
        return chunks_.back().get() + start;
    }

private:
    static constexpr size_t chunk_bytes = 32 * 1024;

    std::vector<std::unique_ptr<std::byte[]>> chunks_;
    size_t used_ = 0, capacity_ = 0;
};

}  // namespace tenon
