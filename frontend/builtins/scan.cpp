#include "frontend/builtins/scan.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "frontend/autograd/differentiation.h"
#include "frontend/builtins/tensor.h"
#include "frontend/compile/counters.h"
#include "frontend/record/capture_trace.h"
#include "frontend/values/function.h"
#include "frontend/values/structure.h"
#include "ir/differentiate/regions.h"
#include "ir/passes/passes.h"
#include "ir/regions.h"
#include "ir/row.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

std::vector<TensorRef> tensors_in(const Value& tree, std::string_view what) {
    std::vector<TensorRef> found;
    for_each_leaf(tree, [&](const Value& leaf) {
        if (!leaf.is_tensor()) {
            throw_error("type",
                        fmt::format("{} is tensors, and lists, tuples and dicts of them, but here is {}", what,
                                    with_article(leaf.kind())),
                        "tensor(x) makes a tensor of a number");
        }
        found.push_back(leaf.ref<TensorObject>());
    });
    return found;
}
std::vector<TensorRef> tensors_in_or_none(const Value& tree, std::string_view what) {
    return tree.is_none() ? std::vector<TensorRef>() : tensors_in(tree, what);
}

// What the function is given and gives: `scan` has what is carried, `map` has not.
struct Form {
    std::string_view name;
    bool carries;
};
constexpr Form scan_form{"scan", true}, map_form{"map", false};

class ScanCall {
public:
    ScanCall(TensorCall& c, Form form, const Value& function, const Value& init, const Value& xs, bool reverse)
        : c_(c), form_(form), function_(function), init_(init), xs_(xs), reverse_(reverse),
          carried_(tensors_in_or_none(init, fmt::format("what {} carries", form.name))),
          sliced_(tensors_in_or_none(xs, fmt::format("what {} goes over", form.name))) {}

    Value run(std::optional<int64_t> given_turns) {
        for (int attempt = 0; attempt < 3 && c_.tracer.capturing(); ++attempt) {
            Capture& outside = c_.tracer.capture();
            const uint64_t serial = outside.serial();
            find_turns(given_turns);
            if (turns_.value == 0) break;
            std::string why;
            const std::optional<Body> body = traced(&outside, why);
            if (!body) {
                c_.tracer.tell({std::string(outside.site().name), why, c_.d.span()},
                               fmt::format("{} turn by turn", form_.name));
                break;
            }
            std::vector<TensorObject*> all;
            for (const TensorRef& x : body->operands) all.push_back(x.get());
            outside.admit(all);
            if (outside.serial() == serial) return as_region(outside, *body);
        }
        find_turns(given_turns);
        return turns_.value == 0 ? no_turns() : turn_by_turn();
    }

private:
    struct Turn {
        Value carried, given;
    };
    struct Body {
        GraphRef graph;
        std::vector<TensorRef> operands;
        Value carried, given;  // their structures
    };

    void find_turns(std::optional<int64_t> given) {
        std::string first = "`turns:`";
        bool known = given.has_value();
        if (known) {
            if (*given < 0) throw_error("value", fmt::format("{} cannot take {} turns", form_.name, *given));
            turns_ = Size(*given);
        }
        for (const TensorRef& x : sliced_) {
            if (x->rank() == 0)
                throw_error("shape", fmt::format("{} goes over the first dimension of {}, which has none", form_.name,
                                                 describe_type(*x)));
            const Size mine = c_.d.size(*x, 0);
            if (known && mine.value != turns_.value) {
                throw_error("shape", fmt::format("{} has {} turns by {}, but {} by {}", form_.name, turns_.value, first,
                                                 mine.value, describe_type(*x)));
            }
            if (!known) first = describe_type(*x);
            turns_ = mine;
            known = true;
        }
        if (!known)
            throw_error("value", fmt::format("{} goes over nothing that says how many turns there are", form_.name),
                        "give `xs`, or `turns:`");
    }

    // ---- one turn
    Turn call(const Value& carried, const Value& x) {
        const Span span = c_.d.span();
        Values arguments;
        if (form_.carries) arguments.push_back(carried);
        if (!form_.carries || !xs_.is_none()) arguments.push_back(x);
        else arguments.push_back(Value());
        const Value returned = c_.evaluator.call(function_, arguments);
        c_.d.set_span(span);
        if (!form_.carries) return {Value(), returned};
        const Values* parts = items_of(returned);
        if (!parts || parts->size() != 2) {
            throw_error("type",
                        fmt::format("a function under scan returns (carried, y), but here it returned {}",
                                    with_article(returned.kind())),
                        "y may be none");
        }
        if (!same_structure((*parts)[0], init_))
            throw_error("type", "a turn of scan leaves another structure of lists, tuples and dicts than it got");
        return {(*parts)[0], (*parts)[1]};
    }

    // ---- the function as a region
    // On values without elements, with the types that they have in the capture outside. Null: `why` not.
    std::optional<Body> traced(Capture* outside, std::string& why) {
        try {
            return trace(outside, why);
        } catch (const Error& error) {
            why = error.diagnostic.message;  // it ends the same way turn by turn, where it is to be told
        } catch (const OuterHistoryNeeded&) { why = "a gradient of what was computed outside of the function"; }
        return std::nullopt;
    }
    std::optional<Body> trace(Capture* outside, std::string& why) {
        Body body;
        const Tracer::Tracing tracing(c_.tracer);
        Capture& capture = c_.tracer.capture();
        capture.trace().begin_example(outside, 1, true);
        const auto stand_ins = [&](const Value& tree, bool slices) {
            return map_leaves(tree, [&](const Value& leaf) -> Value {
                if (leaf.is_none()) return leaf;
                TensorObject& x = *leaf.ref<TensorObject>();
                return Value(slices ? capture.trace().example(x, 0) : capture.trace().stand_in(x));
            });
        };
        const Value carried = stand_ins(init_, false), x = stand_ins(xs_, true);
        Turn turn = call(carried, x);
        std::vector<TensorRef> results = tensors_in_or_none(turn.carried, "what a turn leaves");
        for (size_t k = 0; k < results.size(); ++k) {
            if (results[k]->dtype() == carried_[k]->dtype() && results[k]->shape() == carried_[k]->shape()) continue;
            why = fmt::format("a turn gets {} and leaves {}", describe_type(*carried_[k]), describe_type(*results[k]));
            return std::nullopt;
        }
        const std::vector<TensorRef> given = tensors_in_or_none(turn.given, "what a turn gives");
        results.insert(results.end(), given.begin(), given.end());
        body.carried = map_leaves(turn.carried, [](const Value& leaf) { return leaf; });
        body.given = map_leaves(turn.given, [](const Value& leaf) { return leaf; });
        turn = {};
        capture.journal().forget_unseen();
        if (!capture.journal().is_empty()) {
            why = "the function writes to what it has not made, or draws random numbers";
            return std::nullopt;
        }
        std::vector<Capture::Trace::ExampleInput> inputs;
        body.graph = inline_calls(*capture.trace().end_example(results, inputs));
        for (const Capture::Trace::ExampleInput& input : inputs) body.operands.push_back(input.tensor);
        for (size_t k = 0; k < carried_.size(); ++k) body.operands[k] = carried_[k];
        if (turns_.value > 0 && !is_pure(*body.graph, *outside, why)) return std::nullopt;
        for (size_t k = 0; k < body.operands.size(); ++k) {
            if (std::find(body.operands.begin(), body.operands.begin() + static_cast<ptrdiff_t>(k), body.operands[k]) ==
                body.operands.begin() + static_cast<ptrdiff_t>(k))
                continue;
            why = fmt::format("{} goes into the turns in two ways", describe_type(*body.operands[k]));
            return std::nullopt;
        }
        return body;
    }
    bool is_pure(const Graph& graph, const Capture& outside, std::string& why) const {
        for (NodeId id : graph.body()) {
            if (row(graph[id].op).effect != Effect::none) why = "the function asserts";
            if (graph[id].flags & recompute_flag) why = "a checkpoint lies inside the function";
        }
        if (graph.symbols.size() > outside.trace().hints().size()) why = "a number of the host is a size";
        if (why.empty())
            why = why_not_as_unrolled(graph, ScanForm(turns_.id, carried_.size(), sliced_.size(), reverse_));
        return why.empty();
    }
    Value as_region(Capture& outside, const Body& body) {
        const ScanForm form(turns_.id, carried_.size(), sliced_.size(), reverse_);
        const std::vector<TensorRef> values =
            outside.trace().append_regions(op<"scan">(), body.operands, form.attr(c_.tracer.context()), {{body.graph}});
        const auto first_stack = values.begin() + static_cast<ptrdiff_t>(carried_.size());
        return result(with_tensors(body.carried, {values.begin(), first_stack}),
                      with_tensors(body.given, {first_stack, values.end()}));
    }
    static Value with_tensors(const Value& tree, const std::vector<TensorRef>& tensors) {
        return tensors.empty() ? tree : with_leaves(tree, Values(tensors.begin(), tensors.end()));
    }
    Value result(Value carried, Value stacks) const {
        return form_.carries ? make_tuple({std::move(carried), std::move(stacks)}) : std::move(stacks);
    }

    // ---- the function called turn by turn
    Value turn_by_turn() {
        Value carried = init_, structure;
        std::vector<std::vector<TensorRef>> stacks;
        for (int64_t i = 0; i < turns_.value; ++i) {
            const int64_t t = reverse_ ? turns_.value - 1 - i : i;
            const Value x = map_leaves(xs_, [&](const Value& leaf) -> Value {
                return leaf.is_none() ? leaf : Value(ops::select(c_.d, leaf.ref<TensorObject>(), 0, Size(t)));
            });
            const Turn turn = call(carried, x);
            const std::vector<TensorRef> left = tensors_in_or_none(turn.carried, "what a turn leaves"),
                                         given = tensors_in_or_none(turn.given, "what a turn gives");
            if (i == 0) {
                structure = turn.given;
                stacks.resize(given.size());
            } else if (!same_structure(structure, turn.given))
                throw_error("type", fmt::format("the turns of {} give different structures", form_.name));
            if (given.size() != stacks.size())
                throw_error("type", fmt::format("the turns of {} give different structures", form_.name));
            for (size_t k = 0; k < given.size(); ++k) stacks[k].push_back(given[k]);
            carried = turn.carried;
        }
        std::vector<TensorRef> stacked;
        for (std::vector<TensorRef>& stack : stacks) {
            if (reverse_) std::reverse(stack.begin(), stack.end());
            stacked.push_back(ops::stack(c_.d, stack, 0));
        }
        return result(carried, with_tensors(structure, stacked));
    }
    // What would be stacked is known by a trace; nothing is computed.
    Value no_turns() {
        std::string why;
        Capture* const outside = c_.tracer.capturing() ? &c_.tracer.capture() : nullptr;
        const uint64_t serial = outside ? outside->serial() : 0;
        const std::optional<Body> body = traced(outside, why);
        if (outside && outside->serial() != serial) return no_turns();  // its sizes are no more
        if (body && outside && body->graph->symbols.size() > outside->trace().hints().size())
            why = "a number of the host is a size";
        if (!body || !why.empty())
            throw_error("value", fmt::format("{} over nothing cannot tell what it would stack: {}", form_.name, why));
        std::vector<TensorRef> stacks;
        const Graph& graph = *body->graph;
        const std::span<const int64_t> hints = outside ? outside->trace().hints() : std::span<const int64_t>();
        for (NodeId id : graph.results().subspan(carried_.size())) {
            Sizes sizes{Size(0)};
            for (SizeId size : graph.type(id).sizes)
                sizes.emplace_back(graph.context->evaluate(size, hints), size, serial);
            stacks.push_back(ops::full(c_.d, ops::Term::literal(int64_t{0}), graph.type(id).dtype, sizes));
        }
        return result(init_, with_tensors(body->given, stacks));
    }

    TensorCall& c_;
    const Form form_;
    const Value& function_;
    const Value &init_, &xs_;
    const bool reverse_;
    const std::vector<TensorRef> carried_, sliced_;
    Size turns_;
};

}  // namespace

Value scan(Evaluator& e, Arguments& a) {  // f, init, xs?; turns?, reverse?
    return captured(e, a, 0, "scan", [&](TensorCall& c) {
        const std::optional<int64_t> turns = c.has(3) ? std::optional(c.integer(3, "`turns:`")) : std::nullopt;
        const Value none;
        return ScanCall(c, scan_form, a[0], a[1], c.has(2) ? a[2] : none, c.flag(4, "reverse")).run(turns);
    });
}

bool maps_tensors(const Value& values) {
    if (values.is_tensor()) return true;
    if (!is_branch(values) || values.kind() == Kind::list) return false;
    const std::vector<Value> leaves = leaves_of(values);
    return !leaves.empty() && std::all_of(leaves.begin(), leaves.end(), [](const Value& x) { return x.is_tensor(); });
}

Value map_tensors(Evaluator& e, Arguments& a) {  // f, xs
    return captured(e, a, 0, "map", [&](TensorCall& c) {
        const Value none;
        return ScanCall(c, map_form, a[0], none, a[1], false).run(std::nullopt);
    });
}

}  // namespace tenon
