#include "frontend/builtins/vmap.h"

#include <optional>

#include <fmt/format.h>

#include "frontend/autograd/differentiation.h"
#include "frontend/builtins/tensor.h"
#include "frontend/evaluate/session.h"
#include "frontend/record/capture_trace.h"
#include "frontend/replay/graph_replay.h"
#include "frontend/values/function.h"
#include "frontend/values/structure.h"
#include "ir/passes/batch.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

constexpr std::string_view none_help = "`none` in `in_dims:` gives it to every example as it is";

// Calls visit(tensor, axis) for each tensor among the arguments that is mapped, in order; what it returns stands in the
// tensor's place.
class InDims {
public:
    using Visit = FunctionRef<Value(const TensorRef& tensor, size_t axis)>;
    InDims(Dispatcher& d, const Value& dims, Visit visit) : d_(d), dims_(dims), visit_(visit) {}

    Values positional(std::span<const Value> arguments) {
        const Values* each = items_of(dims_);
        if (each && each->size() != arguments.size()) {
            throw_error(
                "vmap",
                fmt::format("`in_dims:` names {} arguments, but the call has {}", each->size(), arguments.size()),
                "one entry an argument: an int, none, or a list of these");
        }
        Values mapped;
        for (size_t k = 0; k < arguments.size(); ++k) {
            what_ = fmt::format("argument {}", k);
            mapped.push_back(each ? named(arguments[k], (*each)[k], 0) : spread(arguments[k], dims_));
        }
        return mapped;
    }
    /// Tensors given by keyword are mapped along their first dimension.
    Value keyword(std::string_view name, const Value& value) {
        what_ = fmt::format("argument `{}`", name);
        return spread(value, Value(0));
    }

private:
    // One entry of in_dims, for one argument or item.
    Value named(const Value& value, const Value& dims, int depth) {
        if (dims.is_none()) return value;
        if (const Values* each = items_of(dims)) {
            constexpr int deepest = 1000;
            if (depth > deepest) throw_error("recursion", "`in_dims:` is nested too deeply, or holds itself");
            const Values* items = items_of(value);
            if (!items || items->size() != each->size()) {
                throw_error("vmap", fmt::format("`in_dims:` has a list of {} for {}, which is {}", each->size(), what_,
                                                items ? fmt::format("a list of {}", items->size())
                                                      : with_article(value.kind())));
            }
            Values made;
            for (size_t k = 0; k < items->size(); ++k) made.push_back(named((*items)[k], (*each)[k], depth + 1));
            return with_parts(value, std::move(made));
        }
        if (!value.is_tensor() && !is_branch(value)) {
            throw_error("vmap",
                        fmt::format("{} is {}, which has no dimension to map over", what_, with_article(value.kind())),
                        std::string(none_help));
        }
        return spread(value, dims);
    }
    // One int or none for all the tensors in a value; what is no tensor is the same for every example.
    Value spread(const Value& value, const Value& dims) {
        if (dims.is_none()) return value;
        return map_leaves(value, [&](const Value& leaf) -> Value {
            if (!leaf.is_tensor()) return leaf;
            const TensorRef x = leaf.ref<TensorObject>();
            const int64_t axis = ops::int_of(d_, dims, "an entry of `in_dims:`"),
                          rank = static_cast<int64_t>(x->rank());
            if (axis < -rank || axis >= rank) {
                throw_error(
                    "vmap",
                    fmt::format("vmap goes over dimension {} of {}, but it is {}", axis, what_, describe_type(*x)),
                    rank == 0 ? std::string(none_help)
                              : fmt::format("its dimensions go from {} to {}", -rank, rank - 1));
            }
            return visit_(x, static_cast<size_t>(axis < 0 ? axis + rank : axis));
        });
    }

    Dispatcher& d_;
    const Value& dims_;
    Visit visit_;
    std::string what_;  // the argument at hand
};

// What the function returned, tensor by tensor.
std::vector<TensorRef> results_in(const Value& returned) {
    std::vector<TensorRef> results;
    for_each_leaf(returned, [&](const Value& leaf) {
        if (!leaf.is_tensor()) {
            throw_error(
                "vmap",
                fmt::format("a function under vmap returns tensors, and lists, tuples and dicts of them, not {}",
                            with_article(leaf.kind())),
                "tensor(x) makes a tensor of a number");
        }
        results.push_back(leaf.ref<TensorObject>());
    });
    return results;
}

// One call of a mapped function.
class BatchedCall {
public:
    BatchedCall(TensorCall& c, const Value& in_dims, int64_t out_dim) : c_(c), in_dims_(in_dims), out_dim_(out_dim) {}

    Value run(const Value& function, std::span<const Value> positional, std::span<const KeywordArgument> keywords) {
        try {
            return mapped(function, positional, keywords);
        } catch (const OuterHistoryNeeded&) {
            // A function under vmap around this one has no history of its own: it begins again, too.
            if (!c_.tracer.capturing() || c_.tracer.capture().trace().in_example()) throw;
        }
        c_.tracer.graph_break("a gradient under vmap of what was computed outside of the mapped function", c_.d.span());
        return mapped(function, positional, keywords);
    }

private:
    // What running the function on one example has made.
    struct Example {
        GraphRef graph;
        std::vector<Capture::Trace::ExampleInput> inputs;
        std::vector<int> out_axes;      // by result
        std::vector<bool> has_history;  // by result
        Value structure;                // of the results
    };

    Value mapped(const Value& function, std::span<const Value> positional, std::span<const KeywordArgument> keywords) {
        const Size size = batch_size(positional, keywords);
        Capture* outside = c_.tracer.capturing() ? &c_.tracer.capture() : nullptr;
        const uint64_t serial = outside ? outside->serial() : 0;
        const Example example = trace(function, positional, keywords, outside, size.value);

        std::vector<int> in_axes;
        std::vector<TensorRef> tensors;
        for (const Capture::Trace::ExampleInput& input : example.inputs) {
            in_axes.push_back(input.axis);
            tensors.push_back(input.tensor);
        }
        const GraphRef whole = batch(*example.graph, {size.id, in_axes, example.out_axes});
        // Inputs that the capture outside has not seen may end its graph, and with it what its symbols mean.
        if (outside) {
            std::vector<TensorObject*> all;
            for (const TensorRef& x : tensors) all.push_back(x.get());
            outside->admit(all);
        }
        const bool same_symbols = outside && outside->serial() == serial;
        std::optional<Capture::Holding> holding;
        if (same_symbols) holding.emplace(*outside);
        std::vector<TensorRef> results =
            replay(c_.d, *whole, tensors, {.effects = true, .stamps = true, .symbols = same_symbols});
        for (size_t k = 0; k < results.size(); ++k) {
            if (!example.has_history[k] && results[k]->requires_grad()) results[k] = ops::detach(c_.d, results[k]);
        }
        return with_leaves(example.structure, Values(results.begin(), results.end()));
    }
    Values map(std::span<const Value> positional, std::span<const KeywordArgument> keywords,
               std::vector<KeywordArgument>& mapped_keywords, InDims::Visit visit) {
        InDims dims(c_.d, in_dims_, visit);
        Values mapped = dims.positional(positional);
        for (const KeywordArgument& keyword : keywords)
            mapped_keywords.push_back({keyword.name, dims.keyword(keyword.name, keyword.value)});
        return mapped;
    }

    // How many examples there are. Under capture this makes the tensors inputs of the graph, which may end the one
    // before: then it is asked again.
    Size batch_size(std::span<const Value> positional, std::span<const KeywordArgument> keywords) {
        for (;;) {
            const uint64_t serial = c_.tracer.capture().serial();
            std::optional<Size> size;
            std::string first;
            std::vector<KeywordArgument> ignored;
            map(positional, keywords, ignored, [&](const TensorRef& x, size_t axis) -> Value {
                const Size mine = c_.d.size(*x, axis);
                const std::string here = fmt::format("dimension {} of {}", axis, describe_type(*x));
                if (size && size->value != mine.value) {
                    throw_error("vmap",
                                fmt::format("vmap needs as many examples in each argument, but {} has {} and {} has {}",
                                            first, size->value, here, mine.value),
                                std::string(none_help));
                }
                if (!size) size = mine, first = here;
                return x;
            });
            if (!size) {
                throw_error("vmap", "vmap needs a tensor to map over, but `in_dims:` maps none of the arguments",
                            "for example in_dims: (none, 0) for a function of weights and an example");
            }
            if (serial == c_.tracer.capture().serial()) return *size;
        }
    }

    // Runs the function once, on one example without elements.
    Example trace(const Value& function, std::span<const Value> positional, std::span<const KeywordArgument> keywords,
                  Capture* outside, int64_t count) {
        Example made;
        const Tracer::Tracing tracing(c_.tracer);
        Capture& capture = c_.tracer.capture();
        capture.trace().begin_example(outside, count);
        std::vector<KeywordArgument> keyword_examples;
        const Values examples = map(positional, keywords, keyword_examples, [&](const TensorRef& x, size_t axis) {
            return Value(capture.trace().example(*x, axis));
        });
        const Span span = c_.d.span();
        const Value returned = c_.evaluator.call(function, examples, keyword_examples);
        c_.d.set_span(span);
        const std::vector<TensorRef> results = results_in(returned);
        for (const TensorRef& result : results) {
            const auto rank = static_cast<int64_t>(result->rank()) + 1;
            if (out_dim_ < -rank || out_dim_ >= rank) {
                throw_error("vmap",
                            fmt::format("`out_dims:` puts the batch at dimension {}, but a result for the batch "
                                        "has {} dimensions",
                                        out_dim_, rank));
            }
            made.out_axes.push_back(static_cast<int>(out_dim_ < 0 ? out_dim_ + rank : out_dim_));
            made.has_history.push_back(result->requires_grad());
        }
        // Lists and dicts as they are now: what the function has changed is changed back.
        made.structure = map_leaves(returned, [](const Value& leaf) { return leaf; });
        made.graph = capture.trace().end_example(results, made.inputs);
        return made;
    }

    TensorCall& c_;
    const Value& in_dims_;
    const int64_t out_dim_;
};

class MappedFunction final : public Object {
public:
    MappedFunction(Value function, Value in_dims, int64_t out_dim)
        : Object(Kind::other), function_(std::move(function)), in_dims_(std::move(in_dims)), out_dim_(out_dim) {}

    void visit_children(FunctionRef<void(const Value&)> visit) const override {
        visit(function_);
        visit(in_dims_);
    }
    void drop_children() override {
        function_ = {};
        in_dims_ = {};
    }

    bool call(Evaluator& e, std::span<const Value> positional, std::span<const KeywordArgument> keywords,
              Value& result) override {
        auto run = [&] {
            Values none;
            Arguments arguments{none, e.here(), {}, 0};
            TensorCall c(e, arguments);
            return BatchedCall(c, in_dims_, out_dim_).run(function_, positional, keywords);
        };
        Tracer& tracer = e.tracer();
        const auto* declared = function_.try_as<FunctionObject>();
        const void* identity = declared ? static_cast<const void*>(&declared->function) : this;
        if (!tracer.wants_capture(identity)) {
            result = run();
            return true;
        }
        const CallSite site{e.here(), "vmap", declared ? declared->function.name_span : Span(), identity};
        result = e.border().captured_call(site, run);
        return true;
    }

private:
    Value function_, in_dims_;
    const int64_t out_dim_;
};

}  // namespace

Value vmap(Evaluator& e, Arguments& a) {  // f; in_dims?, out_dims?
    TensorCall c(e, a);
    const Value in_dims = a.has(1) ? a[1] : Value(0);
    if (!in_dims.is_none() && !in_dims.is_int() && !items_of(in_dims)) {
        throw Error(Diagnostic{"type",
                               fmt::format("`in_dims:` is an int, none, or a list of one entry an argument, not {}",
                                           with_article(in_dims.kind())),
                               a.span_of(1),
                               {},
                               "for example in_dims: (none, 0)"});
    }
    return make_ref<MappedFunction>(a[0], in_dims, c.integer_or(2, 0, "`out_dims:`"));
}

}  // namespace tenon
