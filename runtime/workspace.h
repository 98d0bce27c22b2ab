// Scratch memory that threads at work borrow.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
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

/// Lends workspaces; there are as many as threads ever worked at once. Thread-safe.
class WorkspacePool {
public:
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

    std::mutex mutex_;
    std::vector<std::unique_ptr<Workspace>> free_;
};

}  // namespace tenon
