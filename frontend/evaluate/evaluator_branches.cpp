// An `if` on a value that the graph under capture is yet to compute, as one node of it.
#include <algorithm>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "frontend/evaluate/evaluator.h"
#include "frontend/record/capture_trace.h"
#include "frontend/record/tensor_dispatch.h"
#include "frontend/regions/branch.h"
#include "frontend/regions/merged_values.h"
#include "frontend/resolve/bindings.h"
#include "frontend/syntax/ast_walk.h"

namespace tenon {

namespace {

bool always_returns(const ast::Block* block) {
    if (!block || block->statements.empty()) return false;
    const ast::Statement& last = *block->statements.back();
    if (last.kind == ast::StatementKind::return_value) return true;
    if (last.kind != ast::StatementKind::if_else) return false;
    const auto& inner = ast::as<ast::If>(last);
    return always_returns(inner.otherwise) &&
           std::all_of(inner.branches.begin(), inner.branches.end(),
                       [](const ast::Branch& branch) { return always_returns(branch.body); });
}

size_t uses(const auto& text, Symbol name) {
    size_t count = 0;
    ast::for_each_expression(text, [&](const ast::Expr& expr) {
        count += expr.kind == ast::ExprKind::name && ast::as<ast::Name>(expr).name == name;
    });
    return count;
}

}  // namespace

Evaluator::BranchFacts& Evaluator::facts_of(const ast::If& statement, size_t number, const ast::Function& function) {
    BranchFacts& facts = branch_facts_[&statement.branches[number]];
    if (std::exchange(facts.known, true)) return facts;
    const std::span<ast::Statement* const> lines = function.body->statements;
    const auto line = std::find(lines.begin(), lines.end(), &statement);
    bool all_return = always_returns(statement.otherwise), any_returns = all_return;
    for (const ast::Branch& each : statement.branches.subspan(number)) {
        all_return &= always_returns(each.body);
        any_returns |= always_returns(each.body);
    }
    facts.returns = any_returns && (all_return || line != lines.end());
    if (facts.returns) {
        if (line != lines.end()) facts.rest = lines.subspan(size_t(line - lines.begin()) + 1);
        return facts;
    }
    std::unordered_set<Symbol> names;
    const auto collect = [&](const ast::Block* block) {
        if (!block) return;
        for (const Binding& binding : bindings_of(*block)) names.insert(binding.name);
    };
    collect(statement.otherwise);
    for (const ast::Branch& each : statement.branches.subspan(number)) collect(each.body);
    for (size_t slot = 0; slot < function.slot_names.size(); ++slot) {
        const Symbol name = function.slot_names[slot];
        if (names.contains(name) && uses(*function.body, name) > uses(statement, name)) facts.assigned.push_back(slot);
    }
    return facts;
}

// Both sides are run on values without elements. What they do to variables is found and taken back, and the variables get
// the node's results; or both sides return, where what follows belongs to the side that does not by itself.
std::optional<Evaluator::Flow> Evaluator::branch(const ast::If& statement, size_t number, const Value& holds,
                                                 Frame& frame, std::string& why) {
    if (frame.tries > 0 || !frame.function.body) return std::nullopt;
    BranchFacts& facts = facts_of(statement, number, frame.function);
    constexpr int attempts = 3;  // what was no node once may be one at the next call
    if (facts.refusals >= attempts) {
        why = facts.why;
        return std::nullopt;
    }
    const bool returns = facts.returns;
    const std::vector<size_t>& assigned = facts.assigned;

    const std::span<Value> slots = frame.slots.all();
    const std::vector<Value> before(slots.begin(), slots.end());
    const Span here = here_;
    const auto restore = [&] {
        std::copy(before.begin(), before.end(), slots.begin());
        frame.result = {};
        here_ = here;
    };
    std::vector<const TensorObject*> own(slots.size());  // what nobody else knows: the variable and `before` do
    const auto note_own = [&](size_t slot) {
        const auto* x = before[slot].try_as<TensorObject>();
        if (x && x->use_count() == 2 && tracer_.capture().trace().is_alone(*x)) own[slot] = x;
    };
    for (size_t slot = 0; returns && slot < slots.size(); ++slot) note_own(slot);
    for (size_t slot : assigned) note_own(slot);

    std::array<std::vector<Value>, 2> given;  // by side: of each assigned variable, or what is returned
    std::vector<size_t> variable_of;          // by result
    const auto side = [&](size_t s) {
        restore();
        given[s].clear();
        Flow flow =
            s == 0 ? execute(*statement.branches[number].body, frame) : execute_if(statement, frame, number + 1);
        if (returns)
            for (size_t k = 0; flow == Flow::normal && k < facts.rest.size(); ++k)
                flow = execute(*facts.rest[k], frame);
        if (flow == Flow::break_loop || flow == Flow::continue_loop)
            throw Error(Diagnostic{"graph", "it leaves the loop", statement.span, {}, {}});
        if (!returns && flow == Flow::return_value)
            throw Error(Diagnostic{"graph", "it returns, and the other side does not", statement.span, {}, {}});
        if (returns) given[s].push_back(frame.result);
        else
            for (size_t slot : assigned) given[s].push_back(slots[slot]);
        std::vector<TensorRef> tensors;
        variable_of.clear();
        for (size_t k = 0; k < given[s].size(); ++k) {
            const Value& value = given[s][k];
            if (s == 1 && (value.is_unset() != given[0][k].is_unset() ||
                           (!value.is_unset() && !what_differs(given[0][k], value).empty()))) {
                const std::string name =
                    returns ? "what is returned" : fmt::format("`{}`", name_of(frame.function.slot_names[assigned[k]]));
                const bool one_sided = value.is_unset() || given[0][k].is_unset();
                throw Error(Diagnostic{"type",
                                       one_sided ? fmt::format("{} is assigned on the one side only", name)
                                                 : fmt::format("{} is {}", name, what_differs(given[0][k], value)),
                                       statement.span,
                                       {},
                                       {}});
            }
            for (const TensorRef& x : tensors_of(value)) {
                tensors.push_back(x);
                variable_of.push_back(k);
            }
        }
        return tensors;
    };
    // A variable's own tensor may become the variable's again, or what is returned: the variable is gone then.
    const auto may_show = [&](size_t k, const TensorObject& shown) {
        if (returns) return std::find(own.begin(), own.end(), &shown) != own.end();
        return own[assigned[variable_of[k]]] == &shown;
    };
    const auto name = [&](size_t k) {
        return returns ? std::string("what is returned")
                       : fmt::format("`{}`", name_of(frame.function.slot_names[assigned[variable_of[k]]]));
    };
    std::optional<std::vector<TensorRef>> results;
    try {
        results = append_branch(
            tracer_, holds.ref<TensorObject>(), [&] { return side(0); }, [&] { return side(1); }, {may_show, name},
            why);
    } catch (...) {
        restore();
        throw;
    }
    restore();
    if (!results) {
        take_stack();
        ++facts.refusals;
        facts.why = why;
        return std::nullopt;
    }
    std::span<const TensorRef> next(*results);
    for (size_t k = 0; k < given[0].size(); ++k) {
        if (given[0][k].is_unset()) continue;
        Value merged = with_tensors(given[0][k], next);
        if (returns) frame.result = std::move(merged);
        else slots[assigned[k]] = std::move(merged);
    }
    return returns ? Flow::return_value : Flow::normal;
}

}  // namespace tenon
