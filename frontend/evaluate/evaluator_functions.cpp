// Calls of functions: the frame, each argument into its place, the body. What every call passes through is in line.
#include <algorithm>

#include <fmt/format.h>

#include "frontend/evaluate/evaluator.h"
#include "frontend/record/capture.h"
#include "frontend/record/tensor_dispatch.h"
#include "frontend/resolve/resolver.h"
#include "frontend/values/errors.h"

namespace tenon {

// ---- arguments into their places ----------------------------------------------------------------------------------

inline Value& Evaluator::place(Frame& called, size_t parameter) const {
    return called.slots[called.function.parameters[parameter].slot];
}

// As many arguments as there are places for, each for the parameter at its place: what nearly all calls are.
[[gnu::always_inline]] inline void Evaluator::place_in_order(Frame& called, const Value* first, Frame& frame) {
    const auto parameters = called.function.parameters;
    size_t position = 0;
    if (first) called.slots[parameters[position++].slot] = *first;
    for (const ast::Argument& argument : called.arguments->items)
        evaluate_into(called.slots[parameters[position++].slot], *argument.value, frame);
    called.has_all_arguments = position == parameters.size();
}

size_t Evaluator::place_of(const Frame& called, const ast::Argument& keyword) const {
    const auto parameters = called.function.parameters;
    const auto found = std::find_if(parameters.begin(), parameters.end(),
                                    [&](const ast::Parameter& parameter) { return parameter.name == keyword.name; });
    if (found == parameters.end()) {
        std::vector<Symbol> names;
        for (const ast::Parameter& parameter : parameters) names.push_back(parameter.name);
        auto near = nearest_name(keyword.name, names, symbols_);
        throw_error_at(keyword.span, "arity",
                       fmt::format("`{}` has no parameter `{}`", display_name(called.function), name_of(keyword.name)),
                       near ? fmt::format("did you mean `{}`?", name_of(*near))
                            : fmt::format("it takes ({})", parameter_list(called.function)));
    }
    if (!called.slots[found->slot].is_unset()) {
        throw_error_at(keyword.span, "arity", fmt::format("`{}` is given twice", name_of(keyword.name)));
    }
    return static_cast<size_t>(found - parameters.begin());
}

void Evaluator::place_by_name(Frame& called, const Value* first, Frame& frame) {
    const ast::Function& function = called.function;
    const auto parameters = function.parameters;
    const ast::Arguments& arguments = *called.arguments;
    size_t position = 0;
    if (first) {
        if (parameters.empty()) too_many(display_name(function), "", 0, 1 + arguments.items.size(), called.call);
        called.slots[parameters[position++].slot] = *first;
    }
    for (const ast::Argument& argument : arguments.items) {
        if (argument.kind == ast::ArgumentKind::keyword) {
            evaluate_into(place(called, place_of(called, argument)), *argument.value, frame);
            continue;
        }
        if (position >= parameters.size() || parameters[position].keyword_only) {
            too_many(display_name(function), parameter_list(function), parameters.size(),
                     arguments.positional + (first ? 1 : 0), called.call);
        }
        evaluate_into(place(called, position++), *argument.value, frame);
    }
}

// ---- the body -----------------------------------------------------------------------------------------------------

bool Evaluator::has_all_arguments(const Frame& called) {
    const auto parameters = called.function.parameters;
    return std::none_of(parameters.begin(), parameters.end(),
                        [&](const ast::Parameter& p) { return called.slots[p.slot].is_unset(); });
}

[[gnu::always_inline]] inline Value Evaluator::run_lines(Frame& called) {
    if (!called.function.value) {
        execute(*called.function.body, called);
        return std::move(called.result);
    }
    try {
        return evaluate(*called.function.value, called);
    } catch (const Escape&) { return std::move(called.result); }  // `fn f(x) = no_grad { return x }`
}

namespace {

/// `@op fn`: its nodes are one composite call of the graph, which fusion makes a kernel.
class Composite final : public Scope {
public:
    Composite(Capture& capture, std::string_view name) : capture_(capture) { capture_.begin_call(name, "composite"); }
    ~Composite() override { capture_.end_call(); }

private:
    Capture& capture_;
};

}  // namespace

Value Evaluator::run_with_preparation(Frame& called) {
    const auto& around = called.function_object().scopes;
    const bool any = std::ranges::any_of(around, [](const DecoratorScope& s) { return s.name == "checkpoint"; });
    if (any && tracer_.wants_capture(&called.function))
        return captured_checkpoint("checkpoint", called.call, &called.function,
                                   [&] { return run_with_scopes(called); });
    return run_with_scopes(called);
}

Value Evaluator::run_with_scopes(Frame& called) {
    std::vector<std::unique_ptr<Scope>> scopes;
    for (const DecoratorScope& scope : called.function_object().scopes) {
        if (scope.name == "op") {
            if (!tracer_.capturing()) continue;
            tracer_.dispatcher().set_span(called.call);  // where the call comes from
            scopes.push_back(std::make_unique<Composite>(tracer_.capture(), name_of(called.function.name)));
            continue;
        }
        std::vector<Tracer::ScopeArgument> arguments;
        for (const auto& [name, value] : scope.arguments) arguments.push_back({name, value});
        scopes.push_back(tracer_.enter_scope(scope.name, arguments, called.call));
    }
    finish_binding(called);
    hoist(called);
    Value result = run_lines(called);
    const ast::Function& function = called.function;
    if (function.kind == ast::FunctionKind::constructor) return called.self;
    if (function.result) check_type(*function.result, result, called, "", called.call);
    return result;
}

[[gnu::always_inline]] inline Value Evaluator::run_body(Frame& called) {
    if (called.function_object().is_plain && (called.has_all_arguments || has_all_arguments(called)))
        return run_lines(called);
    return run_with_preparation(called);
}

inline CaptureHistory& Evaluator::history_of(const FunctionObject& function) {
    if (!function.history) function.history = &tracer_.functions().history_of(&function.function);
    return *function.history;
}

[[gnu::always_inline]] inline bool Evaluator::begins_capture(const Frame& called) {
    const FunctionObject& callee = called.function_object();
    if (!tracer_.may_capture() || callee.is_left_uncompiled) return false;
    bool holds = called.function.kind == ast::FunctionKind::method;
    for (const ast::Parameter& parameter : called.function.parameters) {
        if (holds) break;
        const Value& argument = called.slots[parameter.slot];
        holds = argument.is_object() && holds_tensor_or_model(argument);
    }
    return holds && !history_of(callee).is_open;
}

Value Evaluator::capture_call(Frame& called) {
    const ast::Function& function = called.function;
    called.starts_capture = true;
    std::string name = display_name(function);
    if (function.kind == ast::FunctionKind::method && function.name == symbols::forward)
        name = called.model().model_class->name();
    auto name_argument = [&](const Tensor& tensor) { return argument_name(called, tensor); };
    CallSite site{called.call, name, function.name_span, &function,
                  FunctionRef<std::string(const Tensor&)>(name_argument)};
    return border_.captured_call(site, [&] {
        Value result = run_body(called);
        drop_locals(called);
        return result;
    });
}

Value Evaluator::run_maybe_captured(Frame& called) {
    CaptureHistory& history = history_of(called.function_object());
    const uint64_t before = tracer_.functions().work();
    Value result = tracer_.is_idle(history) ? run_body(called) : capture_call(called);
    history.note_call(tracer_.functions().work() != before);
    return result;
}

[[gnu::always_inline]] inline Value Evaluator::enter(Frame& called) {
    check_interrupt(called.call);
    try {
        const Entered entered(*this, called);
        return begins_capture(called) ? run_maybe_captured(called) : run_body(called);
    } catch (Error& error) {
        note_unwinding(called, error.diagnostic.span);
        throw;
    } catch (Interrupted& interrupted) {
        note_unwinding(called, interrupted.span);
        throw;
    }
}

// An error or an interrupt leaves the call; `span` is its place, if it has one.
void Evaluator::note_unwinding(const Frame& called, Span& span) {
    if (!span) span = called.call;
    unwound_.push_back({display_name(called.function), called.call});
}

// ---- calls --------------------------------------------------------------------------------------------------------

Value Evaluator::call_function(const FunctionObject& callee, const Value& self, const Value* first,
                               const ast::Arguments& arguments, Frame& frame, Span span) {
    if (arguments.has_spread || callee.takes_rest) {
        const Ref<const FunctionObject> held(&callee);  // whatever the arguments do to the variables
        const Value receiver = self;
        CallArguments evaluated = evaluate_arguments(first, arguments, frame);
        return call_function(callee, receiver, evaluated, span);
    }
    check_stack(span);
    Frame called(*this, callee, self, span);
    called.arguments = &arguments;
    called.has_first = first != nullptr;
    const bool fits = arguments.in_order() && arguments.items.size() + called.has_first <= callee.by_position;
    if (fits) place_in_order(called, first, frame);
    else place_by_name(called, first, frame);
    return enter(called);
}

Value Evaluator::call_function(const FunctionObject& callee, const Value& self, CallArguments& arguments, Span span) {
    check_stack(span);
    Frame called(*this, callee, self, span);
    bind(called, arguments);
    return enter(called);
}

void Evaluator::bind(Frame& called, CallArguments& arguments) {
    const ast::Function& function = called.function;
    Values rest;
    Ref<DictObject> more;
    size_t position = 0;
    bool takes_rest = false;
    for (const ast::Parameter& parameter : function.parameters) {
        takes_rest |= parameter.kind == ast::ParameterKind::rest;
        if (parameter.kind == ast::ParameterKind::keywords) more = make_ref<DictObject>();
    }
    for (Value& value : arguments.positional) {
        if (position < function.parameters.size() && function.parameters[position].kind == ast::ParameterKind::plain &&
            !function.parameters[position].keyword_only) {
            called.slots[function.parameters[position++].slot] = std::move(value);
        } else if (takes_rest) {
            rest.push_back(std::move(value));
        } else {
            too_many(display_name(function), parameter_list(function), position, arguments.positional.size(),
                     called.call);
        }
    }
    for (auto& [name, value] : arguments.keywords) {
        const ast::Parameter* found = nullptr;
        for (const ast::Parameter& parameter : function.parameters) {
            if (parameter.name == name && parameter.kind == ast::ParameterKind::plain) found = &parameter;
        }
        if (found) {
            if (!called.slots[found->slot].is_unset()) {
                throw_error_at(called.call, "arity", fmt::format("`{}` is given twice", name_of(name)));
            }
            called.slots[found->slot] = std::move(value);
        } else if (more) {
            more->set(name_of(name), std::move(value));
        } else {
            throw_error_at(called.call, "arity",
                           fmt::format("`{}` has no parameter `{}`", display_name(function), name_of(name)),
                           fmt::format("it takes ({})", parameter_list(function)));
        }
    }
    for (const ast::Parameter& parameter : function.parameters) {
        if (parameter.kind == ast::ParameterKind::rest) called.slots[parameter.slot] = make_tuple(std::move(rest));
        if (parameter.kind == ast::ParameterKind::keywords) called.slots[parameter.slot] = more;
    }
}

}  // namespace tenon
