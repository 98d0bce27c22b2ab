#include "jit/machine.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <new>
#include <system_error>
#include <utility>

#include "jit/kernel_form.h"
#include "jit/llvm_loader.h"
#include "runtime/cpu.h"
#include "runtime/diagnostic.h"

namespace tenon {

// LLVM does not take an end of memory well: it is not let run into one where that can be foreseen.
constexpr size_t room_to_compile = size_t{64} << 20;

[[noreturn]] static void no_room_to_compile() {
    throw_error("memory", "there is not enough memory to compile machine code", "run with `--engine interp`");
}

// Beside the script, which has a core of its own, as long as nobody waits.
static int background_threads() { return std::clamp(cpu_info().cores - 1, 1, 2); }

Machine::Machine(Allocator allocator, ThreadPool& pool, InstructionSet instructions)
    : allocator_(std::move(allocator)), pool_(pool), instructions_(instructions),
      compile_queue_([this](CachedKernel& kernel, bool background) { compile(kernel, background); },
                     background_threads()) {
    set_float_environment();
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

Machine::Kernel Machine::kernel(const GraphRef& graph, NodeId node, std::vector<InPlace> in_place) {
    assert(!context_ || context_ == graph->context);  // who compiles reads it
    context_ = graph->context;
    KernelForm form = kernel_form(*graph, node, in_place);
    if (const auto known = kernels_.find(form.hash); known != kernels_.end())
        return {known->second, std::move(form.parameters)};
    if (kernels_.size() >= kernels_kept_) {  // of as many as are in use as many may wait to be used again
        std::erase_if(kernels_, [](const auto& entry) { return entry.second.use_count() == 1; });
        kernels_kept_ = std::max<size_t>(512, 2 * kernels_.size());
    }
    auto kernel = std::make_shared<CachedKernel>();
    kernel->source = standing_kernel(*graph, node, std::move(in_place), form);
    kernel->info = analyse_kernel(*kernel->source.graph, kernel->source.kernel);
    kernels_.emplace(form.hash, kernel);
    return {std::move(kernel), std::move(form.parameters)};
}

std::string Machine::dump(std::span<const KernelSource> kernels, std::string_view stage,
                          const std::function<std::string(Span)>& locate) {
    std::vector<KernelSource> standing;
    for (const KernelSource& kernel : kernels)
        standing.push_back(standing_kernel(*kernel.graph, kernel.kernel, kernel.in_place,
                                           kernel_form(*kernel.graph, kernel.kernel, kernel.in_place)));
    return loaded_backend().dump(standing, stage, locate);
}

Backend& Machine::loaded_backend() {
    const std::lock_guard lock(backend_mutex_);
    if (backend_lost_) no_room_to_compile();
    if (!backend_) {
        backend_ = load_llvm_backend(instructions_);
        backend_loaded_.store(true, std::memory_order_relaxed);
    }
    return *backend_;
}

void Machine::compile(CachedKernel& kernel, bool in_background) {
    if (kernel.compiled.load(std::memory_order_acquire)) return;
    Backend& backend = loaded_backend();
    if (!system_has_room(room_to_compile)) no_room_to_compile();
    const auto start = std::chrono::steady_clock::now();
    try {
        kernel.owner = std::move(backend.compile({&kernel.source, 1})[0]);
    } catch (const std::bad_alloc&) {
        const std::lock_guard lock(backend_mutex_);
        backend_lost_ = true;
        static_cast<void>(backend_.release());  // code of it may be running, and it may not know any more what it has
        throw;
    }
    kernel.compile_milliseconds =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    kernel.made_in_background = in_background;
    kernel.compiled.store(kernel.owner.get(), std::memory_order_release);
}

void Machine::compile_now(std::span<const CompileRequest> kernels) {
    compile_queue_.now(kernels);
    for (const CompileRequest& request : kernels) request.kernel->requested = true;
}

void Machine::compile_later(std::span<const CompileRequest> kernels) {
    if (!has_llvm_backend()) return;
    std::vector<CompileRequest> fresh;
    for (const CompileRequest& request : kernels)
        if (!std::exchange(request.kernel->requested, true)) fresh.push_back(request);
    if (fresh.empty()) return;
    try {
        compile_queue_.later(fresh);
    } catch (const std::system_error&) {}  // no thread: the interpreter goes on
}

}  // namespace tenon
