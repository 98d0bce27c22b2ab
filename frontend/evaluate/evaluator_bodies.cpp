// Running a function whose arguments are in place: where a capture begins, parameters left open, the body.
#include <algorithm>

#include <fmt/format.h>

#include "frontend/evaluate/evaluator.h"
#include "frontend/evaluate/session.h"
#include "frontend/record/capture.h"
#include "frontend/record/tensor_dispatch.h"
#include "frontend/values/errors.h"
#include "ir/annotation_keys.h"

namespace tenon {

namespace {

/// `@no_compile fn`, `@annotate(compile: false) fn`.
bool is_left_uncompiled(const DecoratorScope& scope) {
    if (scope.name == "no_compile") return true;
    return scope.name == "annotate" &&
           std::any_of(scope.arguments.begin(), scope.arguments.end(), [](const auto& argument) {
               return argument.first == compile_key && argument.second.is_bool() && !argument.second.as_bool();
           });
}

}  // namespace

bool Evaluator::begins_capture(const Frame& called) const {
    const ast::Function& function = called.function;
    if (!tracer_.may_capture()) return false;
    if (function.kind == ast::FunctionKind::constructor || function.kind == ast::FunctionKind::test) return false;
    if (called.closure) {
        const auto& scopes = called.function_object().scopes;
        if (std::any_of(scopes.begin(), scopes.end(), is_left_uncompiled)) return false;
    }
    bool holds = function.kind == ast::FunctionKind::method;
    for (size_t i = 0; i < function.parameters.size() && !holds; ++i) {
        const Value& argument = called.slots[function.parameters[i].slot];
        holds = argument.is_object() && holds_tensor_or_model(argument);
    }
    return holds && tracer_.wants_capture(&function);
}

// What a graph calls one of the tensors that a captured call was given: "x", "inner.weight".
std::string Evaluator::argument_name(const Frame& called, const Tensor& tensor) const {
    auto is_it = [&](const Value& value) {
        const auto* object = value.try_as<TensorObject>();
        return object && object->tensor.storage == tensor.storage && object->tensor.shape == tensor.shape &&
               object->tensor.offset == tensor.offset;
    };
    auto inside = [&](const Value& value) -> std::string {
        if (!value.is(Kind::model) && !items_of(value)) return {};
        for (const NamedTensor& held : named_tensors(value)) {
            if (is_it(held.tensor)) return held.name;
        }
        return {};
    };
    for (const ast::Parameter& parameter : called.function.parameters) {
        Value value = called.slots[parameter.slot];
        if (const auto* cell = value.try_as<CellObject>()) value = Value(cell->value);
        if (is_it(value)) return name_of(parameter.name);
        if (std::string name = inside(value); !name.empty()) return name;
    }
    return inside(called.self);
}

Value Evaluator::enter(Frame& called) {
    check_interrupt(called.call);
    try {
        Entered entered(*this, called);
        if (tracer_.capturing() || !begins_capture(called)) return run_body(called);
        const uint64_t before = tracer_.functions().work();
        Value result = tracer_.is_idle(&called.function) ? run_body(called) : capture_call(called);
        tracer_.functions().note_call(&called.function, tracer_.functions().work() != before);
        return result;
    } catch (Error& error) {
        if (!error.diagnostic.span) error.diagnostic.span = called.call;
        unwound_.push_back({display_name(called.function), called.call});
        throw;
    } catch (Interrupted& interrupted) {
        if (!interrupted.span) interrupted.span = called.call;
        unwound_.push_back({display_name(called.function), called.call});
        throw;
    }
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

// What nobody but the frame holds is no result of the graph: it has to go before the graph runs. Arguments stay, for
// they give the graph's inputs their names.
void Evaluator::drop_locals(Frame& called) {
    std::vector<Value> arguments;
    for (const ast::Parameter& parameter : called.function.parameters) {
        const Value& slot = called.slots[parameter.slot];
        const auto* cell = slot.try_as<CellObject>();
        const Value value = cell ? Value(cell->value) : slot;
        const auto* tensor = value.try_as<TensorObject>();
        arguments.push_back(tensor && tensor->is_symbolic() ? Value() : slot);
    }
    for (Value& slot : called.slots.all()) slot = {};
    for (size_t k = 0; k < arguments.size(); ++k)
        called.slots[called.function.parameters[k].slot] = std::move(arguments[k]);
}

void Evaluator::finish_binding(Frame& called) {
    const ast::Function& function = called.function;
    make_cells(called);
    for (const ast::Parameter& parameter : function.parameters) {
        Value& slot = called.slots[parameter.slot];
        if (slot.is_unset()) {
            if (!parameter.default_value) {
                throw_error_at(called.call, "arity",
                               fmt::format("`{}` needs `{}`", display_name(function), name_of(parameter.name)),
                               fmt::format("it takes ({})", parameter_list(function)));
            }
            slot = evaluate(*parameter.default_value, called);
        }
        if (parameter.type)
            check_type(*parameter.type, slot, called, name_of(parameter.name), argument_span(called, parameter));
        if (function.kind == ast::FunctionKind::constructor) {
            called.model().fields[static_cast<size_t>(&parameter - function.parameters.data())] = slot;
        }
        if (parameter.is_cell) slot = make_ref<CellObject>(std::move(slot));
    }
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

Value Evaluator::run_body(Frame& called) {
    if (called.closure && called.function_object().is_plain && called.function_object().scopes.empty() &&
        has_all_arguments(called))
        return run_lines(called);
    std::vector<std::unique_ptr<Scope>> scopes;
    if (called.closure) {
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
    }
    finish_binding(called);
    hoist(called);
    Value result = run_lines(called);
    const ast::Function& function = called.function;
    if (function.kind == ast::FunctionKind::constructor) return called.self;
    if (function.result) check_type(*function.result, result, called, "", called.call);
    return result;
}

bool Evaluator::has_all_arguments(const Frame& called) {
    const auto parameters = called.function.parameters;
    return std::none_of(parameters.begin(), parameters.end(),
                        [&](const ast::Parameter& p) { return called.slots[p.slot].is_unset(); });
}

Value Evaluator::run_lines(Frame& called) {
    if (called.function.value) return evaluate(*called.function.value, called);
    execute(*called.function.body, called);
    return std::move(called.result);
}

}  // namespace tenon
