#include "runtime/workspace.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <new>

namespace tenon {

namespace {

constexpr size_t smallest_bits = 12;
constexpr size_t huge_page = 2 << 20;

size_t class_of(size_t bytes) { return std::bit_width((bytes - 1) >> smallest_bits); }
size_t capacity(size_t size_class) { return size_t{1} << (smallest_bits + size_class); }

}  // namespace

WorkspacePool::~WorkspacePool() {
    for (auto& kept : free_)
        for (std::atomic<std::byte*>& place : kept) std::free(place.load(std::memory_order_acquire));
}

std::byte* WorkspacePool::take(size_t size_class) {
    for (std::atomic<std::byte*>& place : free_[size_class]) {
        if (!place.load(std::memory_order_relaxed)) continue;
        if (std::byte* const found = place.exchange(nullptr, std::memory_order_acquire)) return found;
    }
    const size_t bytes = capacity(size_class);
    void* const memory = std::aligned_alloc(bytes >= huge_page ? huge_page : 64, bytes);
    if (!memory) throw std::bad_alloc();
    if (bytes >= huge_page) madvise(memory, bytes, MADV_HUGEPAGE);
    return static_cast<std::byte*>(memory);
}

void WorkspacePool::give(std::byte* memory, size_t size_class) noexcept {
    for (std::atomic<std::byte*>& place : free_[size_class]) {
        std::byte* nothing = nullptr;
        if (place.load(std::memory_order_relaxed)) continue;
        if (place.compare_exchange_strong(nothing, memory, std::memory_order_release, std::memory_order_relaxed))
            return;
    }
    std::free(memory);
}

std::byte* Workspace::reserve(size_t bytes) {
    if (memory_ && bytes <= capacity(size_class_)) return memory_;
    release();
    const size_t wanted = class_of(std::max<size_t>(bytes, 1));
    if (wanted >= WorkspacePool::class_count) throw std::bad_alloc();
    memory_ = pool_.take(wanted);
    size_class_ = wanted;
    return memory_;
}

void Workspace::release() noexcept {
    if (memory_) pool_.give(memory_, size_class_);
    memory_ = nullptr;
}

}  // namespace tenon
