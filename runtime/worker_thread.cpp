#include "runtime/worker_thread.h"

#include <csignal>
#include <memory>
#include <system_error>
#include <utility>

namespace tenon {

namespace {

constexpr size_t stack_bytes = size_t{8} << 20;

void* run_body(void* given) {
    const std::unique_ptr<std::function<void()>> body(static_cast<std::function<void()>*>(given));
    (*body)();
    return nullptr;
}

}  // namespace

WorkerThread::WorkerThread(std::function<void()> body) {
    auto kept = std::make_unique<std::function<void()>>(std::move(body));
    pthread_attr_t attributes;
    int failure = pthread_attr_init(&attributes);
    if (failure != 0) throw std::system_error(failure, std::generic_category());
    pthread_attr_setstacksize(&attributes, stack_bytes);
    sigset_t interrupts, before;
    sigemptyset(&interrupts);
    sigaddset(&interrupts, SIGINT);
    pthread_sigmask(SIG_BLOCK, &interrupts, &before);  // which the new thread inherits
    failure = pthread_create(&thread_, &attributes, run_body, kept.get());
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_attr_destroy(&attributes);
    if (failure != 0) throw std::system_error(failure, std::generic_category());
    static_cast<void>(kept.release());
    running_ = true;
}

WorkerThread::~WorkerThread() { join(); }

WorkerThread::WorkerThread(WorkerThread&& other) noexcept
    : thread_(other.thread_), running_(std::exchange(other.running_, false)) {}

WorkerThread& WorkerThread::operator=(WorkerThread&& other) noexcept {
    if (this == &other) return *this;
    join();
    thread_ = other.thread_;
    running_ = std::exchange(other.running_, false);
    return *this;
}

void WorkerThread::keep_off(int processor) {
    cpu_set_t allowed;
    if (!running_ || pthread_getaffinity_np(pthread_self(), sizeof(allowed), &allowed) != 0) return;
    CPU_CLR(processor, &allowed);
    if (CPU_COUNT(&allowed) > 0) pthread_setaffinity_np(thread_, sizeof(allowed), &allowed);
}

void WorkerThread::join() {
    if (std::exchange(running_, false)) pthread_join(thread_, nullptr);
}

}  // namespace tenon
