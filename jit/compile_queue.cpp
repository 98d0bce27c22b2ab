#include "jit/compile_queue.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <system_error>
#include <utility>

#include "runtime/cpu.h"
#include "runtime/interrupt.h"

namespace tenon {

struct CompileQueue::Waiter {
    size_t open = 0;
    std::exception_ptr error;
};

CompileQueue::CompileQueue(Compile compile, int background_threads)
    : compile_(std::move(compile)), background_threads_(background_threads) {}

CompileQueue::~CompileQueue() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        jobs_.clear();
    }
    changed_.notify_all();
    threads_.clear();
}

void CompileQueue::start_threads() {
    threads_.reserve(most_threads);
    while (threads_.size() < most_threads) {
        try {
            threads_.emplace_back([this] { work(); });
        } catch (const std::system_error&) {
            if (threads_.empty()) throw;
            return;
        }
    }
}

void CompileQueue::now(std::span<const Request> requests) {
    const auto waiter = std::make_shared<Waiter>();
    std::unique_lock lock(mutex_);
    try {
        start_threads();
    } catch (const std::system_error&) {  // the system grants no thread
        lock.unlock();
        for (const Request& request : requests) compile_(*request.kernel, false);
        return;
    }
    for (const Request& request : requests) jobs_.push_back({request, waiter});
    waiter->open = requests.size();
    changed_.notify_all();
    while (waiter->open > 0) {
        changed_.wait_for(lock, std::chrono::milliseconds(10));
        lock.unlock();
        try {
            check_interrupt();
        } catch (...) {
            lock.lock();
            std::erase_if(jobs_, [&](const Job& job) { return job.waiter == waiter; });
            throw;
        }
        lock.lock();
    }
    if (waiter->error) std::rethrow_exception(waiter->error);
}

void CompileQueue::later(std::span<const Request> requests) {
    const std::lock_guard lock(mutex_);
    start_threads();
    for (const Request& request : requests) jobs_.push_back({request, nullptr});
    changed_.notify_all();
}

void CompileQueue::hold(bool held) {
    const std::lock_guard lock(mutex_);
    held_ = held;
    changed_.notify_all();
}

void CompileQueue::wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return jobs_.empty() && at_work_.empty(); });
}

std::vector<CompileQueue::Job>::iterator CompileQueue::next() {
    const bool background = !held_ && in_background_ < background_threads_;
    auto best = jobs_.end();
    for (auto job = jobs_.begin(); job != jobs_.end(); ++job) {
        if (!job->waiter && !background) continue;
        const auto is_better = [&] {
            if (bool(job->waiter) != bool(best->waiter)) return bool(job->waiter);
            return job->request.weight > best->request.weight;
        };
        const auto same = std::find(at_work_.begin(), at_work_.end(), job->request.kernel.get());
        if (same == at_work_.end() && (best == jobs_.end() || is_better())) best = job;
    }
    return best;
}

void CompileQueue::work() {
    set_float_environment();
    const interrupt::Hold hold;  // it ends the wait for this thread's work, not the work
    std::unique_lock lock(mutex_);
    for (;;) {
        auto found = jobs_.end();
        changed_.wait(lock, [&] { return stopping_ || (found = next()) != jobs_.end(); });
        if (stopping_) return;
        Job job = std::move(*found);
        jobs_.erase(found);
        CachedKernel* const kernel = job.request.kernel.get();
        at_work_.push_back(kernel);
        in_background_ += !job.waiter;
        lock.unlock();
        std::exception_ptr error;
        try {
            compile_(*kernel, !job.waiter);
        } catch (...) {
            error = std::current_exception();
        }  // where nobody waits the interpreter goes on, to the same results
        lock.lock();
        in_background_ -= !job.waiter;
        std::erase(at_work_, kernel);
        if (job.waiter) {
            --job.waiter->open;
            if (error && !job.waiter->error) job.waiter->error = error;
        }
        lock.unlock();
        job = {};  // what goes with it goes without the lock
        error = nullptr;
        lock.lock();
        changed_.notify_all();
    }
}

}  // namespace tenon
