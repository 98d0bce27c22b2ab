#include "runtime/workspace.h"

#include <cstdint>
#include <utility>

namespace tenon {

std::byte* Workspace::reserve(size_t bytes) {
    constexpr size_t alignment = 64;
    if (memory_.size() < bytes + alignment) {
        memory_ = {};
        memory_.resize((bytes + alignment) * 5 / 4);
    }
    const auto address = reinterpret_cast<uintptr_t>(memory_.data());
    return memory_.data() + (alignment - address % alignment) % alignment;
}

WorkspacePool::~WorkspacePool() {
    for (std::atomic<Workspace*>& place : free_)
        std::unique_ptr<Workspace>(place.load(std::memory_order_acquire)).reset();
}

std::unique_ptr<Workspace> WorkspacePool::take() {
    for (std::atomic<Workspace*>& place : free_) {
        if (!place.load(std::memory_order_relaxed)) continue;
        if (Workspace* const found = place.exchange(nullptr, std::memory_order_acquire))
            return std::unique_ptr<Workspace>(found);
    }
    return std::make_unique<Workspace>();
}

void WorkspacePool::give(std::unique_ptr<Workspace> workspace) {
    for (std::atomic<Workspace*>& place : free_) {
        Workspace* nothing = nullptr;
        if (place.load(std::memory_order_relaxed)) continue;
        if (place.compare_exchange_strong(nothing, workspace.get(), std::memory_order_release,
                                          std::memory_order_relaxed)) {
            static_cast<void>(workspace.release());
            return;
        }
    }
}

}  // namespace tenon
