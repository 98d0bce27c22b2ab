// What the executables of a session share: memory, threads, compiled kernels, the compiler and its queue.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "ir/stable_hash.h"
#include "jit/backend.h"
#include "jit/compile_queue.h"
#include "jit/kernel.h"
#include "runtime/allocator.h"
#include "runtime/ref.h"
#include "runtime/tensor.h"
#include "runtime/thread_pool.h"
#include "runtime/workspace.h"

namespace tenon {

/// How many kernels ran on what: a kernel counts once an engine, when an executable first runs it there; for the
/// compiler, when it first runs after the compiler was asked for it, be the code there or not. `eager` counts runs of
/// single ops.
struct KernelCounters {
    int64_t llvm = 0, interp = 0, cuda = 0, eager = 0;
};

/// Kernels of one form, of all graphs that have them. The tiers are filled in when first needed; `compiled` may change
/// from null to code at any moment.
struct CachedKernel {
    KernelSource source;  ///< in a graph of its own
    KernelInfo info;
    std::shared_ptr<CompiledKernel> interpreted;
    std::atomic<const CompiledKernel*> compiled{nullptr};
    std::shared_ptr<CompiledKernel> owner;  ///< of `compiled`
    bool requested = false;                 ///< the compiler has it, or had it
    double compile_milliseconds = 0;        ///< its share of the time that made `compiled`; written before it
    bool made_in_background = false;        ///< the same
};

/// Is told of the steps of runs.
class RunObserver {
public:
    virtual ~RunObserver() = default;
    /// A step of a scheduled graph is done: the kernel, call, copy or effect that `node` is. The time is wall-clock
    /// time, that of a scan without its turns' steps, which are told by themselves, of the region's own graph. On the
    /// thread that runs the graph.
    virtual void step_done(const GraphRef& graph, NodeId node, int64_t nanoseconds) = 0;
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
    ~Machine() = default;  ///< waits for the compiler to finish the kernels at hand, no more
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    const Allocator& allocator() const { return allocator_; }
    ThreadPool& pool() const { return pool_; }
    /// What kernels are interpreted with, compiled to, and products computed with; this processor has them.
    InstructionSet instructions() const { return instructions_; }
    WorkspacePool& workspaces() { return workspaces_; }
    KernelCounters& counters() { return counters_; }
    /// Of all runs of this machine; null for none. It outlives them.
    void set_observer(RunObserver* observer) { observer_ = observer; }
    RunObserver* observer() const { return observer_; }

    size_t kernel_count() const { return kernels_.size(); }

    /// A kernel with the parameters of its form as this one gives them, sizes of its graph.
    struct Kernel {
        std::shared_ptr<CachedKernel> cached;
        std::vector<SizeId> parameters;
    };
    /// All graphs of a machine are of one Context.
    Kernel kernel(const GraphRef&, NodeId kernel, std::vector<InPlace> in_place);

    using CompileRequest = CompileQueue::Request;
    /// Compiles what is not compiled yet, on threads of the machine, and waits for it. Throws Error "internal" where the
    /// compiler is not installed, "memory" where there is too little for it, and Interrupted at once: what is being
    /// compiled then is compiled for the next who asks.
    void compile_now(std::span<const CompileRequest> kernels);
    /// The same without waiting. Without a compiler it does nothing.
    void compile_later(std::span<const CompileRequest> kernels);
    /// While held, no kernel is begun that nobody waits for (for tests of tiers).
    void hold_compiler(bool held) { compile_queue_.hold(held); }
    /// Returns when nothing is queued.
    void wait_for_compiler() { compile_queue_.wait(); }

    /// What the compiler makes of kernels at a stage, as text (Backend::dump). The compiler is loaded from tenon_llvm.so
    /// beside the program when first used. Throws Error "internal" where that fails.
    std::string dump(std::span<const KernelSource> kernels, std::string_view stage,
                     const std::function<std::string(Span)>& locate);
    bool has_loaded_backend() const { return backend_loaded_.load(std::memory_order_relaxed); }

private:
    void compile(CachedKernel& kernel, bool in_background);
    Backend& loaded_backend();

    Allocator allocator_;
    ThreadPool& pool_;
    InstructionSet instructions_;
    WorkspacePool workspaces_;
    KernelCounters counters_;
    RunObserver* observer_ = nullptr;
    friend class ArenaScope;
    std::vector<Ref<Storage>> arenas_;
    size_t arenas_in_use_ = 0;  // the first ones

    std::mutex backend_mutex_;  // of the pointer
    std::unique_ptr<Backend> backend_;
    std::atomic<bool> backend_loaded_{false};
    bool backend_lost_ = false;  // it met an end of memory: what state it is in nobody knows

    const Context* context_ = nullptr;
    std::map<StableHash, std::shared_ptr<CachedKernel>> kernels_;  // code goes before the backend
    size_t kernels_kept_ = 512;                                    // beyond it those that no executable has go
    CompileQueue compile_queue_;
};

}  // namespace tenon
