// Threads that work for the one that has started them.
#pragma once

#include <pthread.h>

#include <functional>

namespace tenon {

/// A thread that is waited for when it goes. It takes no Ctrl-C, which is for the thread that runs the script, and its
/// stack is as large as a process has by default, whatever the limit of this process: it may have to compile.
class WorkerThread {
public:
    WorkerThread() = default;
    /// Throws std::system_error where the system grants no thread.
    explicit WorkerThread(std::function<void()> body);
    ~WorkerThread();
    WorkerThread(WorkerThread&& other) noexcept;
    WorkerThread& operator=(WorkerThread&& other) noexcept;

    bool is_running() const { return running_; }
    /// Runs it on any processor that the calling thread may use but this one, as far as the system lets it.
    void keep_off(int processor);

private:
    void join();

    pthread_t thread_{};
    bool running_ = false;
};

}  // namespace tenon
