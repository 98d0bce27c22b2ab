// Calls whose arguments are values already: spreads, decorators, built-ins that call back.
#include <fmt/format.h>

#include "frontend/evaluate/evaluator.h"
#include "frontend/evaluate/session.h"
#include "frontend/values/errors.h"

namespace tenon {

Value Evaluator::call(const Value& callee, std::span<const Value> positional,
                      std::span<const KeywordArgument> keywords) {
    CallArguments arguments;
    arguments.positional.assign(positional.begin(), positional.end());
    for (const KeywordArgument& keyword : keywords)
        arguments.keywords.emplace_back(symbols_.intern(keyword.name), keyword.value);
    return call_evaluated(callee, arguments, here_);
}

Value Evaluator::call_evaluated(const Value& callee, CallArguments& arguments, Span span) {
    switch (callee.kind()) {
        case Kind::function: return call_function(callee.as<FunctionObject>(), {}, arguments, span);
        case Kind::builtin: return call_builtin(callee.as<BuiltinObject>().group, false, arguments, span);
        case Kind::bound_method: {
            const auto& method = callee.as<BoundMethodObject>();
            if (auto* function = method.function.try_as<FunctionObject>())
                return call_function(*function, method.receiver, arguments, span);
            arguments.positional.insert(arguments.positional.begin(), method.receiver);
            return call_evaluated(Value(method.function), arguments, span);
        }
        case Kind::model: {
            const ModelClassObject& model_class = *callee.as<ModelObject>().model_class;
            int forward = model_class.method_number(symbols::forward);
            if (forward < 0) not_callable(callee, span);
            const Value& method = model_class.methods[static_cast<size_t>(forward)];
            if (auto* function = method.try_as<FunctionObject>())
                return call_function(*function, callee, arguments, span);
            arguments.positional.insert(arguments.positional.begin(), callee);
            return call_evaluated(method, arguments, span);
        }
        case Kind::model_class: {
            auto& model_class = callee.as<ModelClassObject>();
            Value model = make_ref<ModelObject>(callee.ref<ModelClassObject>());
            return call_function(*model_class.constructor, model, arguments, span);
        }
        case Kind::device: {
            // `cuda(1)`
            if (callee.as_device().kind == Device::cuda && arguments.positional.size() == 1 &&
                host_kind(arguments.positional[0]) == Kind::integer) {
                const int64_t index = settled(arguments.positional[0], span).as_int();
                if (index >= 0 && index < 1024) return Device{Device::cuda, static_cast<int16_t>(index)};
            }
            break;
        }
        case Kind::dtype: {
            const BuiltinGroup* group = builtins_.find_method(symbols_.intern(tenon::name_of(callee.as_dtype())));
            if (group && !group->rows.empty()) return call_builtin(*group, false, arguments, span);
            break;
        }
        default: break;
    }
    return call_object(callee, arguments, span);
}

Value Evaluator::call_object(const Value& object, CallArguments& arguments, Span span) {
    if (object.is_object()) {
        std::vector<KeywordArgument> keywords;
        for (auto& [name, value] : arguments.keywords) keywords.push_back({name_of(name), value});
        Value result;
        Span saved = std::exchange(here_, span);
        try {
            bool called = object.object().call(*this, arguments.positional, keywords, result);
            here_ = saved;
            if (called) return result;
        } catch (Error& error) {
            here_ = saved;
            if (!error.diagnostic.span) error.diagnostic.span = span;
            throw;
        }
    }
    not_callable(object, span);
}

void Evaluator::not_callable(const Value& value, Span span) {
    std::string help;
    if (value.is<ModelObject>()) help = "a model is called through its `fn forward`";
    if (value.is(Kind::dtype)) help = fmt::format("x.to({}) converts a tensor", tenon::name_of(value.as_dtype()));
    throw_error_at(span, "type", fmt::format("{} cannot be called", semantics_.describe(value)), std::move(help));
}

Value Evaluator::call_scope(const BuiltinGroup& group, CallArguments& arguments, Span span) {
    // `no_grad(f, x)`: f(x) inside the scope; keywords are the scope's.
    if (arguments.positional.empty() || !is_callable(arguments.positional[0])) {
        throw_error_at(span, "type", fmt::format("`{}` takes a block, or a function and its arguments", group.name),
                       fmt::format("write {} {{ … }}, or {}(f, x)", group.name, group.name));
    }
    std::vector<Tracer::ScopeArgument> options;
    for (auto& [name, value] : arguments.keywords) options.push_back({name_of(name), scope_argument(value, span)});
    arguments.keywords.clear();
    Value function = std::move(arguments.positional[0]);
    arguments.positional.erase(arguments.positional.begin());
    const auto* declared = function.try_as<FunctionObject>();
    const void* identity = declared ? static_cast<const void*>(&declared->function) : &group;
    return within_scope(group.name, options, span, identity, [&] { return call_evaluated(function, arguments, span); });
}

// ---- for C++ ------------------------------------------------------------------------------------------------------

bool Evaluator::is_callable(const Value& value) const {
    switch (value.kind()) {
        case Kind::function:
        case Kind::bound_method:
        case Kind::builtin:
        case Kind::model_class: return true;
        case Kind::model: return value.as<ModelObject>().model_class->method_number(symbols::forward) >= 0;
        default: return value.is(Kind::graph) || value.is(Kind::other);
    }
}

bool Evaluator::has_method(const Value& receiver, std::string_view name) const {
    Symbol symbol = symbols_.find(name);
    if (symbol == Symbol::none) return false;
    if (auto* model = receiver.try_as<ModelObject>()) {
        int slot = model->model_class->field_slot(symbol);
        if (slot >= 0 && !model->fields[static_cast<size_t>(slot)].is_unset()) return true;
        if (model->model_class->method_number(symbol) >= 0) return true;
    }
    if (auto* record = receiver.try_as<RecordObject>()) return record->find(name) != nullptr;
    const BuiltinGroup* group = builtins_.find_method(symbol);
    const BuiltinRow* row = group ? group->pick(host_kind(receiver), true) : nullptr;
    return row && (row->builtin->traits & method_only);
}

Value Evaluator::call_method(const Value& receiver, std::string_view name, std::span<const Value> positional) {
    CallArguments arguments;
    arguments.positional.assign(positional.begin(), positional.end());
    Symbol symbol = symbols_.intern(name);
    if (auto* model = receiver.try_as<ModelObject>()) {
        int slot = model->model_class->field_slot(symbol);
        if (slot >= 0 && !model->fields[static_cast<size_t>(slot)].is_unset()) {
            return call_evaluated(Value(model->fields[static_cast<size_t>(slot)]), arguments, here_);
        }
        int number = model->model_class->method_number(symbol);
        if (number >= 0) {
            const Value& method = model->model_class->methods[static_cast<size_t>(number)];
            if (auto* function = method.try_as<FunctionObject>())
                return call_function(*function, receiver, arguments, here_);
            arguments.positional.insert(arguments.positional.begin(), receiver);
            return call_evaluated(method, arguments, here_);
        }
    }
    arguments.positional.insert(arguments.positional.begin(), receiver);
    const BuiltinGroup* group = builtins_.find_method(symbol);
    if (!group) throw_error("name", fmt::format("{} has no method `{}`", semantics_.describe(receiver), name));
    return call_builtin(*group, true, arguments, here_);
}

}  // namespace tenon
