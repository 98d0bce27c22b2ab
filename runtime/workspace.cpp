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

std::unique_ptr<Workspace> WorkspacePool::take() {
    {
        const std::lock_guard lock(mutex_);
        if (!free_.empty()) {
            std::unique_ptr<Workspace> workspace = std::move(free_.back());
            free_.pop_back();
            return workspace;
        }
    }
    return std::make_unique<Workspace>();
}

void WorkspacePool::give(std::unique_ptr<Workspace> workspace) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(workspace));
}

}  // namespace tenon
