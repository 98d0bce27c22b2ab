#include "jit/machine.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <new>
#include <system_error>

#include "jit/block_interpreter.h"
#include "jit/llvm_loader.h"
#include "runtime/cpu.h"
#include "runtime/diagnostic.h"
#include "runtime/interrupt.h"

namespace tenon {

// LLVM does not take an end of memory well: it is not let run into one where that can be foreseen.
constexpr size_t room_to_compile = size_t{64} << 20;

[[noreturn]] static void no_room_to_compile() {
    throw_error("memory", "there is not enough memory to compile machine code", "run with `--engine interp`");
}

Machine::Machine(Allocator allocator, ThreadPool& pool, InstructionSet instructions)
    : allocator_(std::move(allocator)), pool_(pool), instructions_(instructions) {
    set_float_environment();
}

Machine::~Machine() {
    {
        const std::lock_guard lock(queue_mutex_);
        stopping_ = true;
        queue_.clear();
    }
    queue_changed_.notify_all();
    worker_ = {};
    // Code of the backend goes before the backend.
    kernels_.clear();
}

ArenaScope::ArenaScope(Machine& machine, size_t bytes) : machine_(machine) {
    std::vector<Ref<Storage>>& arenas = machine.arenas_;
    if (arenas.size() == machine.arenas_in_use_) arenas.emplace_back();
    Ref<Storage>& mine = arenas[machine.arenas_in_use_];
    if (bytes > 0 && (!mine || mine->bytes < bytes)) {
        mine.reset();
        mine = machine.allocator().allocate(bytes);
    }
    if (bytes > 0) data_ = mine->data;
    ++machine.arenas_in_use_;
}

ArenaScope::~ArenaScope() { --machine_.arenas_in_use_; }

std::shared_ptr<CachedKernel> Machine::kernel(const GraphRef& graph, NodeId node, std::vector<InPlace> in_place) {
    assert(!context_ || context_ == graph->context);  // signatures hold its ids
    context_ = graph->context;
    std::string signature = kernel_signature(*graph, node, in_place);
    if (const auto known = kernels_.find(signature); known != kernels_.end()) return known->second;
    if (kernels_.size() >= kernels_kept_) {  // of as many as are in use as many may wait to be used again
        std::erase_if(kernels_, [](const auto& entry) { return entry.second.use_count() == 1; });
        kernels_kept_ = std::max<size_t>(512, 2 * kernels_.size());
    }
    auto kernel = std::make_shared<CachedKernel>();
    kernel->info = analyse_kernel(*graph, node);
    kernel->source = {graph, node, std::move(in_place)};
    return kernels_.emplace(std::move(signature), std::move(kernel)).first->second;
}

std::string Machine::dump(std::span<const KernelSource> kernels, std::string_view stage,
                          const std::function<std::string(Span)>& locate) {
    const std::lock_guard lock(backend_mutex_);
    return loaded_backend().dump(kernels, stage, locate);
}

Backend& Machine::loaded_backend() {
    if (backend_lost_) no_room_to_compile();
    if (!backend_) {
        backend_ = load_llvm_backend(instructions_);
        backend_loaded_.store(true, std::memory_order_relaxed);
    }
    return *backend_;
}

void Machine::compile(std::span<const std::shared_ptr<CachedKernel>> kernels, bool in_background) {
    const std::lock_guard lock(backend_mutex_);
    std::vector<KernelSource> sources;
    std::vector<CachedKernel*> missing;
    for (const std::shared_ptr<CachedKernel>& kernel : kernels) {
        if (kernel->compiled.load(std::memory_order_acquire)) continue;
        if (std::find(missing.begin(), missing.end(), kernel.get()) != missing.end()) continue;
        missing.push_back(kernel.get());
        sources.push_back(kernel->source);
    }
    if (missing.empty()) return;
    Backend& backend = loaded_backend();
    if (!system_has_room(room_to_compile)) no_room_to_compile();
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::shared_ptr<CompiledKernel>> compiled;
    try {
        compiled = backend.compile(sources);
    } catch (const std::bad_alloc&) {
        backend_lost_ = true;
        static_cast<void>(backend_.release());  // code of it may be running, and it may not know any more what it has
        throw;
    }
    const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
    for (size_t k = 0; k < missing.size(); ++k) {
        missing[k]->compile_milliseconds = time.count() / double(missing.size());
        missing[k]->made_in_background = in_background;
        missing[k]->owner = std::move(compiled[k]);
        missing[k]->compiled.store(missing[k]->owner.get(), std::memory_order_release);
    }
}

void Machine::start_worker() {
    if (!worker_.is_running()) worker_ = WorkerThread([this] { work(); });
}

void Machine::compile_now(std::span<const std::shared_ptr<CachedKernel>> kernels) {
    Job job{{kernels.begin(), kernels.end()}, std::make_unique<std::promise<void>>()};
    std::future<void> done = job.done->get_future();
    try {
        const std::lock_guard lock(queue_mutex_);
        start_worker();
        queue_.push_front(std::move(job));
        queue_changed_.notify_all();
    } catch (const std::system_error&) {  // the system grants no thread
        compile(kernels, false);
        done = {};
    }
    if (done.valid()) {
        while (done.wait_for(std::chrono::milliseconds(10)) != std::future_status::ready) check_interrupt();
        done.get();
    }
    for (const std::shared_ptr<CachedKernel>& kernel : kernels) kernel->requested = true;
}

void Machine::compile_later(std::span<const std::shared_ptr<CachedKernel>> kernels) {
    if (!has_llvm_backend()) return;
    std::vector<std::shared_ptr<CachedKernel>> fresh;
    for (const std::shared_ptr<CachedKernel>& kernel : kernels)
        if (!std::exchange(kernel->requested, true)) fresh.push_back(kernel);
    if (fresh.empty()) return;
    const std::lock_guard lock(queue_mutex_);
    try {
        start_worker();
    } catch (const std::system_error&) { return; }  // the interpreter goes on
    for (std::shared_ptr<CachedKernel>& kernel : fresh) queue_.push_back({{std::move(kernel)}, nullptr});
    queue_changed_.notify_all();
}

void Machine::hold_compiler(bool held) {
    const std::lock_guard lock(queue_mutex_);
    held_ = held;
    queue_changed_.notify_all();
}

void Machine::wait_for_compiler() {
    std::unique_lock lock(queue_mutex_);
    queue_changed_.wait(lock, [this] { return queue_.empty() && !working_; });
}

void Machine::work() {
    set_float_environment();
    const interrupt::Hold hold;  // it ends the wait for this thread's work, not the work
    std::unique_lock lock(queue_mutex_);
    for (;;) {
        queue_changed_.wait(lock, [this] { return stopping_ || has_work(); });
        if (stopping_) return;
        // One at a time: what is at work when the machine goes is waited for.
        Job job = std::move(queue_.front());
        queue_.pop_front();
        working_ = true;
        lock.unlock();
        try {
            compile(job.kernels, !job.done);
            if (job.done) job.done->set_value();
        } catch (...) {
            // Where nobody waits the interpreter goes on with these kernels, to the same results.
            if (job.done) job.done->set_exception(std::current_exception());
        }
        job.kernels.clear();
        lock.lock();
        working_ = false;
        queue_changed_.notify_all();
    }
}

}  // namespace tenon
