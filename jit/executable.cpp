#include "jit/executable.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstring>
#include <functional>
#include <numeric>
#include <optional>
#include <unordered_map>

#include <fmt/format.h>

#include "ir/row.h"
#include "jit/control/control.h"
#include "jit/kernel_steps.h"
#include "jit/library_step.h"
#include "jit/memory_plan.h"
#include "jit/run_plan.h"
#include "jit/step_batches.h"
#include "jit/step_builder.h"
#include "jit/value_sizes.h"
#include "runtime/diagnostic.h"
#include "runtime/interrupt.h"

namespace tenon {

namespace {

[[noreturn]] void fail_at(const Graph& g, NodeId node, std::string kind, std::string message, std::string help = {}) {
    Diagnostic d{std::move(kind), std::move(message), {}, {}, std::move(help)};
    if (node) d.span = g.origin(node).span;
    throw Error(std::move(d));
}

}  // namespace

class Executable::Implementation {
public:
    /// `around`: the values of symbols, of a region that another one runs turn by turn; `first_captured`: its first
    /// parameter that is the same in all turns.
    Implementation(GraphRef graph, Machine& machine, EngineKind engine, const std::vector<int64_t>* around = nullptr,
                   size_t first_captured = SIZE_MAX)
        : graph_(std::move(graph)), machine_(machine), engine_(engine), around_(around),
          layout_(build_steps(*graph_, machine.allocator())), kernels_(machine, engine) {
        std::vector<Machine::Kernel> kernels(layout_.steps.size());  // of the steps that are kernels
        for (size_t s = 0; s < kernels.size(); ++s)
            if (const StepLayout& layout = layout_.steps[s]; layout.kind == StepKind::kernel)
                kernels[s] = machine_.kernel(graph_, layout.node, layout.in_place);
        batch_steps(*graph_, layout_, kernels);
        for (size_t s = 0; s < kernels.size(); ++s) {
            const StepLayout& layout = layout_.steps[s];
            Step step{layout.kind, uint32_t(pointers_.size()), 0, layout.node, layout.target};
            for (const std::vector<uint32_t>* list : {&layout.reads, &layout.writes})
                for (uint32_t value : *list)
                    pointer_memory_.push_back(layout_.memory_of[value]), pointers_.push_back(nullptr);
            if (layout.kind == StepKind::kernel) {
                step.index = uint32_t(kernels_.count());
                kernels_.add(*graph_, layout.node, std::move(kernels[s]), step.pointers);
                if (!kernels_.stays_interpreted(step.index)) cached_.push_back(kernels_.kernels().back().cached);
            } else if (layout.kind == StepKind::library) {
                step.index = uint32_t(libraries_.size());
                libraries_.emplace_back(*graph_, layout, first_captured);
            } else if (layout.kind == StepKind::regions) {
                step.index = uint32_t(regions_.size());
                RegionStep& regions =
                    regions_.emplace_back(RegionStep{make_control(*graph_, layout.node), {}, {}, {}, 0, 0});
                for (const GraphRef& region : regions.control->regions()) {
                    auto body = std::make_unique<Implementation>(region, machine_, engine_, &symbols_,
                                                                 regions.control->first_captured());
                    cached_.insert(cached_.end(), body->cached_.begin(), body->cached_.end());
                    regions.bodies.push_back(std::move(body));
                }
                regions.sizes.resize(regions.bodies.size());
                regions.prepared.resize(regions.bodies.size());
            }
            step.writes_input = std::any_of(layout.writes.begin(), layout.writes.end(), [&](uint32_t value) {
                return layout_.memories[layout_.memory_of[value]].kind == MemoryKind::input;
            });
            step.writes_input |= layout.kind == StepKind::commit;
            steps_.push_back(step);
        }
        for (size_t k = 0; k < layout_.batches.size(); ++k) {
            const auto [first, count] = layout_.batches[k];
            steps_[first].batch = uint32_t(k);
            steps_[first].together = count;
            for (uint32_t s = first; s < first + count; ++s) steps_[first].writes_input |= steps_[s].writes_input;
        }
        held_from_ = steps_.size();
        for (size_t s = steps_.size(); s-- > 0 && steps_[s].kind != StepKind::library;)
            if (steps_[s].writes_input) held_from_ = s;
        memory_.resize(layout_.memories.size());
        for (size_t m = 0; m < memory_.size(); ++m)
            if (layout_.memories[m].constant.defined()) memory_[m] = layout_.memories[m].constant.bytes();
        symbols_.resize(graph_->symbols.size());
        std::unordered_map<NodeId, uint32_t> input_of;
        if (!symbols_.empty())
            for (NodeId p : graph_->params()) input_of.emplace(p, uint32_t(input_of.size()));
        if (!around)
            for (const SizeSymbol& symbol : graph_->symbols)
                definers_.emplace_back(input_of.at(symbol.definer), uint32_t(symbol.dim));
        if (engine_ == EngineKind::jit && !cached_.empty() && !around) machine_.compile_now(compile_requests());
    }

    void run(std::span<const Tensor> inputs, std::vector<Tensor>& outputs) {
        assert(inputs.size() == graph_->params().size());
        const Running running(is_running_);
        effects_done_ = 0;
        if (!plan_ || read_symbols(inputs)) choose_plan(inputs);
        bind_inputs(inputs);
        make_outputs(outputs);
        const ArenaScope arena(machine_, plan_->memory.arena_bytes);
        for (const auto& [memory, offset] : plan_->memory.arena) memory_[memory] = arena.data() + offset;
        try {
            run_steps(inputs);
        } catch (...) {
            let_go(outputs);
            throw;
        }
        copies_.clear();
        if (engine_ == EngineKind::eager) ++machine_.counters().eager;
        if (engine_ == EngineKind::automatic && ++runs_ == runs_before_compiling)
            machine_.compile_later(compile_requests());
    }

    void plan_for_hints() {
        for (size_t k = 0; k < symbols_.size(); ++k) symbols_[k] = graph_->symbols[k].hint;
        choose_plan();
        plan_all_regions();
    }

    const GraphRef graph_;
    size_t effects_done_ = 0;
    Decisions decisions_;
    size_t arena_bytes() const { return plan_ ? plan_->memory.arena_bytes : 0; }
    MemoryPeak memory_peak() const {
        if (!plan_) return {};
        MemoryPeak peak = find_peak(layout_, plan_->memory);
        find_arenas(peak.arenas, 1);
        peak.around_turns = std::accumulate(peak.arenas.begin() + 1, peak.arenas.end(), size_t{0});
        return peak;
    }
    // What regions work in from this depth of arenas on, as `run_regions` takes them.
    void find_arenas(std::vector<size_t>& arenas, size_t depth) const {
        constexpr size_t own = 3;  // scratch, the bodies' values, prepared operands
        if (!regions_.empty()) arenas.resize(std::max(arenas.size(), depth + own));
        const auto take = [&](size_t at, size_t bytes) { arenas[at] = std::max(arenas[at], bytes); };
        for (const RegionStep& regions : regions_) {
            take(depth, regions.scratch_bytes);
            take(depth + 2, regions.prepared_bytes);
            for (const auto& body : regions.bodies) {
                take(depth + 1, body->arena_bytes());
                body->find_arenas(arenas, depth + own);
            }
        }
    }
    size_t kernel_count() const {
        size_t count = kernels_.count();
        for (const RegionStep& regions : regions_)
            for (const auto& body : regions.bodies) count += body->kernel_count();
        return count;
    }
    EngineKind engine() const { return engine_; }
    MachineCode machine_code() const {
        MachineCode code;
        for (const std::shared_ptr<CachedKernel>& kernel : cached_) {
            ++code.kernels;
            if (!kernel->compiled.load(std::memory_order_acquire)) continue;
            ++code.compiled;
            code.milliseconds += kernel->compile_milliseconds;
            code.in_background |= kernel->made_in_background;
        }
        return code;
    }
    size_t interpreted_count() const { return kernel_count() - cached_.size(); }

private:
    static constexpr int runs_before_compiling = 2;  // what runs once is not worth it
    static constexpr size_t plans_kept = 8;

    class Running {  // one run at a time
    public:
        explicit Running(bool& flag) : flag_(flag) {
            assert(!flag_);
            flag_ = true;
        }
        ~Running() { flag_ = false; }
        Running(const Running&) = delete;

    private:
        bool& flag_;
    };
    struct Step {
        StepKind kind;
        uint32_t pointers;  // the first of its reads and writes
        uint32_t index;     // among kernels or library calls
        NodeId node;
        int32_t target;  // the input that a commit writes
        bool writes_input = false;  // or one that runs together with it does
        uint32_t together = 1;      // of the first step of a batch: how many these are
        uint32_t batch = 0;
    };
    struct RegionStep {
        std::unique_ptr<Control> control;
        std::vector<std::unique_ptr<Implementation>> bodies;
        std::vector<Control::Sizes> sizes;
        std::vector<PreparedOperands> prepared;  // by body
        // of the last run
        size_t scratch_bytes = 0, prepared_bytes = 0;
    };
    // Each kernel once, with the bytes that a run of the steps that have it moves.
    std::vector<Machine::CompileRequest> compile_requests() const {
        std::vector<Machine::CompileRequest> requests;
        std::unordered_map<const CachedKernel*, size_t> known;
        add_compile_requests(requests, known, 1);
        return requests;
    }
    void add_compile_requests(std::vector<Machine::CompileRequest>& requests,
                              std::unordered_map<const CachedKernel*, size_t>& known, double turns) const {
        for (const Step& step : steps_) {
            if (step.kind == StepKind::regions) {
                const RegionStep& regions = regions_[step.index];
                const auto evaluate = [&](SizeId size) { return graph_->context->evaluate(size, symbols_); };
                const double times = plan_ ? double(regions.control->runs(evaluate)) : 1;
                for (const auto& body : regions.bodies) body->add_compile_requests(requests, known, turns * times);
            }
            if (step.kind != StepKind::kernel || kernels_.stays_interpreted(step.index)) continue;
            const std::shared_ptr<CachedKernel>& cached = kernels_.kernels()[step.index].cached;
            const auto [at, fresh] = known.try_emplace(cached.get(), requests.size());
            if (fresh) requests.push_back({cached});
            if (!plan_) continue;
            const KernelInfo& info = cached->info;
            for (size_t k = 0; k < info.operands + info.results; ++k)
                requests[at->second].weight += turns * double(plan_->memory.bytes[pointer_memory_[step.pointers + k]]);
        }
    }

    // ---- plans
    bool read_symbols(std::span<const Tensor> inputs) {  // did they change?
        if (around_) return std::exchange(symbols_, *around_) != symbols_;
        bool changed = false;
        for (size_t k = 0; k < definers_.size(); ++k) {
            const int64_t value = inputs[definers_[k].first].shape[definers_[k].second];
            changed |= symbols_[k] != value;
            symbols_[k] = value;
        }
        return changed;
    }
    void choose_plan(std::span<const Tensor> inputs) {
        read_symbols(inputs);
        choose_plan();
    }
    void choose_plan() {
        assert(sizes_are_as_promised(*graph_, symbols_));
        const auto known =
            std::find_if(plans_.begin(), plans_.end(), [&](const auto& p) { return p->symbols == symbols_; });
        if (known != plans_.end()) std::rotate(plans_.begin(), known, known + 1);
        else {
            if (plans_.size() == plans_kept) plans_.pop_back();
            plans_.insert(plans_.begin(),
                          make_run_plan(*graph_, layout_, kernels_.kernels(), libraries_, symbols_, machine_));
        }
        plan_ = plans_.front().get();
        decisions_ = layout_.decisions;
        decisions_.insert(decisions_.end(), plan_->memory.decisions.begin(), plan_->memory.decisions.end());
    }
    // ---- before the steps
    void bind_inputs(std::span<const Tensor> inputs) {
        for (size_t k = 0; k < inputs.size(); ++k) {
            const Tensor& input = inputs[k];
            if (input.is_contiguous()) memory_[k] = input.bytes();
            else {
                copies_.emplace_back(k, input.contiguous());
                memory_[k] = copies_.back().second.bytes();
            }
        }
    }
    void make_outputs(std::vector<Tensor>& outputs) {
        const auto results = graph_->results();
        outputs.clear();
        outputs.reserve(results.size());
        for (size_t k = 0; k < results.size(); ++k) {
            outputs.push_back(
                Tensor::empty(machine_.allocator(), graph_->type(results[k]).dtype, plan_->output_shapes[k]));
            memory_[layout_.output_memory[k]] = outputs.back().bytes();
        }
    }

    void let_go(std::vector<Tensor>& outputs) {
        outputs.clear();
        copies_.clear();
    }

    // ---- steps
    void run_steps(std::span<const Tensor> inputs) {
        for (size_t k = 0; k < pointers_.size(); ++k) pointers_[k] = memory_[pointer_memory_[k]];
        NodeId at;
        // Inputs are written last: all of them or none. One that is written before a library call, which may take long, is
        // written as a whole.
        std::optional<interrupt::Hold> to_the_end;
        try {
            const bool apart = machine_.observer() != nullptr;  // what is told of a step is that of the step alone
            for (size_t s = 0, next; s < steps_.size(); s = next) {
                const Step& step = steps_[s];
                next = s + (apart ? 1 : step.together);
                at = step.node;
                check_interrupt();
                if (!to_the_end && held_from_ < next) to_the_end.emplace();
                std::optional<interrupt::Hold> this_step;
                if (step.writes_input) this_step.emplace();
                if (apart) execute_observed(step, inputs);
                else if (step.together > 1) kernels_.run_together(plan_->batches[step.batch], *plan_, pointers_.data());
                else execute(step, inputs);
            }
        } catch (Interrupted& interrupted) {
            if (!interrupted.span && at) interrupted.span = graph_->origin(at).span;
            throw;
        }
    }
    void execute(const Step& step, std::span<const Tensor> inputs) {
        switch (step.kind) {
            case StepKind::kernel: return kernels_.run(step.index, *plan_, pointers_.data());
            case StepKind::library:
                return libraries_[step.index].run(plan_->libraries[step.index],
                                                  std::span(pointers_).subspan(step.pointers), prepared_, machine_);
            case StepKind::regions: return run_regions(step);
            case StepKind::copy:
                std::memcpy(pointers_[step.pointers + 1], pointers_[step.pointers],
                            plan_->memory.bytes[pointer_memory_[step.pointers + 1]]);
                return;
            case StepKind::assertion:
                if (!*reinterpret_cast<const bool*>(pointers_[step.pointers])) fail_assertion(step.node);
                break;
            case StepKind::commit: commit(step, inputs[size_t(step.target)]); break;
        }
        ++effects_done_;
    }
    void execute_observed(const Step& step, std::span<const Tensor> inputs) {
        const int64_t start = nanoseconds();
        execute(step, inputs);
        const int64_t whole = nanoseconds() - start;
        int64_t inside = 0;  // regions have told theirs
        if (step.kind == StepKind::regions)
            for (const auto& body : regions_[step.index].bodies) inside += std::exchange(body->observed_, 0);
        observed_ += whole;
        machine_.observer()->step_done(graph_, step.node, whole - inside);
    }
    static int64_t nanoseconds() {
        return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
    }
    [[noreturn]] void fail_assertion(NodeId node) const {
        const Attributes attributes = graph_->attributes(node);
        const AttrValue* const message = attributes.find("message");
        const bool told = message && std::holds_alternative<NameId>(message->value);
        fail_at(*graph_, node, "assertion", told ? std::string(attributes.text("message")) : "assertion failed");
    }
    void commit(const Step& step, const Tensor& input) {
        std::byte* const value = pointers_[step.pointers];
        if (value != input.bytes() && input.numel() > 0) {
            if (input.is_contiguous()) std::memmove(input.bytes(), value, input.element_bytes());
            else copy_strided(input, borrowed(value, input));
        }
        ++input.storage->version;
    }
    bool prepares(const RegionStep& regions) const {
        return regions.control->runs([&](SizeId size) { return graph_->context->evaluate(size, symbols_); }) > 1;
    }
    // How much the regions' memory is; of what they work in, one after the other.
    size_t plan_regions(RegionStep& regions) {
        size_t arena_bytes = 0;
        regions.prepared_bytes = 0;
        for (size_t k = 0; k < regions.bodies.size(); ++k) {
            Implementation& body = *regions.bodies[k];
            if (!body.plan_ || body.symbols_ != symbols_) {
                body.choose_plan({});
                regions.sizes[k] = body.value_bytes();
                decisions_.insert(decisions_.end(), body.plan_->memory.decisions.begin(),
                                  body.plan_->memory.decisions.end());
            }
            arena_bytes = std::max(arena_bytes, body.plan_->memory.arena_bytes);
            if (prepares(regions)) regions.prepared_bytes += body.plan_->prepared_bytes;
        }
        regions.scratch_bytes = regions.control->scratch_bytes(regions.sizes);
        return arena_bytes;
    }
    void plan_all_regions() {
        for (RegionStep& regions : regions_) {
            plan_regions(regions);
            for (const auto& body : regions.bodies) body->plan_all_regions();
        }
    }
    void run_regions(const Step& step) {
        RegionStep& regions = regions_[step.index];
        const size_t arena_bytes = plan_regions(regions);
        const ArenaScope scratch(machine_, regions.scratch_bytes), arena(machine_, arena_bytes);
        std::optional<ArenaScope> forms;
        try {
            forms.emplace(machine_, regions.prepared_bytes);
        } catch (const Error&) {  // no memory for them: the turns can do without
            regions.prepared_bytes = 0;
        }
        std::span<std::byte> free;
        if (forms) free = {forms->data(), regions.prepared_bytes};
        for (size_t k = 0; k < regions.bodies.size(); ++k) {
            Implementation& body = *regions.bodies[k];
            for (const auto& [memory, offset] : body.plan_->memory.arena) body.memory_[memory] = arena.data() + offset;
            const size_t mine = std::min(free.size(), prepares(regions) ? body.plan_->prepared_bytes : 0);
            regions.prepared[k].begin(free.first(mine));
            free = free.subspan(mine);
            body.prepared_ = prepares(regions) ? &regions.prepared[k] : nullptr;
        }
        const auto evaluate = [&](SizeId size) { return graph_->context->evaluate(size, symbols_); };
        const std::span<std::byte* const> pointers = std::span(pointers_).subspan(step.pointers);
        const size_t operands = graph_->operands_of(step.node).size();
        try {
            regions.control->run(
                {regions.sizes, evaluate, pointers.first(operands),
                 pointers.subspan(operands, graph_->type(step.node).elements.size()), scratch.data(),
                 [&](size_t k, auto inputs, auto outputs) { regions.bodies[k]->run_region(inputs, outputs); }});
        } catch (Error& error) {
            if (error.diagnostic.span.source == 0) error.diagnostic.span = graph_->origin(step.node).span;
            throw;
        }
    }
    Control::Sizes value_bytes() const {
        Control::Sizes sizes;
        for (size_t k = 0; k < graph_->params().size(); ++k) sizes.parameters.push_back(plan_->memory.bytes[k]);
        for (uint32_t memory : layout_.output_memory) sizes.results.push_back(plan_->memory.bytes[memory]);
        return sizes;
    }
    void run_region(std::span<std::byte* const> inputs, std::span<std::byte* const> outputs) {
        const Running running(is_running_);
        std::copy(inputs.begin(), inputs.end(), memory_.begin());
        for (size_t k = 0; k < outputs.size(); ++k) memory_[layout_.output_memory[k]] = outputs[k];
        run_steps({});
    }

    Machine& machine_;
    const EngineKind engine_;
    const std::vector<int64_t>* const around_;
    StepPlan layout_;
    std::vector<Step> steps_;
    size_t held_from_ = 0;  // the step from which on no interrupt is taken
    KernelSteps kernels_;
    std::vector<std::shared_ptr<CachedKernel>> cached_;
    std::vector<LibraryStep> libraries_;
    std::vector<RegionStep> regions_;
    std::vector<std::pair<uint32_t, uint32_t>> definers_;  // of each symbol: input, dimension
    std::vector<int64_t> symbols_;
    std::vector<std::unique_ptr<RunPlan>> plans_;  // the latest first
    RunPlan* plan_ = nullptr;
    int runs_ = 0;
    // of the run at hand
    bool is_running_ = false;
    int64_t observed_ = 0;              // nanoseconds that an observer was told of
    std::vector<std::byte*> memory_;    // a memory of layout_; inputs are the first ones
    std::vector<std::byte*> pointers_;  // what steps read and write
    std::vector<uint32_t> pointer_memory_;
    std::vector<std::pair<size_t, Tensor>> copies_;  // of strided inputs
    PreparedOperands* prepared_ = nullptr;           // what the turns at hand share
};

Executable::Executable(GraphRef scheduled, Machine& machine, EngineKind engine)
    : implementation_(std::make_unique<Implementation>(std::move(scheduled), machine, engine)) {}
Executable::~Executable() = default;
void Executable::run(std::span<const Tensor> inputs, std::vector<Tensor>& outputs) {
    implementation_->run(inputs, outputs);
}
size_t Executable::effects_done() const { return implementation_->effects_done_; }
const GraphRef& Executable::graph() const { return implementation_->graph_; }
const Decisions& Executable::decisions() const { return implementation_->decisions_; }
size_t Executable::arena_bytes() const { return implementation_->arena_bytes(); }
MemoryPeak Executable::memory_peak() const { return implementation_->memory_peak(); }
MemoryPeak Executable::planned_peak() {
    implementation_->plan_for_hints();
    return implementation_->memory_peak();
}
EngineKind Executable::engine() const { return implementation_->engine(); }
Executable::MachineCode Executable::machine_code() const { return implementation_->machine_code(); }
size_t Executable::kernel_count() const { return implementation_->kernel_count(); }
size_t Executable::interpreted_count() const { return implementation_->interpreted_count(); }

}  // namespace tenon
