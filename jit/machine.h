// What the executables of a session share: memory, threads, compiled kernels, the compiler and its queue.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "jit/backend.h"
#include "jit/kernel.h"
#include "runtime/allocator.h"
#include "runtime/ref.h"
#include "runtime/tensor.h"
#include "runtime/thread_pool.h"
#include "runtime/worker_thread.h"
#include "runtime/workspace.h"

namespace tenon {

/// How many kernels ran on what: a kernel counts once an engine, when an executable first runs it there; for the
/// compiler, when it first runs after the compiler was asked for it, be the code there or not. `eager` counts runs of
/// single ops.
struct KernelCounters {
    int64_t llvm = 0, interp = 0, cuda = 0, eager = 0;
};

/// One kernel, known by its signature, for all graphs that have it. The tiers are filled in when first needed;
/// `compiled` may change from null to code at any moment.
struct CachedKernel {
    KernelSource source;
    KernelInfo info;
    std::shared_ptr<CompiledKernel> interpreted;
    std::atomic<const CompiledKernel*> compiled{nullptr};
    std::shared_ptr<CompiledKernel> owner;  ///< of `compiled`
    bool requested = false;                 ///< the compiler has it, or had it
    double compile_milliseconds = 0;        ///< its share of the time that made `compiled`; written before it
    bool made_in_background = false;        ///< the same
};

class Machine;

/// Memory for the intermediate values of one run. Runs may nest: each takes the block after that of the run around it,
/// so that none moves or frees what another works in. Blocks are kept for the runs to come.
class ArenaScope {
public:
    ArenaScope(Machine& machine, size_t bytes);  ///< throws Error "memory"
    ~ArenaScope();
    ArenaScope(const ArenaScope&) = delete;
    ArenaScope& operator=(const ArenaScope&) = delete;
    std::byte* data() const { return data_; }

private:
    Machine& machine_;
    std::byte* data_ = nullptr;
};

class Machine {
public:
    Machine(Allocator allocator, ThreadPool& pool, InstructionSet instructions = best_instruction_set());
    ~Machine();  ///< waits for the background thread to finish the kernel at hand, no more
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    const Allocator& allocator() const { return allocator_; }
    ThreadPool& pool() const { return pool_; }
    /// What kernels are interpreted with, compiled to, and products computed with; this processor has them.
    InstructionSet instructions() const { return instructions_; }
    WorkspacePool& workspaces() { return workspaces_; }
    KernelCounters& counters() { return counters_; }

    size_t kernel_count() const { return kernels_.size(); }

    /// All graphs of a machine are of one Context.
    std::shared_ptr<CachedKernel> kernel(const GraphRef&, NodeId kernel, std::vector<InPlace> in_place);

    /// Compiles what is not compiled yet, on the background thread, and waits for it. Throws Error "internal" where the
    /// compiler is not installed, "memory" where there is too little for it, and Interrupted at once: what is being
    /// compiled then is compiled for the next who asks.
    void compile_now(std::span<const std::shared_ptr<CachedKernel>> kernels);
    /// The same without waiting. Without a compiler it does nothing.
    void compile_later(std::span<const std::shared_ptr<CachedKernel>> kernels);
    /// While held, the background thread starts no kernel that nobody waits for (for tests of tiers).
    void hold_compiler(bool held);
    /// Returns when nothing is queued.
    void wait_for_compiler();

    /// What the compiler makes of kernels at a stage, as text (Backend::dump). The compiler is loaded from tenon_llvm.so
    /// beside the program when first used. Throws Error "internal" where that fails.
    std::string dump(std::span<const KernelSource> kernels, std::string_view stage,
                     const std::function<std::string(Span)>& locate);
    bool has_loaded_backend() const { return backend_loaded_.load(std::memory_order_relaxed); }

private:
    /// What the background thread is asked to compile at a time.
    struct Job {
        std::vector<std::shared_ptr<CachedKernel>> kernels;
        std::unique_ptr<std::promise<void>> done;  // of one that is awaited
    };
    void compile(std::span<const std::shared_ptr<CachedKernel>> kernels, bool in_background);
    Backend& loaded_backend();  // with backend_mutex_ held
    void start_worker();        // with queue_mutex_ held; throws std::system_error
    bool has_work() const { return !queue_.empty() && (!held_ || queue_.front().done); }
    void work();

    Allocator allocator_;
    ThreadPool& pool_;
    InstructionSet instructions_;
    WorkspacePool workspaces_;
    KernelCounters counters_;
    friend class ArenaScope;
    std::vector<Ref<Storage>> arenas_;
    size_t arenas_in_use_ = 0;  // the first ones
    const Context* context_ = nullptr;
    std::unordered_map<std::string, std::shared_ptr<CachedKernel>> kernels_;
    size_t kernels_kept_ = 512;  // beyond it those that no executable has go

    std::mutex backend_mutex_;  // held while the backend works
    std::unique_ptr<Backend> backend_;
    std::atomic<bool> backend_loaded_{false};
    bool backend_lost_ = false;  // it met an end of memory: what state it is in nobody knows

    std::mutex queue_mutex_;
    std::condition_variable queue_changed_;
    std::deque<Job> queue_;  // those that are awaited first
    bool held_ = false, working_ = false, stopping_ = false;
    WorkerThread worker_;  // started by the first job; the first to go, so it is waited for
};

}  // namespace tenon
