#include "frontend/regions/custom_function.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "frontend/history/tape_entry.h"
#include "frontend/ops/tensor_ops.h"
#include "frontend/record/capture_aside.h"
#include "frontend/record/saved_values.h"
#include "frontend/record/tape.h"
#include "frontend/regions/own_gradient.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

std::vector<TensorRef> tensors_of(std::span<const Value> arguments, std::string_view what) {
    std::vector<TensorRef> tensors;
    for (const Value& argument : arguments) {
        if (!argument.is_tensor())
            throw_error("type", fmt::format("{} takes tensors, not {}", what, with_article(argument.kind())),
                        "other values are kept in fields: `ctx.shape = x.shape`");
        tensors.push_back(argument.ref<TensorObject>());
    }
    return tensors;
}

bool holds(const std::vector<TensorRef>& tensors, const TensorObject& x) {
    return std::any_of(tensors.begin(), tensors.end(), [&](const TensorRef& t) { return t.get() == &x; });
}

/// `ctx.save`, before it is called.
class ContextMethod final : public Object {
public:
    ContextMethod(Ref<CustomContext> context, CustomContext::Method method)
        : Object(Kind::other), context_(std::move(context)), method_(method) {}
    void visit_children(FunctionRef<void(const Value&)> visit) const override { visit(Value(context_)); }
    bool call(Evaluator&, std::span<const Value> positional, std::span<const KeywordArgument> keywords,
              Value& result) override {
        if (!keywords.empty()) return false;
        context_->call(method_, positional);
        result = {};
        return true;
    }

private:
    Ref<CustomContext> context_;
    const CustomContext::Method method_;
};

}  // namespace

/// One call, on the tape.
class CustomFunction::Call final : public CustomCall {
public:
    Call(Ref<CustomFunction> function, Ref<CustomContext> context, std::vector<Operand> operands,
         std::vector<bool> has_gradient)
        : function_(std::move(function)), context_(std::move(context)), operands_(std::move(operands)),
          has_gradient_(std::move(has_gradient)) {}
    void visit_children(FunctionRef<void(const Value&)> visit) const override {
        visit(Value(function_));
        visit(Value(context_));
    }
    void use_up() override { context_->use_up(); }
    std::string_view name() const override { return function_->name(); }
    size_t parameter_count() const override { return context_->needs_grad.size(); }
    size_t parameter_of(size_t edge) const override { return operands_[edge].parameter; }
    uint64_t key() const override { return function_->id() * 0x9E3779B97F4A7C15ull ^ context_->key(); }

    std::vector<TensorRef> backward(TapeEntry& entry, std::span<const TensorRef> cotangents) override {
        Tracer& tracer = function_->tracer();
        Values given;
        for (size_t k = 0; k < cotangents.size(); ++k) {
            if (cotangents[k]) given.emplace_back(cotangents[k]);
            else if (has_gradient_[k] && context_->fills_zeros()) given.emplace_back(zeros(entry.outputs[k]));
            else given.emplace_back();
        }
        const uint64_t graph = tracer.capturing() ? tracer.capture().serial() : 0;
        std::vector<TensorRef> found = gradients(std::move(given));
        // What it computes after its own break is not mixed with what others compute.
        if (graph != 0 && tracer.capturing() && tracer.capture().serial() != graph) tracer.flush();
        return found;
    }
    /// By edge. `cotangents`: one a result, none where there is none.
    std::vector<TensorRef> gradients(Values cotangents) const {
        Tracer& tracer = function_->tracer();
        Dispatcher& d = tracer.dispatcher();
        cotangents.insert(cotangents.begin(), Value(context_));
        const Span span = d.span();
        const MetaId meta = d.meta();
        Value given;
        {
            const CaptureAside aside(tracer);
            given = tracer.services.call(function_->backward(), cotangents, {});
        }
        d.set_span(span);
        d.set_meta(meta);
        return in_edge_order(given);
    }

private:
    TensorRef zeros(const TapeEntry::Output& output) const {
        Tracer& tracer = function_->tracer();
        if (!tracer.capturing())
            return make_ref<TensorObject>(Tensor::zeros(tracer.allocator(), output.dtype, output.shape));
        Sizes sizes;
        for (int64_t size : output.shape) sizes.emplace_back(tracer.dispatcher().constant(size));
        return ops::full(tracer.dispatcher(), ops::Term::literal(0.0), output.dtype, sizes);
    }
    std::vector<TensorRef> in_edge_order(const Value& given) const {
        const size_t parameters = context_->needs_grad.size();
        const Values one{given};
        const Values& items = given.is(Kind::tuple) ? *items_of(given) : one;
        const bool is_whole =
            items.size() == parameters ||
            (items.size() > parameters && std::all_of(items.begin() + ptrdiff_t(parameters), items.end(),
                                                      [](const Value& v) { return v.is_none(); }));
        if (!is_whole) {
            throw_error("gradient",
                        fmt::format("`backward` of {} gave {} gradient{} for {} parameter{}", name(), items.size(),
                                    items.size() == 1 ? "" : "s", parameters, parameters == 1 ? "" : "s"),
                        "it returns one for each parameter, none where there is none");
        }
        std::vector<TensorRef> gradients;
        for (const Operand& operand : operands_) {
            const Value& value = items[operand.parameter];
            gradients.push_back(value.is_none() ? TensorRef() : gradient_of(operand, value));
        }
        return gradients;
    }
    TensorRef gradient_of(const Operand& operand, const Value& value) const {
        const auto complain = [&](std::string_view found) {
            throw_error("gradient",
                        fmt::format("`backward` of {} must give for `{}` a gradient of its type {}{}, but gave {}",
                                    name(), function_->parameter(operand.parameter), tenon::name_of(operand.dtype),
                                    shape_to_string(operand.shape), found));
        };
        if (!value.is_tensor()) complain(with_article(value.kind()));
        TensorRef gradient = value.ref<TensorObject>();
        if (gradient->shape() != operand.shape || !is_float(gradient->dtype())) complain(describe_type(*gradient));
        if (gradient->dtype() != operand.dtype)
            gradient = ops::cast(function_->tracer().dispatcher(), gradient, operand.dtype);
        return gradient;
    }

    const Ref<CustomFunction> function_;
    const Ref<CustomContext> context_;
    const std::vector<Operand> operands_;
    const std::vector<bool> has_gradient_;  // by output
};

// ---- the context --------------------------------------------------------------------------------------------------
void CustomContext::visit_children(FunctionRef<void(const Value&)> visit) const {
    for (const Saved& saved : saved_) {
        if (saved.tensor) visit(Value(saved.tensor));
    }
    for (const auto& [name, value] : fields_) visit(value);
}

void CustomContext::take_children(Values& into) {
    for (Saved& saved : saved_) {
        if (saved.tensor) into.emplace_back(std::exchange(saved.tensor, {}));
    }
    for (auto& [name, value] : fields_) into.push_back(std::move(value));
    fields_.clear();
}

bool CustomContext::get_attribute(Evaluator&, std::string_view name, Value& value) {
    const auto method = [&](Method which) { value = make_ref<ContextMethod>(Ref<CustomContext>(this), which); };
    if (name == "save") method(Method::save);
    else if (name == "mark_dirty") method(Method::mark_dirty);
    else if (name == "mark_non_differentiable") method(Method::mark_non_differentiable);
    else if (name == "saved") value = saved_values();
    else if (name == "zero_fill") value = Value(zero_fill_);
    else if (name == "needs_grad") {
        Values flags;
        for (bool needs : needs_grad) flags.emplace_back(needs);
        value = make_tuple(std::move(flags));
    } else {
        const auto found = std::find_if(fields_.begin(), fields_.end(), [&](const auto& f) { return f.first == name; });
        if (found == fields_.end()) return false;
        value = found->second;
    }
    return true;
}

bool CustomContext::set_attribute(Evaluator&, std::string_view name, const Value& value) {
    for (std::string_view own : {"save", "saved", "needs_grad", "mark_dirty", "mark_non_differentiable"}) {
        if (name == own)
            throw_error("name", fmt::format("`{}` of a context is its own", name), "choose another name for the field");
    }
    if (name == "zero_fill") {
        if (!value.is_bool()) throw_error("type", "`zero_fill` is a bool");
        zero_fill_ = value.as_bool();
        return true;
    }
    const auto found = std::find_if(fields_.begin(), fields_.end(), [&](const auto& f) { return f.first == name; });
    if (found != fields_.end()) found->second = value;
    else fields_.emplace_back(std::string(name), value);
    return true;
}

void CustomContext::call(Method method, std::span<const Value> arguments) {
    if (method == Method::mark_dirty) dirty_ = tensors_of(arguments, "mark_dirty");
    if (method == Method::mark_non_differentiable)
        not_differentiable_ = tensors_of(arguments, "mark_non_differentiable");
    if (method != Method::save) return;
    const std::vector<TensorRef> tensors = tensors_of(arguments, "save");
    for (const TensorRef& tensor : tensors) saved_.push_back({tensor, {}, 0, 0});
}

void CustomContext::finish(std::span<const TensorRef> outputs) {
    for (Saved& saved : saved_) {
        saved.memory = saved.tensor->tensor;
        saved.version = saved.memory.storage ? saved.memory.storage->version : 0;
        const auto output = std::find(outputs.begin(), outputs.end(), saved.tensor);
        if (output == outputs.end()) continue;
        saved.output = static_cast<uint32_t>(output - outputs.begin());
        saved.tensor = nullptr;
    }
}

bool CustomContext::is_dirty(const TensorObject& x) const { return holds(dirty_, x); }
bool CustomContext::is_differentiable(const TensorObject& x) const { return !holds(not_differentiable_, x); }
bool CustomContext::saves(const TensorObject& x) const {
    return std::any_of(saved_.begin(), saved_.end(), [&](const Saved& saved) { return saved.tensor.get() == &x; });
}

// Each as it was, with the history that it had: of an output, that of this call.
Value CustomContext::saved_values() const {
    Values tensors;
    for (const Saved& saved : saved_) {
        if (!saved.memory.storage) {  // forward is still under way
            tensors.emplace_back(saved.tensor);
            continue;
        }
        if (saved.memory.storage->version != saved.version)
            throw_overwritten(describe_type(saved.memory), entry_ ? entry_->span : Span(),
                              tracer_.dispatcher().last_write(*saved.memory.storage));
        TensorRef tensor = saved.tensor;
        if (!tensor) {
            tensor = make_ref<TensorObject>(saved.memory);
            if (entry_ && is_float(saved.memory.dtype)) {
                Autograd& autograd = tensor->make_autograd();
                autograd.requires_grad = true;
                autograd.entry = Ref<TapeEntry>(entry_);
                autograd.output = saved.output;
            }
        }
        tensors.emplace_back(std::move(tensor));
    }
    return make_tuple(std::move(tensors));
}

uint64_t CustomContext::key() const {
    uint64_t hash = saved_.size() * 2 + zero_fill_;
    for (const auto& [name, value] : fields_)
        hash = (hash ^ std::hash<std::string>()(name) ^ static_cast<uint64_t>(value.kind())) * 0xBF58476D1CE4E5B9ull;
    return hash;
}

// ---- the function -------------------------------------------------------------------------------------------------
CustomFunction::CustomFunction(Tracer& tracer, std::string name, std::vector<std::string> parameters, Value forward,
                               Value backward, std::string reason)
    : Container(Kind::other), tracer_(tracer), name_(std::move(name)), parameters_(std::move(parameters)),
      forward_(std::move(forward)), backward_(std::move(backward)), reason_(std::move(reason)),
      id_(tracer.next_serial()) {}

void CustomFunction::visit_children(FunctionRef<void(const Value&)> visit) const {
    visit(forward_);
    visit(backward_);
}

void CustomFunction::take_children(Values& into) {
    into.push_back(std::exchange(forward_, {}));
    into.push_back(std::exchange(backward_, {}));
}

// One value a parameter, unset where a default stands; further ones are a rest parameter's.
Values CustomFunction::in_order(std::span<const Value> positional, std::span<const KeywordArgument> keywords) const {
    Values values(positional.begin(), positional.end());
    values.resize(std::max(values.size(), parameters_.size()), Value::unset());
    for (size_t k = 0; k < parameters_.size(); ++k) {
        for (const KeywordArgument& keyword : keywords) {
            if (keyword.name == parameters_[k]) values[k] = keyword.value;
        }
    }
    return values;
}

// What is the script's own: results are values of their own, since what they share memory with has another history.
TensorRef CustomFunction::own(const CustomContext& context, std::span<const Value> arguments,
                              const Value& value) const {
    if (!value.is_tensor()) return {};
    TensorRef tensor = value.ref<TensorObject>();
    if (context.is_dirty(*tensor)) return tensor;
    const bool is_argument =
        std::any_of(arguments.begin(), arguments.end(), [&](const Value& a) { return identical(a, value); });
    if (!is_argument && !tensor->base && !tensor->requires_grad()) return tensor;
    const Dispatcher::GradMode mode(tracer_.dispatcher(), false);
    return tracer_.dispatcher().apply(op<"identity">(), {tensor});
}

bool CustomFunction::call(Evaluator&, std::span<const Value> positional, std::span<const KeywordArgument> keywords,
                          Value& result) {
    Dispatcher& d = tracer_.dispatcher();
    const Span span = d.span();
    std::optional<Tracer::Pause> pause;
    std::optional<CaptureAside> aside;
    if (tracer_.capturing() && !reason_.empty()) {
        tracer_.graph_break(reason_, span);
        pause.emplace(tracer_);
        aside.emplace(tracer_);
    }
    auto context = make_ref<CustomContext>(tracer_);
    const Values given = in_order(positional, keywords);
    std::vector<TensorRef> wrt;
    std::vector<Operand> operands;
    for (size_t k = 0; k < given.size(); ++k) {
        auto* x = given[k].try_as<TensorObject>();
        context->needs_grad.push_back(x && d.grad_enabled() && x->requires_grad());
        if (!context->needs_grad.back()) continue;
        wrt.emplace_back(x);
        operands.push_back({k, x->dtype(), x->shape()});
    }
    const uint64_t graph = tracer_.capturing() ? tracer_.capture().serial() : 0;
    {
        const Dispatcher::GradMode mode(d, false);
        Values all{Value(context)};
        all.insert(all.end(), positional.begin(), positional.end());
        result = tracer_.services.call(forward_, all, keywords);
        d.set_span(span);
    }
    const bool is_tuple = result.is(Kind::tuple);
    Values items = is_tuple ? *items_of(result) : Values{result};
    std::vector<TensorRef> outputs;
    for (Value& item : items) {
        TensorRef output = own(*context, given, item);
        if (output && std::find(outputs.begin(), outputs.end(), output) != outputs.end())
            output = d.apply(op<"identity">(), {output});
        if (output) item = Value(output);
        outputs.push_back(std::move(output));
    }
    if (!wrt.empty()) record(context, wrt, std::move(operands), outputs, items, graph);
    result = is_tuple ? make_tuple(std::move(items)) : std::move(items[0]);
    return true;
}

// As a node of the graph under capture where that can be; otherwise the graph ends, and the call is an entry of the tape.
// `graph`: under capture when forward began; it has ended where another one is by now.
void CustomFunction::record(const Ref<CustomContext>& context, std::span<const TensorRef> wrt,
                            std::vector<Operand> operands, std::vector<TensorRef>& outputs, Values& items,
                            uint64_t graph) {
    Dispatcher& d = tracer_.dispatcher();
    const Span span = d.span();
    std::vector<bool> has_gradient;
    for (const TensorRef& output : outputs)
        has_gradient.push_back(output && is_float(output->dtype()) && context->is_differentiable(*output));
    auto call = make_ref<Call>(Ref<CustomFunction>(this), context, std::move(operands), has_gradient);
    if (tracer_.capturing()) {
        std::string why = "it has several results, or changes an argument";
        if (tracer_.capture().serial() != graph) {
            why = "its forward ends the graph";
        } else if (outputs.size() == 1 && context->saves(*outputs[0])) {
            why = "it saves its result";  // whose history would be this call's, which is not there yet
        } else if (outputs.size() == 1 && has_gradient[0] && !context->is_dirty(*outputs[0])) {
            const auto backward = [&](const TensorRef& cotangent) { return call->gradients({Value(cotangent)}); };
            if (const auto made = append_with_gradient(tracer_, outputs[0], wrt, backward, why)) {
                items[0] = Value(*made);
                return;
            }
        }
        if (tracer_.capturing())
            tracer_.graph_break(fmt::format("the gradient of {} is its own, and no part of the graph: {}", name_, why),
                                span);
    }
    const Tracer::Pause pause(tracer_);
    std::vector<Edge> edges;
    for (const TensorRef& x : wrt) {
        d.settle_history(*x);
        edges.push_back(Edge::of(*x));
    }
    context->finish(outputs);
    std::vector<TensorObject*> results;
    for (size_t k = 0; k < outputs.size(); ++k) results.push_back(has_gradient[k] ? outputs[k].get() : nullptr);
    context->set_entry(*tracer_.tape().record_custom(call, std::move(edges), results, span, d.meta()));
}

}  // namespace tenon
