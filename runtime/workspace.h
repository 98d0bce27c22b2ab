// Scratch memory that threads at work borrow.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

namespace tenon {

/// Scratch memory of one thread at work.
class Workspace {
public:
    /// At least `bytes` bytes, 64-byte aligned; what they held before is lost.
    std::byte* reserve(size_t bytes);

private:
    std::vector<std::byte> memory_;
};

/// Lends workspaces; there are as many as threads ever worked at once. Thread-safe, and takes no lock: each tile of a
/// kernel borrows one.
class WorkspacePool {
public:
    WorkspacePool() = default;
    ~WorkspacePool();
    WorkspacePool(const WorkspacePool&) = delete;
    WorkspacePool& operator=(const WorkspacePool&) = delete;

    class Loan {
    public:
        explicit Loan(WorkspacePool& pool) : pool_(pool), workspace_(pool.take()) {}
        ~Loan() { pool_.give(std::move(workspace_)); }
        Loan(const Loan&) = delete;
        Loan& operator=(const Loan&) = delete;
        Workspace* operator->() const { return workspace_.get(); }
        Workspace& operator*() const { return *workspace_; }

    private:
        WorkspacePool& pool_;
        std::unique_ptr<Workspace> workspace_;
    };

private:
    std::unique_ptr<Workspace> take();
    void give(std::unique_ptr<Workspace> workspace);

    static constexpr size_t most_kept = 64;
    std::array<std::atomic<Workspace*>, most_kept> free_{};  // owned; null where none is
};

}  // namespace tenon
