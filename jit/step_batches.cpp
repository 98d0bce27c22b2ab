#include "jit/step_batches.h"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "jit/plan.h"
#include "jit/value_sizes.h"
#include "runtime/integer.h"

namespace tenon {

namespace {

// Bytes that a kernel moves.
struct Limits {
    size_t
        waits;  // at most, of one that others may wait for: caches keep it, and it takes no longer than threads take to meet
    size_t joins;  // at most, of one that runs together with others
};
constexpr Limits limits[] = {{256 << 10, SIZE_MAX}, {16 << 10, 256 << 10}, {0, 16 << 10}};

class StepOrder {
public:
    StepOrder(const Graph& graph, const StepPlan& plan, const std::vector<Machine::Kernel>& kernels)
        : graph_(graph), plan_(plan), kernels_(kernels), needs_(plan.steps.size()), forms_(plan.steps.size()),
          bytes_(plan.steps.size()), arena_bytes_(plan.steps.size()), in_use_(plan.steps.size()),
          made_(plan.steps.size(), ~0u) {
        find_needs();
        std::vector<int64_t> hints;
        for (const SizeSymbol& symbol : graph.symbols) hints.push_back(symbol.hint);
        for (const StepMemory& memory : plan.memories) memory_bytes_.push_back(bytes_of(graph, memory.type, hints));
        for (uint32_t s = 0; s < plan.steps.size(); ++s) {
            forms_[s] = form_of(s);
            for (const std::vector<uint32_t>* values : {&plan.steps[s].reads, &plan.steps[s].writes})
                for (uint32_t value : *values) {
                    const uint32_t memory = plan.memory_of[value];
                    bytes_[s] += memory_bytes_[memory];
                    if (plan.memories[memory].kind == MemoryKind::arena) arena_bytes_[s] += memory_bytes_[memory];
                }
        }
        find_peak_use();
    }

    bool any_alike() const {
        std::vector<const CachedKernel*> forms;
        for (const CachedKernel* form : forms_)
            if (form) forms.push_back(form);
        std::sort(forms.begin(), forms.end());
        return std::adjacent_find(forms.begin(), forms.end()) != forms.end();
    }

    std::vector<uint32_t> order(const Limits& most) {
        std::vector<bool> waits(plan_.steps.size());
        for (uint32_t s = 0; s < waits.size(); ++s)
            waits[s] = is_silent_commit(s) || (forms_[s] && bytes_[s] <= most.waits);
        std::vector<uint32_t> order;
        for (int round = 0; round < most_rounds; ++round) {  // what would have waited in vain stays where it is
            order = arrange(waits);
            const std::vector<bool> before = waits;
            for (uint32_t s = 0; s < waits.size(); ++s) waits[s] = is_silent_commit(s);
            for (const StepBatch& batch : batches(order, most))
                for (uint32_t k = batch.first; k < batch.first + batch.count; ++k) waits[order[k]] = before[order[k]];
            if (waits == before) return order;
        }
        return order;
    }

    /// Of these steps, those that run together.
    std::vector<StepBatch> batches(std::span<const uint32_t> order, const Limits& most) const {
        std::vector<StepBatch> found;
        std::vector<uint32_t> place(order.size());
        StepBatch batch;
        const auto close = [&] {
            if (batch.count > 1) found.push_back(batch);
        };
        for (uint32_t k = 0; k < order.size(); ++k) {
            const uint32_t s = order[k];
            place[s] = k;
            const bool may = forms_[s] && bytes_[s] <= most.joins;
            const bool joins = batch.count > 0 && may && forms_[s] == forms_[order[batch.first]] &&
                               std::none_of(needs_[s].begin(), needs_[s].end(),
                                            [&](uint32_t needed) { return place[needed] >= batch.first; });
            if (joins) {
                ++batch.count;
                continue;
            }
            close();
            batch = {k, may ? 1u : 0u};
        }
        close();
        return found;
    }

    /// Bytes that values between steps take.
    size_t arena_bytes(StepPlan plan) const {
        find_lifetimes(plan);
        std::vector<Lifetime> lifetimes;
        for (size_t m = 0; m < plan.memories.size(); ++m)
            if (plan.memories[m].kind == MemoryKind::arena)
                lifetimes.push_back({memory_bytes_[m], plan.memories[m].first, plan.memories[m].last});
        return plan_arena(lifetimes).bytes;
    }

private:
    static constexpr int most_rounds = 4;

    const CachedKernel* form_of(uint32_t s) const {
        const CachedKernel* kernel = kernels_[s].cached.get();
        const bool alone = !kernel || kernel->info.may_fault ||  // its error names one place
                           graph_.attributes(plan_.steps[s].node).flag("interpreted");
        return alone ? nullptr : kernel;
    }

    // It moves nothing: the kernel that made the value wrote it into the input.
    bool is_silent_commit(uint32_t s) const {
        const StepLayout& step = plan_.steps[s];
        return step.kind == StepKind::commit && plan_.memory_of[step.reads[0]] == plan_.memory_of[size_t(step.target)];
    }

    // A step needs what wrote the memory that it reads or writes, and what read the memory that it writes. What may stop the
    // graph needs the commits before it, and these need it.
    void find_needs() {
        constexpr uint32_t none = ~0u;
        struct Uses {
            uint32_t written = none;
            std::vector<uint32_t> read;  // since
        };
        std::vector<Uses> uses(plan_.memories.size());
        uint32_t ordered = none;
        for (uint32_t s = 0; s < plan_.steps.size(); ++s) {
            const StepLayout& step = plan_.steps[s];
            std::vector<uint32_t>& needs = needs_[s];
            const auto need = [&](uint32_t other) {
                if (other != none && other != s) needs.push_back(other);
            };
            const bool silent = is_silent_commit(s);
            for (uint32_t value : step.reads) {
                Uses& memory = uses[plan_.memory_of[value]];
                need(memory.written);
                if (silent) made_[s] = memory.written;
                else memory.read.push_back(s);
            }
            const auto write = [&](uint32_t memory) {
                need(uses[memory].written);
                for (uint32_t reader : uses[memory].read) need(reader);
                uses[memory] = {s, {}};
            };
            if (step.target >= 0 && !silent) write(plan_.memory_of[size_t(step.target)]);
            for (uint32_t value : step.writes) write(plan_.memory_of[value]);
            const bool effect = step.kind == StepKind::commit || step.kind == StepKind::assertion;
            if (effect || step.may_fail) need(std::exchange(ordered, s));
            std::sort(needs.begin(), needs.end());
            needs.erase(std::unique(needs.begin(), needs.end()), needs.end());
        }
    }

    void find_peak_use() {
        std::vector<size_t> begun(plan_.steps.size() + 1), ended(plan_.steps.size() + 1);
        for (size_t m = 0; m < plan_.memories.size(); ++m) {
            if (plan_.memories[m].kind != MemoryKind::arena) continue;
            begun[plan_.memories[m].first] += memory_bytes_[m];
            ended[plan_.memories[m].last + 1] += memory_bytes_[m];
        }
        size_t now = 0;
        for (size_t s = 0; s < plan_.steps.size(); ++s) {
            now = now + begun[s] - ended[s];
            in_use_[s] = now;
            peak_ = std::max(peak_, now);
        }
    }

    // Steps in order, but those that wait stand in pools of their form until something needs one of them. A pool's members
    // need as many others that wait, one after the other, so none needs another. Where what they keep in memory would make more
    // than there was, they wait no longer. A commit that moves nothing waits until another step than a kernel comes after the
    // one that has written the input: an interrupt there finds it committed.
    std::vector<uint32_t> arrange(const std::vector<bool>& waits) {
        std::vector<uint32_t> order;
        Pools pools;
        std::vector<Pools::iterator> pool_of(plan_.steps.size(), pools.end());
        constexpr uint32_t none = ~0u;
        std::vector<std::vector<uint32_t>> commits_of(plan_.steps.size());
        std::vector<uint32_t> due;  // commits that the next step other than a kernel finds done
        size_t kept = 0;            // bytes, by those that wait
        const auto flush = [&](uint32_t first) {
            std::vector<uint32_t> stack{first};
            while (!stack.empty()) {
                const auto pool = pool_of[stack.back()];
                if (pool == pools.end()) {
                    stack.pop_back();
                    continue;
                }
                const size_t before = stack.size();
                for (uint32_t member : pool->second)
                    for (uint32_t needed : needs_[member])
                        if (pool_of[needed] != pools.end()) stack.push_back(needed);
                if (stack.size() > before) continue;
                for (uint32_t member : pool->second) {
                    order.push_back(member);
                    pool_of[member] = pools.end();
                    kept -= arena_bytes_[member];
                    due.insert(due.end(), commits_of[member].begin(), commits_of[member].end());
                }
                pools.erase(pool);
            }
        };
        uint32_t first = 0;  // of those that may wait
        const auto flush_before = [&](uint32_t end) {
            for (; first < end; ++first)
                if (pool_of[first] != pools.end()) flush(first);
        };
        const auto flush_due = [&] {
            for (size_t k = 0; k < due.size(); ++k)  // it may grow
                if (pool_of[due[k]] != pools.end()) flush(due[k]);
            due.clear();
        };
        for (uint32_t s = 0; s < plan_.steps.size(); ++s) {
            if (kept > 0 && in_use_[s] + kept > peak_) flush_before(s);
            int level = 0;
            for (uint32_t needed : needs_[s]) {
                if (pool_of[needed] == pools.end()) continue;
                if (waits[s]) level = std::max(level, pool_of[needed]->first.second + 1);
                else flush(needed);
            }
            if (!waits[s]) {
                if (plan_.steps[s].kind != StepKind::kernel) flush_due();
                order.push_back(s);
                continue;
            }
            if (made_[s] != none) {
                if (pool_of[made_[s]] == pools.end()) due.push_back(s);
                else commits_of[made_[s]].push_back(s);
            }
            pool_of[s] = pools.try_emplace({forms_[s], level}).first;
            pool_of[s]->second.push_back(s);
            kept += arena_bytes_[s];
        }
        flush_before(uint32_t(plan_.steps.size()));
        return order;
    }
    using Pools = std::map<std::pair<const CachedKernel*, int>, std::vector<uint32_t>>;

    const Graph& graph_;
    const StepPlan& plan_;
    const std::vector<Machine::Kernel>& kernels_;
    std::vector<std::vector<uint32_t>> needs_;  // of a step: earlier ones
    std::vector<const CachedKernel*> forms_;    // of a step; null where it joins nothing
    std::vector<size_t> bytes_, arena_bytes_;   // of a step: what it moves; what of it is no input, result or constant
    std::vector<size_t> in_use_;                // of a step: bytes of such memory, as the steps stand
    size_t peak_ = 0;                           // of these the most
    std::vector<uint32_t> made_;                // of a commit that moves nothing: the step that wrote the input
    std::vector<size_t> memory_bytes_;
};

StepPlan in_order(const StepPlan& plan, std::span<const uint32_t> order, std::vector<StepBatch> batches) {
    StepPlan arranged = plan;
    for (size_t k = 0; k < order.size(); ++k) arranged.steps[k] = plan.steps[order[k]];
    arranged.batches = std::move(batches);
    return arranged;
}

}  // namespace

void batch_steps(const Graph& graph, StepPlan& plan, std::vector<Machine::Kernel>& kernels) {
    StepOrder steps(graph, plan, kernels);
    if (!steps.any_alike()) return;
    const size_t before = steps.arena_bytes(plan);
    for (const Limits& most : limits) {
        const std::vector<uint32_t> order = steps.order(most);
        std::vector<StepBatch> batches = steps.batches(order, most);
        if (batches.empty()) return;
        StepPlan arranged = in_order(plan, order, std::move(batches));
        if (steps.arena_bytes(arranged) > before) continue;
        find_lifetimes(arranged);
        std::vector<Machine::Kernel> moved;
        for (uint32_t s : order) moved.push_back(std::move(kernels[s]));
        kernels = std::move(moved);
        plan = std::move(arranged);
        break;
    }
    for (const StepBatch& batch : plan.batches) {
        std::string others;
        for (uint32_t s = batch.first + 1; s < batch.first + batch.count; ++s)
            others += (others.empty() ? "" : ", ") + std::string(graph.name_of(plan.steps[s].node));
        const NodeId first = plan.steps[batch.first].node;
        plan.decisions.push_back({DecisionKind::together, std::string(graph.name_of(first)),
                                  fmt::format("one dispatch with {}, which {} the same on other memory", others,
                                              batch.count > 2 ? "do" : "does"),
                                  graph.origins[first.index]});
    }
}

}  // namespace tenon
