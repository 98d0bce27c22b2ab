// Kernels on their way to machine code: two threads that make it, what waits for them, and who waits.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "runtime/worker_thread.h"

namespace tenon {

struct CachedKernel;

class CompileQueue {
public:
    /// `compile` makes the code of one kernel, where there is none yet. It is called on several threads, for different
    /// kernels; what it throws goes to those who wait.
    using Compile = std::function<void(CachedKernel&, bool in_background)>;
    /// At most so many threads for kernels that nobody waits for.
    CompileQueue(Compile compile, int background_threads);
    ~CompileQueue();  ///< waits for the kernels at hand, no more
    CompileQueue(const CompileQueue&) = delete;
    CompileQueue& operator=(const CompileQueue&) = delete;

    struct Request {
        std::shared_ptr<CachedKernel> kernel;
        double weight = 0;  ///< the heaviest are compiled first
    };
    /// Returns when all are compiled. Throws what the first that failed has thrown, and Interrupted at once: what is
    /// being compiled then is compiled for the next who asks.
    void now(std::span<const Request>);
    /// Throws std::system_error where the system grants no thread.
    void later(std::span<const Request>);
    /// While held, no kernel is begun that nobody waits for.
    void hold(bool held);
    /// Returns when nothing is queued.
    void wait();

private:
    static constexpr int most_threads = 2;
    struct Waiter;
    struct Job {
        Request request;
        std::shared_ptr<Waiter> waiter;  // of a kernel that is awaited
    };
    void start_threads();               // with mutex_ held; throws std::system_error
    std::vector<Job>::iterator next();  // with mutex_ held; the end where nothing may be begun
    void work();

    const Compile compile_;
    const int background_threads_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Job> jobs_;
    std::vector<CachedKernel*> at_work_;
    int in_background_ = 0;  // of those at work
    bool held_ = false, stopping_ = false;
    std::vector<WorkerThread> threads_;  // started by the first job; the first to go, so they are waited for
};

}  // namespace tenon
