// Threads that work through the tiles of a kernel. Tiles decide what is computed, threads only when: results never
// depend on their number.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "runtime/function_ref.h"

namespace tenon {

class ThreadPool {
public:
    /// `threads` counts the caller too; below 1 means one per core. Threads start at the first parallel_for that has
    /// more than one tile.
    explicit ThreadPool(int threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int threads() const { return threads_; }
    /// How often threads were sent to work, and waited for at the end.
    int64_t regions() const { return regions_; }

    /// Calls tile(0) … tile(count − 1), each once, on the caller and the workers, claimed in ascending order; returns
    /// when all are done. If tiles throw, the exception of the lowest one is rethrown here and unclaimed tiles are
    /// dropped; so they are where an interrupt is wanted and the caller may take it, which is then thrown, whatever else
    /// tiles threw. A call from within a tile, or while another thread uses the pool, runs its tiles in order by itself.
    void parallel_for(int64_t count, FunctionRef<void(int64_t)> tile);

private:
    class Crew;

    int threads_;
    int64_t regions_ = 0;    // counted by who is inside
    std::atomic_flag busy_;  // somebody is inside parallel_for
    std::unique_ptr<Crew> crew_;
};

}  // namespace tenon
