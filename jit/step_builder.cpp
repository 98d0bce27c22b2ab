#include "jit/step_builder.h"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <map>
#include <unordered_map>

#include <fmt/format.h>

#include "ir/checked_positions.h"
#include "ir/row.h"
#include "jit/kernel.h"
#include "jit/kernel_form.h"
#include "jit/library/library.h"
#include "jit/literal.h"
#include "runtime/diagnostic.h"
#include "runtime/integer.h"

namespace tenon {

namespace {

class StepBuilder {
public:
    StepBuilder(const Graph& graph, const Allocator& allocator) : graph_(graph), allocator_(allocator) {}

    StepPlan build() {
        for (NodeId p : graph_.params()) {
            const uint32_t input = new_value(MemoryKind::input, graph_[p].type, p);
            values_of_[p.index] = {input};
            input_of_[p.index] = int32_t(input);
        }
        for (NodeId id : graph_.body()) node(id);
        for (NodeId id : graph_.results()) results_.push_back(value(id));
        save_before_commits();
        find_uses();
        count_commits();
        for (uint32_t s = 0; s < steps().size(); ++s)
            if (steps()[s].kind == StepKind::commit) decide_commit(s);
        give_outputs_memory();
        find_uses();
        begin_updates();
        drop_unread_results();
        lend_operands();
        for (uint32_t& memory : plan_.memory_of) memory = standing(memory);
        find_lifetimes(plan_);
        return std::move(plan_);
    }

private:
    std::vector<StepLayout>& steps() { return plan_.steps; }
    // Memories that became one have a common number.
    uint32_t standing(uint32_t memory) {
        while (part_of_[memory] != memory) memory = part_of_[memory] = part_of_[part_of_[memory]];
        return memory;
    }
    uint32_t memory_number(uint32_t value) { return standing(plan_.memory_of[value]); }
    StepMemory& memory(uint32_t value) { return plan_.memories[memory_number(value)]; }
    std::string name(NodeId id) const { return std::string(graph_.name_of(id)); }

    uint32_t new_value(MemoryKind kind, TypeId type, NodeId maker) {
        plan_.memories.push_back({kind, type, maker, 0, 0, {}});
        plan_.memory_of.push_back(uint32_t(plan_.memories.size() - 1));
        part_of_.push_back(uint32_t(plan_.memories.size() - 1));
        return uint32_t(plan_.memory_of.size() - 1);
    }
    uint32_t value(NodeId id) {
        const auto found = values_of_.find(id.index);
        if (found != values_of_.end()) {
            assert(found->second.size() == 1);
            return found->second[0];
        }
        const Node& n = graph_[id];
        Tensor constant;
        if (n.op == op<"constant">())
            constant = Tensor::scalar(allocator_, graph_.type(id).dtype, scalar_of(graph_, id));
        else if (n.op == op<"tensor">())
            constant = graph_.tensors[size_t(graph_.attributes(id).integer("index"))].contiguous();
        else throw_error("internal", fmt::format("`{}` is used before it is made", name(id)));
        const uint32_t v = new_value(MemoryKind::constant, n.type, id);
        memory(v).constant = std::move(constant);
        values_of_[id.index] = {v};
        return v;
    }

    // ---- nodes to steps
    void node(NodeId id) {
        const Node& n = graph_[id];
        const Row& r = row(n.op);
        if (n.op == op<"get">()) {
            const NodeId maker = graph_.operand(id, 0);
            const uint32_t v = values_of_.at(maker.index)[size_t(graph_.attributes(id).integer("index"))];
            if (memory(v).maker == maker) memory(v).maker = id;
            values_of_[id.index] = {v};
            return;
        }
        if (n.op == op<"tuple">()) {
            for (NodeId operand : graph_.operands_of(id)) {
                const uint32_t v = value(operand);
                values_of_[id.index].push_back(v);
            }
            return;
        }
        if (r.lowering == Lowering::movement) {  // schedule left it: it renames memory
            const uint32_t v = value(graph_.operand(id, 0));
            values_of_[id.index] = {v};
            return;
        }
        StepLayout step;
        step.node = id;
        for (NodeId operand : graph_.operands_of(id)) step.reads.push_back(value(operand));
        if (n.op == op<"kernel">()) {
            make_results(step);
        } else if (r.effect == Effect::asserts) {
            step.kind = StepKind::assertion;
        } else if (r.effect == Effect::commits) {
            step.kind = StepKind::commit;
            const auto target = input_of_.find(graph_.operand(id, 0).index);
            if (target == input_of_.end())
                throw_error("internal",
                            fmt::format("commit writes {}, which is no input", name(graph_.operand(id, 0))));
            step.target = target->second;
            step.reads.erase(step.reads.begin());
        } else if (LibraryPlan call;
                   r.lowering == Lowering::library && (call = plan_library_call(graph_, id)).function) {
            step.kind = StepKind::library;
            step.library = call;
            make_results(step);
        } else if (r.lowering == Lowering::regions) {
            step.kind = StepKind::regions;
            make_results(step);
        } else
            throw_error("internal", fmt::format("`{}` is not scheduled: engines run kernels and library rows", r.name));
        steps().push_back(std::move(step));
    }

    void make_results(StepLayout& step) {
        const Type& t = graph_.type(step.node);
        const std::vector<TypeId> types =
            t.kind == Type::Kind::tuple ? t.elements : std::vector<TypeId>{graph_[step.node].type};
        for (TypeId type : types) step.writes.push_back(new_value(MemoryKind::arena, type, step.node));
        values_of_[step.node.index] = step.writes;
    }

    // ---- commits
    static bool reads(const StepLayout& step, uint32_t v) {
        return std::find(step.reads.begin(), step.reads.end(), v) != step.reads.end();
    }
    struct Uses {  // of a value, by steps
        int32_t made = -1, last_read = -1;
        bool is_result = false;
    };
    void find_uses() {
        uses_.assign(plan_.memory_of.size(), {});
        for (uint32_t s = 0; s < steps().size(); ++s) {
            for (uint32_t v : steps()[s].reads) uses_[v].last_read = int32_t(s);
            for (uint32_t v : steps()[s].writes) uses_[v].made = int32_t(s);
        }
        for (uint32_t v : results_) uses_[v].is_result = true;
    }
    bool is_read_from(uint32_t v, int32_t first) const { return uses_[v].is_result || uses_[v].last_read >= first; }
    // Uses of an input after its commit mean the value from before: it is copied away first.
    void save_before_commits() {
        find_uses();
        std::vector<StepLayout> before = std::move(steps());
        steps().clear();
        std::unordered_map<uint32_t, uint32_t> saved;  // input -> its old value
        const auto rename = [&](uint32_t& v) {
            if (const auto old = saved.find(v); old != saved.end()) v = old->second;
        };
        for (uint32_t s = 0; s < before.size(); ++s) {
            StepLayout& step = before[s];
            for (uint32_t& v : step.reads) rename(v);
            const uint32_t input = uint32_t(step.target);
            if (step.kind == StepKind::commit && !saved.contains(input) && is_read_from(input, int32_t(s) + 1)) {
                const NodeId p = graph_.params()[input];
                StepLayout copy;
                copy.kind = StepKind::copy;
                copy.node = p;
                copy.reads = {input};
                copy.writes = {new_value(MemoryKind::arena, graph_[p].type, p)};
                saved.emplace(input, copy.writes[0]);
                steps().push_back(std::move(copy));
                note(DecisionKind::copied, p, "its old value is used after it is written");
            }
            steps().push_back(std::move(step));
        }
        for (uint32_t& v : results_) rename(v);
    }
    bool can_fail(const StepLayout& step, CheckedPositions& checked) {
        if (step.kind == StepKind::assertion) return true;
        if (step.kind == StepKind::regions) return regions_may_fail(step.node);
        if (step.kind == StepKind::library) return checked.may_fail(step.node);
        return step.kind == StepKind::kernel && info(step.node).may_fault;
    }
    bool regions_may_fail(NodeId id) {
        bool any = row(graph_[id].op).may_fail;
        for (unsigned k = 0; k < graph_[id].regions; ++k) any = any || may_fail(graph_.region_of(id, k));
        return any;
    }
    bool may_fail(const Region& region) {
        const auto nodes = graph_.body(region);
        return std::any_of(nodes.begin(), nodes.end(), [&](NodeId id) {
            const Node& n = graph_[id];
            if (n.op == op<"kernel">()) return info(id).may_fault;
            if (row(n.op).lowering == Lowering::regions) return regions_may_fail(id);
            return row(n.op).may_fail || row(n.op).effect == Effect::asserts;
        });
    }
    const KernelInfo& info(NodeId kernel) {
        const auto [it, fresh] = infos_.try_emplace(kernel.index);
        if (fresh) it->second = analyse_kernel(graph_, kernel);
        return it->second;
    }
    void count_commits() {
        commits_of_.assign(plan_.memory_of.size(), 0);
        commits_to_.assign(graph_.params().size(), 0);
        may_stop_.assign(1, 0);
        const bool any = std::any_of(steps().begin(), steps().end(),
                                     [](const StepLayout& step) { return step.kind == StepKind::commit; });
        CheckedPositions checked(graph_);
        for (uint32_t s = 0; any && s < steps().size(); ++s) {
            steps()[s].may_fail = can_fail(steps()[s], checked);
            may_stop_.push_back(may_stop_.back() + steps()[s].may_fail);
            if (steps()[s].kind != StepKind::commit) continue;
            ++commits_of_[steps()[s].reads[0]];
            ++commits_to_[size_t(steps()[s].target)];
        }
    }
    // Why a commit has to copy; empty where its value can be made in the input's own memory.
    std::string why_copied(uint32_t s) {
        const uint32_t input = uint32_t(steps()[s].target), v = steps()[s].reads[0];
        const int32_t maker = uses_[v].made;
        if (maker < 0 || memory(v).kind != MemoryKind::arena) return "its new value is no result of a kernel";
        const StepLayout& made = steps()[size_t(maker)];
        if (made.kind == StepKind::copy) return "its new value is the old one of another input";
        if (uses_[v].is_result) return "its new value is a result of the graph too";
        if (commits_of_[v] > 1) return "its new value is written to two inputs";
        if (commits_to_[input] > 1) return "it is written more than once";
        if (is_read_from(input, maker + 1)) return "its old value is read after the new one is made";
        if (may_stop_[s] > may_stop_[size_t(maker)]) return "the graph may stop before it is written";
        if (reads(made, input) && (made.kind == StepKind::library || made.kind == StepKind::regions))
            return fmt::format("{} cannot work in place", name(made.node));
        const int64_t updates = updated_operand(made);
        if (updates >= 0 && made.reads[size_t(updates)] != input && reads(made, input))
            return "the kernel begins with a copy of another value";
        const uint32_t result = result_number(made, v);
        for (uint32_t k = 0; k < made.reads.size(); ++k)
            if (made.reads[k] == input && !can_run_in_place(graph_, made.node, {k, result}))
                return "the kernel reads it elsewhere than it writes it";
        return {};
    }
    // The operand that the kernel changes parts of; −1 for none.
    int64_t updated_operand(const StepLayout& step) const {
        return step.kind == StepKind::kernel ? graph_.attributes(step.node).integer_or("updates", -1) : -1;
    }
    static uint32_t result_number(const StepLayout& made, uint32_t v) {
        return uint32_t(std::find(made.writes.begin(), made.writes.end(), v) - made.writes.begin());
    }
    void decide_commit(uint32_t s) {
        const uint32_t input = uint32_t(steps()[s].target), v = steps()[s].reads[0];
        const NodeId p = graph_.params()[input];
        if (const std::string why = why_copied(s); !why.empty()) return note(DecisionKind::copied, p, why);
        StepLayout& made = steps()[size_t(uses_[v].made)];
        for (uint32_t k = 0; k < made.reads.size(); ++k)
            if (made.reads[k] == input) made.in_place.push_back({k, result_number(made, v)});
        plan_.memory_of[v] = plan_.memory_of[input];
        note(DecisionKind::in_place, p, fmt::format("{} writes it where it reads it", name(made.node)));
    }

    // ---- outputs
    void give_outputs_memory() {
        for (size_t k = 0; k < results_.size(); ++k) {
            const uint32_t v = results_[k];
            const NodeId id = graph_.results()[k];
            if (memory(v).kind == MemoryKind::arena) {
                memory(v).kind = MemoryKind::output;
                memory(v).type = graph_[id].type;
                plan_.output_memory.push_back(plan_.memory_of[v]);
                continue;
            }
            StepLayout copy;  // an input, a constant, or a value that is another output already
            copy.kind = StepKind::copy;
            copy.node = id;
            const uint32_t out = new_value(MemoryKind::output, graph_[id].type, id);
            copy.reads = {v};
            copy.writes = {out};
            plan_.output_memory.push_back(plan_.memory_of[out]);
            steps().push_back(std::move(copy));
        }
    }
    // A kernel that changes parts of an operand needs no copy of it where nobody else reads it any more.
    void begin_updates() {
        std::vector<StepLayout> before = std::move(steps());
        steps().clear();
        for (uint32_t s = 0; s < before.size(); ++s) {
            if (const int64_t updated = updated_operand(before[s]); updated >= 0)
                begin_update(before[s], s, before[s].reads[size_t(updated)]);
            steps().push_back(std::move(before[s]));
        }
    }
    void begin_update(StepLayout& step, uint32_t s, uint32_t from) {
        const uint32_t to = step.writes[0];
        if (memory_number(from) == memory_number(to)) return;  // a commit
        // What is added to the part that is changed is read there, too.
        std::vector<InPlace> in_place;
        for (uint32_t k = 0; k < step.reads.size(); ++k)
            if (step.reads[k] == from && int64_t(k) != updated_operand(step)) in_place.push_back({k, 0});
        const bool dies = !is_read_from(from, int32_t(s) + 1) &&
                          std::all_of(in_place.begin(), in_place.end(), [&](const InPlace& pair) {
                              return can_run_in_place(graph_, step.node, pair);
                          });
        if (dies && memory(from).kind == MemoryKind::arena && memory(to).kind != MemoryKind::input) {
            note(DecisionKind::in_place, step.node, fmt::format("{} is not read any more", name(memory(from).maker)));
            part_of_[memory_number(from)] = memory_number(to);
            step.in_place.insert(step.in_place.end(), in_place.begin(), in_place.end());
            return;
        }
        StepLayout copy;
        copy.kind = StepKind::copy;
        copy.node = step.node;
        copy.reads = {from};
        copy.writes = {to};
        steps().push_back(std::move(copy));
        note(DecisionKind::copied, step.node,
             dies ? "it may not write to the memory that it changes a part of"
                  : "what it changes a part of is read later");
    }

    // ---- values that die in a kernel
    // So many bytes, by hint, are worth a kernel of another form; so many one of the same form.
    static constexpr int64_t large_bytes = 1 << 20, least_bytes = 1 << 12;
    static constexpr size_t most_buffers_paired = 64;  // of a kernel: each is asked about with each
    int64_t bytes_of(uint32_t v) {
        const Type& t = (*graph_.context)[memory(v).type];
        int64_t bytes = int64_t(size_of(t.dtype));
        for (SizeId size : t.sizes) bytes = multiply_saturated(bytes, graph_.context->evaluate(size, hints_));
        return bytes;
    }
    bool are_as_large(uint32_t a, uint32_t b) {
        Context& c = *graph_.context;
        const auto numel = [&](uint32_t v) {
            SizeId n(1);
            for (SizeId size : c[memory(v).type].sizes) n = c.mul(n, size);
            return n;
        };
        return size_of(c[memory(a).type].dtype) == size_of(c[memory(b).type].dtype) && numel(a) == numel(b);
    }
    // Such a value lends its memory to a result as large, where the kernel reads each element of it last just before it
    // writes there.
    struct Lent {
        uint32_t from = 0, to = 0;   // values
        std::vector<InPlace> pairs;  // each operand of the kernel that is `from`
    };
    void lend_operands() {
        for (const SizeSymbol& symbol : graph_.symbols) hints_.push_back(symbol.hint);
        bool any_small = false;
        for (uint32_t s = 0; s < steps().size(); ++s) {
            for (const Lent& l : what_is_lent(s)) {
                if (bytes_of(l.to) >= large_bytes) lend(s, l);
                else any_small = true;
            }
        }
        if (any_small) lend_small();
    }
    // Of kernels of one form all lend, or none: so there are no more forms than there were.
    void lend_small() {
        std::map<StableHash, std::vector<uint32_t>> steps_of;  // a form
        for (uint32_t s = 0; s < steps().size(); ++s)
            if (steps()[s].kind == StepKind::kernel)
                steps_of[kernel_form(graph_, steps()[s].node, steps()[s].in_place).hash].push_back(s);
        for (const auto& [form, alike] : steps_of) {
            std::vector<std::vector<Lent>> of_step;
            for (uint32_t s : alike) of_step.push_back(what_is_lent(s));
            const auto lent_by_all = [&](const Lent& l) {
                return std::all_of(of_step.begin(), of_step.end(), [&](const std::vector<Lent>& other) {
                    return std::any_of(other.begin(), other.end(), [&](const Lent& o) { return o.pairs == l.pairs; });
                });
            };
            std::vector<std::vector<Lent>> chosen(alike.size());
            for (size_t k = 0; k < alike.size(); ++k)
                std::copy_if(of_step[k].begin(), of_step[k].end(), std::back_inserter(chosen[k]), lent_by_all);
            for (size_t k = 0; k < alike.size(); ++k)
                for (const Lent& l : chosen[k]) lend(alike[k], l);
        }
    }
    // A result each at most, in their order.
    std::vector<Lent> what_is_lent(uint32_t s) {
        const StepLayout& step = steps()[s];
        std::vector<Lent> found;
        if (step.kind != StepKind::kernel || updated_operand(step) >= 0) return found;
        if (step.reads.size() + step.writes.size() > most_buffers_paired) return found;
        for (uint32_t result = 0; result < step.writes.size(); ++result) {
            const uint32_t to = step.writes[result];
            const bool takes = memory(to).kind == MemoryKind::arena || memory(to).kind == MemoryKind::output;
            if (!takes || bytes_of(to) < least_bytes) continue;
            for (uint32_t from : step.reads) {
                const bool is_taken = std::any_of(found.begin(), found.end(), [&](const Lent& l) {
                    return memory_number(l.from) == memory_number(from);
                });
                const bool dies = memory(from).kind == MemoryKind::arena && !is_read_from(from, int32_t(s) + 1);
                if (is_taken || !dies || memory_number(from) == memory_number(to) || !are_as_large(from, to)) continue;
                Lent lent{from, to, {}};
                bool fits = true;
                for (uint32_t k = 0; k < step.reads.size() && fits; ++k) {
                    if (step.reads[k] != from) continue;
                    fits = can_run_in_place(graph_, step.node, {k, result}) &&
                           std::none_of(step.in_place.begin(), step.in_place.end(),
                                        [&](const InPlace& p) { return p.operand == k || p.result == result; });
                    lent.pairs.push_back({k, result});
                }
                if (!fits) continue;
                found.push_back(std::move(lent));
                break;
            }
        }
        return found;
    }
    void lend(uint32_t s, const Lent& l) {
        StepLayout& step = steps()[s];
        note(DecisionKind::in_place, step.node, fmt::format("{} is not read any more", name(memory(l.from).maker)));
        part_of_[memory_number(l.from)] = memory_number(l.to);
        step.in_place.insert(step.in_place.end(), l.pairs.begin(), l.pairs.end());
    }

    // A library function is told which of its results nobody reads; of one that has one result it is written anyway.
    void drop_unread_results() {
        find_uses();
        for (const StepLayout& step : steps()) {
            if (step.kind != StepKind::library || step.writes.size() < 2) continue;
            for (uint32_t v : step.writes)
                if (!is_read_from(v, 0) && memory(v).kind == MemoryKind::arena) memory(v).kind = MemoryKind::unread;
        }
    }
    void note(DecisionKind what, NodeId subject, std::string reason) {
        plan_.decisions.push_back({what, name(subject), std::move(reason), graph_.origins[subject.index]});
    }

    const Graph& graph_;
    const Allocator& allocator_;
    StepPlan plan_;
    std::unordered_map<uint32_t, std::vector<uint32_t>> values_of_;  // node -> its values
    std::unordered_map<uint32_t, int32_t> input_of_;                 // parameter -> its number
    std::vector<uint32_t> part_of_;                                  // a memory
    std::vector<Uses> uses_;                                         // a value
    std::vector<uint32_t> commits_of_, commits_to_;                  // a value, an input
    std::vector<uint32_t> may_stop_;                                 // how many of the steps before may fail
    std::vector<uint32_t> results_;
    std::vector<int64_t> hints_;  // of the graph's symbols
    std::unordered_map<uint32_t, KernelInfo> infos_;
};

}  // namespace

void find_lifetimes(StepPlan& plan) {
    std::vector<bool> used(plan.memories.size());
    auto batch = plan.batches.begin();
    for (uint32_t s = 0; s < plan.steps.size(); ++s) {
        if (batch != plan.batches.end() && s >= batch->first + batch->count) ++batch;
        const bool together = batch != plan.batches.end() && s >= batch->first;
        const uint32_t first = together ? batch->first : s, last = together ? first + batch->count - 1 : s;
        for (const std::vector<uint32_t>* list : {&plan.steps[s].reads, &plan.steps[s].writes})
            for (uint32_t value : *list) {
                const uint32_t number = plan.memory_of[value];
                StepMemory& memory = plan.memories[number];
                if (!used[number]) memory.first = first;
                used[number] = true;
                memory.last = last;
            }
    }
    // What was merged away takes no room.
    for (size_t m = 0; m < plan.memories.size(); ++m)
        if (!used[m] && plan.memories[m].kind == MemoryKind::arena) plan.memories[m].kind = MemoryKind::constant;
}

StepPlan build_steps(const Graph& scheduled, const Allocator& allocator) {
    return StepBuilder(scheduled, allocator).build();
}

}  // namespace tenon
