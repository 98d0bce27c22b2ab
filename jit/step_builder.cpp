#include "jit/step_builder.h"

#include <algorithm>
#include <cassert>
#include <unordered_map>

#include <fmt/format.h>

#include "ir/row.h"
#include "jit/kernel.h"
#include "jit/library.h"
#include "jit/literal.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

class StepBuilder {
public:
    StepBuilder(const Graph& graph, const Allocator& allocator) : graph_(graph), allocator_(allocator) {}

    StepPlan build() {
        for (NodeId p : graph_.params()) values_of_[p.index] = {new_value(MemoryKind::input, graph_[p].type, p)};
        for (NodeId id : graph_.body()) node(id);
        for (NodeId id : graph_.results()) results_.push_back(value(id));
        save_before_commits();
        for (uint32_t s = 0; s < steps().size(); ++s)
            if (steps()[s].kind == StepKind::commit) decide_commit(s);
        give_outputs_memory();
        begin_updates();
        note_lifetimes();
        return std::move(plan_);
    }

private:
    std::vector<StepLayout>& steps() { return plan_.steps; }
    StepMemory& memory(uint32_t value) { return plan_.memories[plan_.memory_of[value]]; }
    std::string name(NodeId id) const { return std::string(graph_.name_of(id)); }

    uint32_t new_value(MemoryKind kind, TypeId type, NodeId maker) {
        plan_.memories.push_back({kind, type, maker, 0, 0, {}});
        plan_.memory_of.push_back(uint32_t(plan_.memories.size() - 1));
        maker_step_.push_back(-1);
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
            values_of_[id.index] = {
                values_of_.at(graph_.operand(id, 0).index)[size_t(graph_.attributes(id).integer("index"))]};
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
            const Type& t = graph_.type(id);
            const std::vector<TypeId> types = t.kind == Type::Kind::tuple ? t.elements : std::vector<TypeId>{n.type};
            for (TypeId type : types) step.writes.push_back(new_value(MemoryKind::arena, type, id));
            values_of_[id.index] = step.writes;
        } else if (n.op == op<"assert">()) {
            step.kind = StepKind::assertion;
        } else if (n.op == op<"commit">()) {
            step.kind = StepKind::commit;
            const auto params = graph_.params();
            const auto target = std::find(params.begin(), params.end(), graph_.operand(id, 0));
            if (target == params.end())
                throw_error("internal",
                            fmt::format("commit writes {}, which is no input", name(graph_.operand(id, 0))));
            step.target = int32_t(target - params.begin());
            step.reads.erase(step.reads.begin());
        } else if (r.lowering == Lowering::library && plan_library_call(graph_, id).function) {
            step.kind = StepKind::library;
            step.writes.push_back(new_value(MemoryKind::arena, n.type, id));
            values_of_[id.index] = step.writes;
        } else
            throw_error("internal", fmt::format("`{}` is not scheduled: engines run kernels and library rows", r.name));
        for (uint32_t v : step.writes) maker_step_[v] = int32_t(steps().size());
        steps().push_back(std::move(step));
    }

    // ---- commits
    static bool reads(const StepLayout& step, uint32_t v) {
        return std::find(step.reads.begin(), step.reads.end(), v) != step.reads.end();
    }
    bool is_read_from(uint32_t v, size_t first) const {
        return std::any_of(plan_.steps.begin() + ptrdiff_t(first), plan_.steps.end(),
                           [&](const StepLayout& s) { return reads(s, v); }) ||
               std::find(results_.begin(), results_.end(), v) != results_.end();
    }
    // Uses of an input after its commit mean the value from before: it is copied away first.
    void save_before_commits() {
        for (size_t s = 0; s < steps().size(); ++s) {
            if (steps()[s].kind != StepKind::commit) continue;
            const uint32_t input = uint32_t(steps()[s].target);
            if (!is_read_from(input, s + 1)) continue;
            const NodeId p = graph_.params()[input];
            const uint32_t saved = new_value(MemoryKind::arena, graph_[p].type, p);
            for (size_t later = s + 1; later < steps().size(); ++later)
                std::replace(steps()[later].reads.begin(), steps()[later].reads.end(), input, saved);
            std::replace(results_.begin(), results_.end(), input, saved);
            StepLayout copy;
            copy.kind = StepKind::copy;
            copy.node = p;
            copy.reads = {input};
            copy.writes = {saved};
            steps().insert(steps().begin() + ptrdiff_t(s), std::move(copy));
            for (int32_t& maker : maker_step_) maker += maker >= int32_t(s);
            maker_step_[saved] = int32_t(s);
            note("copied", p, "its old value is used after it is written");
            ++s;
        }
    }
    bool can_fail(const StepLayout& step) {
        if (step.kind == StepKind::assertion) return true;
        if (step.kind == StepKind::library) return plan_library_call(graph_, step.node).may_fail;
        return step.kind == StepKind::kernel && info(step.node).may_fault;
    }
    const KernelInfo& info(NodeId kernel) {
        const auto [it, fresh] = infos_.try_emplace(kernel.index);
        if (fresh) it->second = analyse_kernel(graph_, kernel);
        return it->second;
    }
    // Why a commit has to copy; empty where its value can be made in the input's own memory.
    std::string why_copied(uint32_t s) {
        const uint32_t input = uint32_t(steps()[s].target), v = steps()[s].reads[0];
        const int32_t maker = maker_step_[v];
        if (maker < 0 || memory(v).kind != MemoryKind::arena) return "its new value is no result of a kernel";
        const StepLayout& made = steps()[size_t(maker)];
        if (made.kind == StepKind::copy) return "its new value is the old one of another input";
        if (std::find(results_.begin(), results_.end(), v) != results_.end())
            return "its new value is a result of the graph too";
        for (uint32_t other = 0; other < steps().size(); ++other) {
            if (other == s || steps()[other].kind != StepKind::commit) continue;
            if (steps()[other].reads[0] == v) return "its new value is written to two inputs";
            if (steps()[other].target == int32_t(input)) return "it is written more than once";
        }
        if (is_read_from(input, size_t(maker) + 1)) return "its old value is read after the new one is made";
        for (size_t between = size_t(maker); between < s; ++between)
            if (can_fail(steps()[between])) return "the graph may stop before it is written";
        if (reads(made, input) && made.kind == StepKind::library)
            return fmt::format("{} cannot work in place", name(made.node));
        const int32_t updates = made.kind == StepKind::kernel ? info(made.node).updates : -1;
        if (updates >= 0 && made.reads[size_t(updates)] != input && reads(made, input))
            return "the kernel begins with a copy of another value";
        const uint32_t result = result_number(made, v);
        for (uint32_t k = 0; k < made.reads.size(); ++k)
            if (made.reads[k] == input && !can_run_in_place(graph_, made.node, {k, result}))
                return "the kernel reads it elsewhere than it writes it";
        return {};
    }
    static uint32_t result_number(const StepLayout& made, uint32_t v) {
        return uint32_t(std::find(made.writes.begin(), made.writes.end(), v) - made.writes.begin());
    }
    void decide_commit(uint32_t s) {
        const uint32_t input = uint32_t(steps()[s].target), v = steps()[s].reads[0];
        const NodeId p = graph_.params()[input];
        if (const std::string why = why_copied(s); !why.empty()) return note("copied", p, why);
        StepLayout& made = steps()[size_t(maker_step_[v])];
        for (uint32_t k = 0; k < made.reads.size(); ++k)
            if (made.reads[k] == input) made.in_place.push_back({k, result_number(made, v)});
        plan_.memory_of[v] = plan_.memory_of[input];
        note("in place", p, fmt::format("{} writes it where it reads it", name(made.node)));
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
        for (uint32_t s = 0; s < steps().size(); ++s) {
            if (steps()[s].kind != StepKind::kernel || info(steps()[s].node).updates < 0) continue;
            StepLayout& step = steps()[s];
            const uint32_t from = step.reads[size_t(info(step.node).updates)], to = step.writes[0];
            if (plan_.memory_of[from] == plan_.memory_of[to]) continue;  // a commit
            const bool dies = std::count(step.reads.begin(), step.reads.end(), from) == 1 && !is_read_from(from, s + 1);
            if (dies && memory(from).kind == MemoryKind::arena && memory(to).kind != MemoryKind::input) {
                note("in place", step.node, fmt::format("{} is not read any more", name(memory(from).maker)));
                const uint32_t old = plan_.memory_of[from], shared = plan_.memory_of[to];
                std::replace(plan_.memory_of.begin(), plan_.memory_of.end(), old, shared);
                continue;
            }
            StepLayout copy;
            copy.kind = StepKind::copy;
            copy.node = step.node;
            copy.reads = {from};
            copy.writes = {to};
            note("copied", step.node,
                 dies ? "it may not write to the memory that it changes a part of"
                      : "what it changes a part of is read later");
            steps().insert(steps().begin() + ptrdiff_t(s++), std::move(copy));
        }
    }

    void note_lifetimes() {
        std::vector<bool> used(plan_.memories.size());
        for (uint32_t s = 0; s < steps().size(); ++s)
            for (const std::vector<uint32_t>* list : {&steps()[s].reads, &steps()[s].writes})
                for (uint32_t v : *list) {
                    StepMemory& m = memory(v);
                    if (!used[plan_.memory_of[v]]) m.first = s;
                    used[plan_.memory_of[v]] = true;
                    m.last = s;
                }
        // What was merged away takes no room.
        for (size_t m = 0; m < plan_.memories.size(); ++m)
            if (!used[m] && plan_.memories[m].kind == MemoryKind::arena) plan_.memories[m].kind = MemoryKind::constant;
    }

    void note(std::string what, NodeId subject, std::string reason) {
        plan_.decisions.push_back({std::move(what), name(subject), std::move(reason), graph_.origins[subject.index]});
    }

    const Graph& graph_;
    const Allocator& allocator_;
    StepPlan plan_;
    std::unordered_map<uint32_t, std::vector<uint32_t>> values_of_;  // node -> its values
    std::vector<int32_t> maker_step_;                                // a value
    std::vector<uint32_t> results_;
    std::unordered_map<uint32_t, KernelInfo> infos_;
};

}  // namespace

StepPlan build_steps(const Graph& scheduled, const Allocator& allocator) {
    return StepBuilder(scheduled, allocator).build();
}

}  // namespace tenon
