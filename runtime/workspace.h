// Scratch memory that threads at work borrow.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>

namespace tenon {

/// Keeps the memory that workspaces have given back, by size: to the next power of two. So what is borrowed for one purpose is
/// the same memory again, mapped and near. Thread-safe, and takes no lock: each tile of a kernel borrows some.
class WorkspacePool {
public:
    WorkspacePool() = default;
    ~WorkspacePool();
    WorkspacePool(const WorkspacePool&) = delete;
    WorkspacePool& operator=(const WorkspacePool&) = delete;

private:
    friend class Workspace;
    std::byte* take(size_t size_class);
    void give(std::byte* memory, size_t size_class) noexcept;

    static constexpr size_t class_count = 36, most_kept = 64;                         // from 4 KB on
    std::array<std::array<std::atomic<std::byte*>, most_kept>, class_count> free_{};  // owned; null where none is
};

/// Memory for one piece of work, which the pool has back at its end.
class Workspace {
public:
    explicit Workspace(WorkspacePool& pool) : pool_(pool) {}
    ~Workspace() { release(); }
    Workspace(const Workspace&) = delete;
    Workspace& operator=(const Workspace&) = delete;

    /// At least `bytes` bytes, 64-byte aligned; what was reserved before is lost. Throws std::bad_alloc.
    std::byte* reserve(size_t bytes);

private:
    void release() noexcept;

    WorkspacePool& pool_;
    std::byte* memory_ = nullptr;
    size_t size_class_ = 0;
};

}  // namespace tenon
