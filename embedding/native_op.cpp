#include "embedding/native_op.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>

#include "frontend/ops/tensor_ops.h"
#include "frontend/record/capture.h"
#include "frontend/record/capture_aside.h"
#include "frontend/record/checkpoint_policy.h"
#include "frontend/regions/own_gradient.h"
#include "runtime/interrupt.h"

namespace tenon::embed::detail {

namespace {

/// What the program's own function throws becomes an error of the script, at its place.
template <class Work> auto in_the_program(const Op& op, Work&& work) -> decltype(work()) {
    try {
        return work();
    } catch (const Error& error) {
        if (const auto& diagnostic = Access::diagnostic(error))
            throw tenon::Error(*static_cast<const Diagnostic*>(diagnostic.get()));
        throw_error(error.kind(), fmt::format("native op `{}`: {}", op.name, error.message()));
    } catch (const tenon::Error&) { throw; } catch (const Interrupted&) {
        throw;
    } catch (const std::bad_alloc&) { throw; } catch (const std::exception& error) {
        throw_error("user", fmt::format("native op `{}` failed: {}", op.name, error.what()));
    }
}

/// Notes which op is at work.
class Running {
public:
    Running(State& state, const Op& op, std::span<const tenon::Value> arguments) : state_(state) {
        state_.running.push_back({op, arguments});
    }
    ~Running() { state_.running.pop_back(); }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

private:
    State& state_;
};

Values wrapped(State& state, std::span<const tenon::Value> values) {
    Values all;
    for (const tenon::Value& value : values) all.push_back(state.wrap(value));
    return all;
}

/// forward(context, arguments…)
class Forward final : public Object {
public:
    Forward(State& state, std::shared_ptr<const Op> op)
        : Object(tenon::Kind::other), state_(state), op_(std::move(op)) {}
    bool call(Evaluator&, std::span<const tenon::Value> positional, std::span<const KeywordArgument>,
              tenon::Value& result) override {
        const std::span<const tenon::Value> arguments = positional.subspan(1);
        Context context = Access::context(state_.wrap(positional[0]));
        const Running running(state_, *op_, arguments);
        Value given = in_the_program(*op_, [&] { return op_->forward(context, wrapped(state_, arguments)); });
        if (!op_->mutates.empty()) {
            tenon::Values changed;
            for (size_t k : op_->mutates) changed.push_back(arguments[k]);
            static_cast<CustomContext&>(positional[0].object()).call(CustomContext::Method::mark_dirty, changed);
            if (given.is_none()) given = state_.wrap(changed.size() == 1 ? changed[0] : make_tuple(changed));
        }
        check(given);
        result = Access::raw(given);
        return true;
    }

private:
    void check(const Value& given) const {
        const auto is_tensor = [](const Value& value) { return value.is_tensor(); };
        const Kind kind = given.kind();
        if (kind == Kind::tensor || kind == Kind::boolean || kind == Kind::integer || kind == Kind::real) return;
        if (kind == Kind::tuple) {
            const Values items = given.items();
            if (std::any_of(items.begin(), items.end(), is_tensor)) return;
        }
        throw_error(
            "type",
            fmt::format("`forward` of native op `{}` gave {}", op_->name, with_article(Access::raw(given).kind())),
            "it gives a tensor, or a tuple with several");
    }
    State& state_;
    const std::shared_ptr<const Op> op_;
};

/// backward(context, cotangents…)
class Backward final : public Object {
public:
    Backward(State& state, std::shared_ptr<const Op> op)
        : Object(tenon::Kind::other), state_(state), op_(std::move(op)) {}
    bool call(Evaluator&, std::span<const tenon::Value> positional, std::span<const KeywordArgument>,
              tenon::Value& result) override {
        if (op_->traceable) {
            result = run(positional);
            return true;
        }
        Tracer& tracer = state_.tracer();
        if (tracer.dispatcher().grad_enabled())
            throw_error("gradient", fmt::format("the backward of native op `{}` has no gradient of its own", op_->name),
                        "it runs over memory; an op that is `traceable` can be differentiated again");
        tracer.graph_break(fmt::format("native op {}", op_->name), tracer.dispatcher().span());
        const Tracer::Pause pause(tracer);
        const CaptureAside aside(tracer);
        result = run(positional);
        return true;
    }

private:
    tenon::Value run(std::span<const tenon::Value> positional) const {
        Context context = Access::context(state_.wrap(positional[0]));
        std::vector<Tensor> cotangents;
        for (const tenon::Value& value : positional.subspan(1)) cotangents.emplace_back(state_.wrap(value));
        const Running running(state_, *op_, {});
        const std::vector<Tensor> gradients = in_the_program(*op_, [&] { return op_->backward(context, cotangents); });
        tenon::Values raw;
        for (const Tensor& gradient : gradients) raw.push_back(Access::raw(gradient));
        return make_tuple(std::move(raw));
    }
    State& state_;
    const std::shared_ptr<const Op> op_;
};

/// What policies of checkpoints know the results by.
void name_results(Dispatcher& d, const Op& op, const tenon::Value& result) {
    if (auto* x = result.try_as<TensorObject>()) d.policies().name_value(*x, op.name);
    if (!result.is(tenon::Kind::tuple)) return;
    for (const tenon::Value& item : *items_of(result)) name_results(d, op, item);
}

/// The nodes of a call, as one of the graph's calls.
class CallOfGraph {
public:
    CallOfGraph(Tracer& tracer, std::string_view name) : capture_(tracer.capturing() ? &tracer.capture() : nullptr) {
        if (capture_) capture_->begin_call(name, "native");
    }
    ~CallOfGraph() {
        if (capture_) capture_->end_call();
    }
    CallOfGraph(const CallOfGraph&) = delete;
    CallOfGraph& operator=(const CallOfGraph&) = delete;

private:
    Capture* const capture_;
};

}  // namespace

NativeOp::NativeOp(State& state, std::shared_ptr<const Op> op)
    : Container(tenon::Kind::other), state_(state), op_(std::move(op)), forward_(make_ref<Forward>(state, op_)),
      backward_(op_->backward ? tenon::Value(make_ref<Backward>(state, op_)) : tenon::Value()),
      function_(make_ref<CustomFunction>(state.tracer(), op_->name, op_->parameters, forward_, backward_,
                                         fmt::format("native op {}", op_->name))) {}

bool NativeOp::wants_gradient(std::span<const tenon::Value> arguments) const {
    return state_.tracer().dispatcher().grad_enabled() &&
           std::any_of(arguments.begin(), arguments.end(), [](const tenon::Value& value) {
               const auto* x = value.try_as<TensorObject>();
               return x && x->requires_grad();
           });
}

bool NativeOp::call(Evaluator& evaluator, std::span<const tenon::Value> positional,
                    std::span<const KeywordArgument> keywords, tenon::Value& result) {
    const Op& op = *op_;
    if (!keywords.empty()) throw_error("arity", fmt::format("native op `{}` takes its arguments by position", op.name));
    if (positional.size() != op.parameters.size()) {
        throw_error("arity",
                    fmt::format("native op `{}` takes {} argument{}, not {}", op.name, op.parameters.size(),
                                op.parameters.size() == 1 ? "" : "s", positional.size()),
                    fmt::format("{}({})", op.name, fmt::join(op.parameters, ", ")));
    }
    for (size_t k : op.mutates) {
        if (!positional[k].is_tensor())
            throw_error("type", fmt::format("native op `{}` changes `{}`: a tensor is expected there", op.name,
                                            op.parameters[k]));
        evaluator.tracer().dispatcher().check_write(positional[k].as<TensorObject>());
    }
    const bool wants = wants_gradient(positional);
    if (wants && !op.backward && !op.traceable)
        throw_error("gradient", fmt::format("native op `{}` has no gradient, and an argument requires one", op.name),
                    "register it with a `backward`, or call it in `no_grad { … }` or of `x.detach()`");
    if (op.traceable && wants && op.backward && op.mutates.empty() && evaluator.tracer().capturing()) {
        std::string why;
        if (std::optional<tenon::Value> appended = append(evaluator, positional, why)) {
            result = std::move(*appended);
            return true;
        }
        static_cast<CustomFunction&>(function_.object())
            .set_reason(
                fmt::format("native op {} has a gradient of its own that is no part of a graph: {}", op.name, why));
    }
    if (!op.traceable || (wants && op.backward))
        return function_.object().call(evaluator, positional, keywords, result);
    auto context = make_ref<CustomContext>(evaluator.tracer());
    context->needs_grad.resize(positional.size(), false);
    tenon::Values all{tenon::Value(context)};
    all.insert(all.end(), positional.begin(), positional.end());
    const CallOfGraph call(evaluator.tracer(), op.name);
    forward_.object().call(evaluator, all, {}, result);
    name_results(evaluator.tracer().dispatcher(), op, result);
    return true;
}

// Where it gives nothing the op is called once more, between graphs; what is left in this one are values that nobody reads.
std::optional<tenon::Value> NativeOp::append(Evaluator& evaluator, std::span<const tenon::Value> positional,
                                             std::string& why) {
    Tracer& tracer = evaluator.tracer();
    Dispatcher& d = tracer.dispatcher();
    const uint64_t serial = tracer.capture().serial();
    auto context = make_ref<CustomContext>(tracer);
    std::vector<TensorRef> wrt;
    std::vector<size_t> parameters;
    for (size_t k = 0; k < positional.size(); ++k) {
        const auto* x = positional[k].try_as<TensorObject>();
        context->needs_grad.push_back(x && x->requires_grad());
        if (!context->needs_grad.back()) continue;
        wrt.push_back(positional[k].ref<TensorObject>());
        parameters.push_back(k);
    }
    tenon::Values all{tenon::Value(context)};
    all.insert(all.end(), positional.begin(), positional.end());
    tenon::Value result;
    {
        const CallOfGraph call(tracer, op_->name);
        const Dispatcher::GradMode mode(d, false);
        forward_.object().call(evaluator, all, {}, result);
        if (!tracer.capturing() || tracer.capture().serial() != serial) why = "it ends the graph";
        else if (!result.is_tensor()) why = "it gives several results";
        // Of what is saved the history would be this call's, which is not there yet.
        else if (context->saves(result.as<TensorObject>())) why = "it saves its result";
        if (!why.empty()) return std::nullopt;
        const TensorRef value = result.ref<TensorObject>();
        if (!is_float(value->dtype()) || !context->is_differentiable(*value)) return result;
        name_results(d, *op_, result);
        result = d.apply(op<"identity">(), {value});  // a value of its own
    }
    const auto gradients = [&](const TensorRef& cotangent) {
        const Dispatcher::GradMode mode(d, true);
        const tenon::Value arguments[] = {tenon::Value(context), tenon::Value(cotangent)};
        tenon::Value given;
        backward_.object().call(evaluator, arguments, {}, given);
        const tenon::Values& items = *items_of(given);
        if (items.size() != positional.size())
            throw_error("gradient", "another number of gradients than of parameters");
        std::vector<TensorRef> made;
        for (size_t k = 0; k < wrt.size(); ++k) {
            const tenon::Value& item = items[parameters[k]];
            made.push_back(item.is_none() ? TensorRef() : item.ref<TensorObject>());
            if (!made.back()) continue;
            if (made.back()->shape() != wrt[k]->shape() || !is_float(made.back()->dtype()))
                throw_error("gradient", "a gradient of another type than its argument");
            made.back() = tenon::ops::cast(d, made.back(), wrt[k]->dtype());
        }
        return made;
    };
    const std::optional<TensorRef> made = append_with_gradient(tracer, result.ref<TensorObject>(), wrt, gradients, why);
    return made ? std::optional(tenon::Value(*made)) : std::nullopt;
}

void check_op(const Op& op) {
    const auto complain = [&](std::string_view what, std::string help) {
        throw_error("value", fmt::format("native op `{}` {}", op.name, what), std::move(help));
    };
    if (op.name.empty()) throw_error("value", "a native op has a name", "op.name = \"my_op\"");
    if (!op.forward) complain("has no `forward`", "it is what the op does");
    if (op.parameters.empty()) complain("has no parameters", "op.parameters = {\"x\"}");
    if (op.name.ends_with('_') != !op.mutates.empty())
        complain(op.mutates.empty() ? "is named as one that changes an argument, and says of none that it does"
                                    : "changes an argument, which its name does not say",
                 "a name ends in `_` where `mutates` names an argument");
    for (size_t k : op.mutates) {
        if (k >= op.parameters.size()) complain("changes an argument that it does not take", "positions begin with 0");
    }
}

}  // namespace tenon::embed::detail
