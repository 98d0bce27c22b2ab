#include "frontend/builtins/control_flow.h"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>

#include "frontend/builtins/tensor.h"
#include "frontend/compile/counters.h"
#include "frontend/record/capture_trace.h"
#include "frontend/regions/branch.h"
#include "frontend/regions/merged_values.h"
#include "frontend/regions/traced_region.h"
#include "frontend/values/function.h"
#include "ir/build/take_apart.h"
#include "ir/differentiate/regions.h"
#include "ir/regions.h"
#include "ir/row.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

// Tensors that nobody else knows: what has just been made is.
Value of_their_own(TensorCall& c, const Value& tree) {
    return map_leaves(tree, [&](const Value& leaf) -> Value {
        if (!leaf.is_tensor()) return leaf;
        const TensorObject& x = leaf.as<TensorObject>();
        const bool is_known = !x.is_held_once() || x.is_symbolic() || !x.tensor.storage->is_held_once();
        return is_known ? Value(ops::clone(c.d, leaf.ref<TensorObject>())) : leaf;
    });
}

void tell(TensorCall& c, std::string_view why, std::string_view what) {
    if (c.tracer.capturing())
        c.tracer.tell({std::string(c.tracer.capture().site().name), std::string(why), c.d.span()}, what);
}

Value call(TensorCall& c, const Value& function, std::span<const Value> arguments) {
    const Span span = c.d.span();
    Value returned = c.evaluator.call(function, arguments);
    c.d.set_span(span);
    return returned;
}

// ---- cond
class CondCall {
public:
    explicit CondCall(TensorCall& c) : c_(c), arguments_(items_of(c[3]) ? *items_of(c[3]) : Values()) {}

    Value run() {
        const Value& condition = c_[0];
        if (condition.is_bool()) return call(c_, c_[condition.as_bool() ? 1 : 2], arguments_);
        check(condition);
        std::string why;
        if (c_.tracer.capturing()) {
            if (std::optional<Value> given = as_branch(condition, why)) return *given;
            tell(c_, why, "cond decided at once");
        }
        const bool holds = c_.border.truth(condition, c_.arguments.span_of(0), why);
        return of_their_own(c_, call(c_, c_[holds ? 1 : 2], arguments_));
    }

private:
    void check(const Value& condition) const {
        const auto* x = condition.try_as<TensorObject>();
        if (x && x->dtype() == DType::boolean && x->tensor.numel() == 1) return;
        throw Error(Diagnostic{"type",
                               fmt::format("the condition of cond is one bool, but this is {}",
                                           x ? describe_type(*x) : with_article(condition.kind())),
                               c_.arguments.span_of(0),
                               {},
                               "write `x.all()` or `x.any()`, or compare: `x > 0`"});
    }
    std::optional<Value> as_branch(const Value& given, std::string& why) {
        TensorRef condition = given.ref<TensorObject>();
        if (condition->rank() > 0) condition = ops::reshape(c_.d, condition, {});
        std::array<Value, 2> returned;
        const auto side = [&](size_t s) {
            returned[s] = map_leaves(call(c_, c_[1 + s], arguments_), [](const Value& leaf) { return leaf; });
            if (s == 1)
                if (const std::string what = what_differs(returned[0], returned[1]); !what.empty())
                    throw_error("type", fmt::format("cond gives {}", what));
            return tensors_of(returned[s]);
        };
        const auto may_show = [](size_t, const TensorObject&) { return true; };
        const auto name = [](size_t k) { return fmt::format("result {}", k); };
        const std::optional<std::vector<TensorRef>> results = append_branch(
            c_.tracer, condition, [&] { return side(0); }, [&] { return side(1); }, {may_show, name}, why);
        if (!results) return std::nullopt;
        std::span<const TensorRef> next(*results);
        return with_tensors(returned[0], next);
    }

    TensorCall& c_;
    const Values arguments_;
};

// ---- while_loop
class LoopCall {
public:
    LoopCall(TensorCall& c, int64_t max_turns)
        : c_(c), condition_(c[0]), body_(c[1]), init_(c[2]), max_turns_(max_turns), carried_(tensors_of(init_)) {
        for_each_leaf(init_, [](const Value& leaf) {
            if (!leaf.is_tensor())
                throw_error(
                    "type",
                    fmt::format("what while_loop carries is tensors, and lists, tuples and dicts of them, but here "
                                "is {}",
                                with_article(leaf.kind())),
                    "tensor(x) makes a tensor of a number");
        });
    }

    Value run() {
        std::string why;
        if (c_.tracer.capturing()) {
            if (std::optional<Value> given = as_region(why)) return *given;
            tell(c_, why, "while_loop turn by turn");
        }
        return turn_by_turn(why);
    }

private:
    TensorRef goes_on(const Value& carried) {
        const Value holds = call(c_, condition_, {{carried}});
        const auto* x = holds.try_as<TensorObject>();
        if (x && x->dtype() == DType::boolean && x->tensor.numel() == 1) {
            const TensorRef condition = holds.ref<TensorObject>();
            return condition->rank() == 0 ? condition : ops::reshape(c_.d, condition, {});
        }
        throw_error("type", fmt::format("the condition of while_loop gives one bool tensor, but here it gave {}",
                                        x ? describe_type(*x) : with_article(holds.kind())));
    }
    Value turn(const Value& carried) {
        const Value left = call(c_, body_, {{carried}});
        const std::vector<TensorRef> tensors = tensors_of(left);
        if (!same_structure(left, init_) || tensors.size() != carried_.size())
            throw_error("type", "a turn of while_loop leaves another structure of lists, tuples and dicts than it got");
        for (size_t k = 0; k < tensors.size(); ++k) {
            if (tensors[k]->dtype() == carried_[k]->dtype() && tensors[k]->shape() == carried_[k]->shape()) continue;
            throw_error("type",
                        fmt::format("a turn of while_loop gets {} and leaves {}", describe_type(*carried_[k]),
                                    describe_type(*tensors[k])),
                        "what is carried keeps its dtype and shape");
        }
        return left;
    }
    Value turn_by_turn(std::string_view why) {
        Value carried =
            map_leaves(init_, [&](const Value& leaf) -> Value { return ops::clone(c_.d, leaf.ref<TensorObject>()); });
        for (int64_t turns = 0; c_.border.truth(goes_on(carried), c_.d.span(), why); ++turns) {
            if (turns == max_turns_) throw_too_many_turns(max_turns_);
            check_interrupt(c_.d.span());
            carried = apart(turn(carried));
        }
        return of_their_own(c_, carried);
    }
    // Each in one place, as the values of a node are.
    Value apart(const Value& left) {
        std::vector<const TensorObject*> seen;
        return map_leaves(left, [&](const Value& leaf) -> Value {
            const auto* x = &leaf.as<TensorObject>();
            if (std::find(seen.begin(), seen.end(), x) != seen.end()) return ops::clone(c_.d, leaf.ref<TensorObject>());
            seen.push_back(x);
            return leaf;
        });
    }

    // ---- as a node
    Value stand_ins() {
        return map_leaves(init_, [&](const Value& leaf) -> Value {
            return c_.tracer.capture().trace().stand_in(*leaf.ref<TensorObject>());
        });
    }
    std::optional<Value> as_region(std::string& why) {
        for (int attempt = 0; attempt < 3 && c_.tracer.capturing(); ++attempt) {
            Capture& outside = c_.tracer.capture();
            const uint64_t serial = outside.serial();
            std::vector<TracedRegion> regions;
            const auto condition = [&] { return std::vector<TensorRef>{goes_on(stand_ins())}; };
            const auto body = [&] { return tensors_of(turn(stand_ins())); };
            for (size_t k = 0; k < 2; ++k) {
                std::optional<TracedRegion> region =
                    k == 0 ? trace_region(c_.tracer, condition, why) : trace_region(c_.tracer, body, why);
                if (!region) {
                    why = fmt::format("{}: {}", k == 0 ? "the condition" : "a turn", why);
                    return std::nullopt;
                }
                regions.push_back(std::move(*region));
            }
            if (outside.serial() != serial) continue;
            const std::vector<TensorRef> operands = share_operands(regions, carried_);
            const AttrId attr = LoopForm(carried_.size(), max_turns_).attr(c_.tracer.context());
            const std::vector<GraphRef> graphs{regions[0].graph, regions[1].graph};
            if (max_turns_ < 0 && outside.trace().may_break() && c_.d.grad_enabled()) {
                std::vector<size_t> histories;
                for (size_t k = 0; k < operands.size(); ++k)
                    if (operands[k]->requires_grad()) histories.push_back(k);
                const std::vector<bool> reach =
                    row(op<"while_loop">()).reach(graphs, Attributes(c_.tracer.context(), attr), histories);
                if (std::find(reach.begin(), reach.end(), true) != reach.end()) {
                    why =
                        "as one node it has a gradient with `max_turns:` only; where the number of turns is known, use "
                        "scan";
                    return std::nullopt;
                }
            }
            std::vector<TensorObject*> all;
            for (const TensorRef& x : operands) all.push_back(x.get());
            outside.admit(all);
            if (outside.serial() != serial) continue;
            const std::vector<TensorRef> values =
                outside.trace().append_regions(op<"while_loop">(), operands, attr, graphs);
            std::span<const TensorRef> next = std::span(values).first(carried_.size());
            return with_tensors(init_, next);
        }
        why = "the graph ended before it";
        return std::nullopt;
    }

    TensorCall& c_;
    const Value &condition_, &body_, &init_;
    const int64_t max_turns_;
    const std::vector<TensorRef> carried_;
};

}  // namespace

Value cond(Evaluator& e, Arguments& a) {  // c, f, g, *arguments
    TensorCall c(e, a);
    return CondCall(c).run();
}

Value while_loop(Evaluator& e, Arguments& a) {  // condition, body, init; max_turns?
    return captured(e, a, 1, "while_loop", [](TensorCall& c) {
        const int64_t max_turns = c.integer_or(3, -1, "`max_turns:`");
        if (c.has(3) && max_turns < 0) throw_error("value", fmt::format("while_loop cannot take {} turns", max_turns));
        return LoopCall(c, max_turns).run();
    });
}

}  // namespace tenon
