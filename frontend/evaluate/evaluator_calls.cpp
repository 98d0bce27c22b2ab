// Calls as written: finding what is called, each argument straight into its place.
#include <fmt/format.h>

#include "frontend/evaluate/evaluator.h"
#include "frontend/evaluate/session.h"
#include "frontend/evaluate/variables.h"
#include "frontend/record/capture.h"
#include "frontend/record/tensor_dispatch.h"
#include "frontend/resolve/resolver.h"
#include "frontend/resolve/suggestions.h"
#include "frontend/values/errors.h"

namespace tenon {

// "`step` takes 2 arguments (net, x), but 3 were given"
void Evaluator::too_many(std::string_view name, std::string_view parameters, size_t takes, size_t given, Span span) {
    throw_error_at(
        span, "arity",
        fmt::format("`{}` takes {} argument{}{}, but {} {} given", name, takes == 0 ? "no" : std::to_string(takes),
                    takes == 1 ? "" : "s", parameters.empty() ? "" : fmt::format(" ({})", parameters), given,
                    given == 1 ? "was" : "were"));
}

// ---- from the tree ------------------------------------------------------------------------------------------------

Value Evaluator::evaluate_call(const ast::Call& call, Frame& frame) {
    if (call.callee->kind == ast::ExprKind::name) {
        const auto& name = ast::as<ast::Name>(*call.callee);
        if (name.use.kind == ast::NameKind::builtin) {
            const BuiltinGroup& group = builtins_[name.use.index];
            if (!group.rows.empty()) return call_builtin(group, false, nullptr, call.arguments, frame, call.span);
        } else if (name.use.kind == ast::NameKind::method) {
            return call_method(frame.self, frame.model().model_class->methods[name.use.index], call.arguments, frame,
                               call.span);
        }
    }
    const bool is_name = call.callee->kind == ast::ExprKind::name;
    const Value* held =
        is_name ? look_up_variable(ast::as<ast::Name>(*call.callee).use, frame) : look_up(*call.callee, frame);
    if (held) {
        // The frame of the call holds the function, whatever its arguments do to the variable.
        if (const auto* function = held->try_as<FunctionObject>())
            return call_function(*function, {}, nullptr, call.arguments, frame, call.span);
        return call_value(Value(*held), nullptr, call.arguments, frame, call.span);
    }
    return call_value(evaluate(*call.callee, frame), nullptr, call.arguments, frame, call.span);
}

Value Evaluator::call_method(const Value& receiver, const Value& method, const ast::Arguments& arguments, Frame& frame,
                             Span span) {
    if (auto* function = method.try_as<FunctionObject>())
        return call_function(*function, receiver, nullptr, arguments, frame, span);
    return call_value(method, &receiver, arguments, frame, span);
}

// The function that a model's method of this name is, where no field has the name.
inline const FunctionObject* Evaluator::own_method(const Value& receiver, const ast::MethodCall& call) {
    auto* model = receiver.try_as<ModelObject>();
    if (!model) return nullptr;
    const ast::Member& member = model->model_class->member(call.name, call.member);
    if (member.method < 0 || model->find(member.field)) return nullptr;
    return model->model_class->methods[static_cast<size_t>(member.method)].try_as<FunctionObject>();
}

Value Evaluator::evaluate_method_call(const ast::MethodCall& expr, Frame& frame) {
    if (const Value* held = look_up(*expr.receiver, frame)) {
        if (held->kind() == expr.known.kind) return call_known(*expr.known.row, *held, expr, frame);
        if (const FunctionObject* method = own_method(*held, expr))
            return call_function(*method, *held, nullptr, expr.arguments, frame, expr.span);
    }
    Value receiver = evaluate(*expr.receiver, frame);
    if (auto* model = receiver.try_as<ModelObject>()) {
        const ast::Member& member = model->model_class->member(expr.name, expr.member);
        if (const Value* field = model->find(member.field))
            return call_value(Value(*field), nullptr, expr.arguments, frame, expr.span);
        if (member.method >= 0) {
            const Value& method = model->model_class->methods[static_cast<size_t>(member.method)];
            return call_method(receiver, method, expr.arguments, frame, expr.span);
        }
    } else if (auto* record = receiver.try_as<RecordObject>()) {
        if (const Value* field = record->find(name_of(expr.name))) {
            return call_value(Value(*field), nullptr, expr.arguments, frame, expr.span);
        }
    }

    if (receiver.is(Kind::other)) {  // the fields of what only its own built-ins know
        Value attribute;
        if (receiver.object().get_attribute(*this, name_of(expr.name), attribute))
            return call_value(attribute, nullptr, expr.arguments, frame, expr.span);
    }

    // Methods of a kind come before functions of that name, and a script's own functions before built-in ones.
    const BuiltinGroup* group = builtins_.find_method(expr.name);
    const BuiltinRow* row = group ? group->pick(host_kind(receiver), true) : nullptr;
    if (row && (row->builtin->traits & method_only)) {
        if (expr.arguments.has_spread) return call_builtin(*group, true, &receiver, expr.arguments, frame, expr.span);
        const bool has_own = receiver.is<ModelObject>() || receiver.is<RecordObject>();  // names that come before
        if (!has_own && !receiver.is_symbolic() && !(row->builtin->traits & takes_sizes) &&
            expr.arguments.in_order() && row->signature.takes_in_order(expr.arguments.items.size() + 1))
            expr.known = {row, receiver.kind()};
        return call_row(*group, *row, std::move(receiver), true, expr.arguments, frame, expr.span);
    }
    if (auto* dict = receiver.try_as<DictObject>()) {
        if (const Value* entry = dict->find(std::string_view(name_of(expr.name)))) {
            return call_value(Value(*entry), nullptr, expr.arguments, frame, expr.span);
        }
    }
    if (expr.function && expr.function.kind != ast::NameKind::builtin) {
        Value function = load(expr.function, expr.name, frame, expr.name_span);
        return call_value(function, &receiver, expr.arguments, frame, expr.span);
    }
    if (row) return call_builtin(*group, true, &receiver, expr.arguments, frame, expr.span);
    if (receiver.is_object()) {
        Value attribute;
        if (receiver.object().get_attribute(*this, name_of(expr.name), attribute)) {
            return call_value(attribute, nullptr, expr.arguments, frame, expr.span);
        }
    }

    std::vector<Symbol> candidates;
    for (const BuiltinGroup& other : builtins_.groups()) {
        if (!other.rows.empty() && other.pick(host_kind(receiver), true)) candidates.push_back(other.symbol);
    }
    if (auto* model = receiver.try_as<ModelObject>()) {
        candidates.clear();
        for (const ast::FunctionDeclaration* method : model->model_class->model.methods)
            candidates.push_back(method->function->name);
    }
    std::string help = advice_for_foreign_name(name_of(expr.name));
    if (auto near = nearest_name(expr.name, candidates, symbols_); near && help.empty())
        help = fmt::format("did you mean `{}`?", name_of(*near));
    throw_error_at(expr.name_span, "name",
                   fmt::format("{} has no method `{}`, and there is no function of that name for it",
                               semantics_.describe(receiver), name_of(expr.name)),
                   std::move(help));
}

Value Evaluator::call_value(const Value& callee, const Value* first, const ast::Arguments& arguments, Frame& frame,
                            Span span) {
    switch (callee.kind()) {
        case Kind::function: return call_function(callee.as<FunctionObject>(), {}, first, arguments, frame, span);
        case Kind::model: {
            const ModelClassObject& model_class = *callee.as<ModelObject>().model_class;
            int forward = model_class.method_number(symbols::forward);
            if (forward < 0) not_callable(callee, span);
            const Value& method = model_class.methods[static_cast<size_t>(forward)];
            if (first) break;
            return call_method(callee, method, arguments, frame, span);
        }
        case Kind::builtin: return call_builtin(callee.as<BuiltinObject>().group, false, first, arguments, frame, span);
        case Kind::bound_method: {
            const auto& method = callee.as<BoundMethodObject>();
            if (!first && method.function.is<FunctionObject>()) {
                return call_function(method.function.as<FunctionObject>(), method.receiver, nullptr, arguments, frame,
                                     span);
            }
            break;
        }
        case Kind::model_class: {
            auto& model_class = callee.as<ModelClassObject>();
            if (first || arguments.has_spread || model_class.constructor->takes_rest) break;
            Value model = make_ref<ModelObject>(callee.ref<ModelClassObject>());
            return call_function(*model_class.constructor, model, nullptr, arguments, frame, span);
        }
        default: break;
    }
    CallArguments evaluated = evaluate_arguments(first, arguments, frame);
    return call_evaluated(callee, evaluated, span);
}

Evaluator::CallArguments Evaluator::evaluate_arguments(const Value* first, const ast::Arguments& arguments,
                                                       Frame& frame) {
    CallArguments out;
    if (first) out.positional.push_back(*first);
    for (const ast::Argument& argument : arguments.items) {
        Value value = evaluate(*argument.value, frame);
        switch (argument.kind) {
            case ast::ArgumentKind::positional: out.positional.push_back(std::move(value)); break;
            case ast::ArgumentKind::keyword: out.keywords.emplace_back(argument.name, std::move(value)); break;
            case ast::ArgumentKind::spread:
                for (Value& item : collect(value)) out.positional.push_back(std::move(item));
                break;
            case ast::ArgumentKind::keyword_spread: {
                auto* dict = value.try_as<DictObject>();
                if (!dict)
                    throw_error_at(argument.span, "type",
                                   fmt::format("`**` takes a dict, found {}", semantics_.describe(value)));
                for (const auto& entry : dict->entries()) {
                    if (!entry.key.is<StringObject>()) {
                        throw_error_at(argument.span, "type",
                                       fmt::format("the names of arguments are strs, found the key {}",
                                                   semantics_.repr(entry.key)));
                    }
                    out.keywords.emplace_back(symbols_.intern(text_of(entry.key)), entry.value);
                }
                break;
            }
        }
    }
    return out;
}

std::string Evaluator::parameter_list(const ast::Function& function) const {
    std::string out;
    for (const ast::Parameter& parameter : function.parameters) {
        if (!out.empty()) out += ", ";
        out += parameter.kind == ast::ParameterKind::rest       ? "*"
               : parameter.kind == ast::ParameterKind::keywords ? "**"
                                                                : "";
        out += name_of(parameter.name);
    }
    return out;
}

std::string Evaluator::display_name(const ast::Function& function) const {
    if (function.kind == ast::FunctionKind::constructor && function.model) return name_of(function.model->name);
    if (function.kind == ast::FunctionKind::method && function.model) {
        return fmt::format("{}.{}", name_of(function.model->name), name_of(function.name));
    }
    return function.name == Symbol::none ? "fn" : name_of(function.name);
}

// Where the argument of a parameter is written, the call where that is not known.
Span Evaluator::argument_span(const Frame& called, const ast::Parameter& parameter) const {
    if (!called.arguments) return called.call;
    auto items = called.arguments->items;
    auto position = static_cast<size_t>(&parameter - called.function.parameters.data());
    for (const ast::Argument& argument : items) {
        if (argument.kind == ast::ArgumentKind::keyword && argument.name == parameter.name) return argument.value->span;
    }
    if (called.has_first && position-- == 0) return called.call;
    bool is_given = position < items.size() && items[position].kind == ast::ArgumentKind::positional;
    return is_given ? items[position].value->span : called.call;
}

}  // namespace tenon
