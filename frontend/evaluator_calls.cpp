// Calls: finding what is called, binding arguments, where capture begins.
#include <fmt/format.h>

#include "frontend/capture.h"
#include "frontend/errors.h"
#include "frontend/evaluator.h"
#include "frontend/resolver.h"
#include "frontend/session.h"
#include "frontend/suggestions.h"
#include "frontend/tensor_dispatch.h"

namespace tenon {

namespace {

constexpr size_t most_parameters = 32;  // of a built-in

}  // namespace

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
    Value callee = evaluate(*call.callee, frame);
    return call_value(callee, nullptr, call.arguments, frame, call.span);
}

Value Evaluator::call_method(const Value& receiver, const Value& method, const ast::Arguments& arguments, Frame& frame,
                             Span span) {
    if (auto* function = method.try_as<FunctionObject>())
        return call_function(*function, receiver, nullptr, arguments, frame, span);
    return call_value(method, &receiver, arguments, frame, span);
}

Value Evaluator::evaluate_method_call(const ast::MethodCall& expr, Frame& frame) {
    Value receiver = evaluate(*expr.receiver, frame);
    if (auto* model = receiver.try_as<ModelObject>()) {
        int slot = model->model_class->field_slot(expr.name);
        if (slot >= 0 && !model->fields[static_cast<size_t>(slot)].is_unset()) {
            Value field = model->fields[static_cast<size_t>(slot)];
            return call_value(field, nullptr, expr.arguments, frame, expr.span);
        }
        int number = model->model_class->method_number(expr.name);
        if (number >= 0) {
            return call_method(receiver, model->model_class->methods[static_cast<size_t>(number)], expr.arguments,
                               frame, expr.span);
        }
    } else if (auto* record = receiver.try_as<RecordObject>()) {
        if (const Value* field = record->find(name_of(expr.name))) {
            return call_value(Value(*field), nullptr, expr.arguments, frame, expr.span);
        }
    }

    // Methods of a kind come before functions of that name, and a script's own functions before built-in ones.
    const BuiltinGroup* group = builtins_.find_method(expr.name);
    const BuiltinRow* row = group ? group->pick(receiver.kind(), true) : nullptr;
    if (row && (row->builtin->traits & method_only))
        return call_builtin(*group, true, &receiver, expr.arguments, frame, expr.span);
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
        if (!other.rows.empty() && other.pick(receiver.kind(), true)) candidates.push_back(other.symbol);
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
                               describe(receiver), name_of(expr.name)),
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
                    throw_error_at(argument.span, "type", fmt::format("`**` takes a dict, found {}", describe(value)));
                for (const auto& entry : dict->entries()) {
                    if (!entry.key.is<StringObject>()) {
                        throw_error_at(
                            argument.span, "type",
                            fmt::format("the names of arguments are strs, found the key {}", repr(entry.key)));
                    }
                    out.keywords.emplace_back(symbols_.intern(entry.key.as_text()), entry.value);
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

Value Evaluator::call_function(const FunctionObject& callee, const Value& self, const Value* first,
                               const ast::Arguments& arguments, Frame& frame, Span span) {
    const ast::Function& function = callee.function;
    if (arguments.has_spread || callee.takes_rest) {
        CallArguments evaluated = evaluate_arguments(first, arguments, frame);
        return call_function(callee, self, evaluated, span);
    }
    // The common case: each argument goes straight into its slot.
    check_stack(span);
    Frame called(*this, callee, self.is_none() ? callee.environment.self : self, span);
    auto parameters = function.parameters;
    called.arguments = &arguments;
    called.has_first = first != nullptr;
    size_t position = 0;
    if (first) {
        if (parameters.empty()) too_many(display_name(function), "", 0, 1 + arguments.items.size(), span);
        called.slots[parameters[position++].slot] = *first;
    }
    for (const ast::Argument& argument : arguments.items) {
        size_t at = position;
        if (argument.kind == ast::ArgumentKind::keyword) {
            at = 0;
            while (at < parameters.size() && parameters[at].name != argument.name) ++at;
            if (at == parameters.size()) {
                std::vector<Symbol> names;
                for (const ast::Parameter& parameter : parameters) names.push_back(parameter.name);
                auto near = nearest_name(argument.name, names, symbols_);
                throw_error_at(
                    argument.span, "arity",
                    fmt::format("`{}` has no parameter `{}`", display_name(function), name_of(argument.name)),
                    near ? fmt::format("did you mean `{}`?", name_of(*near))
                         : fmt::format("it takes ({})", parameter_list(function)));
            }
            if (!called.slots[parameters[at].slot].is_unset()) {
                throw_error_at(argument.span, "arity", fmt::format("`{}` is given twice", name_of(argument.name)));
            }
        } else {
            ++position;
            if (at >= parameters.size() || parameters[at].keyword_only) {
                too_many(display_name(function), parameter_list(function), parameters.size(),
                         arguments.positional + (first ? 1 : 0), span);
            }
        }
        called.slots[parameters[at].slot] = evaluate(*argument.value, frame);
    }
    return enter(called);
}

Value Evaluator::call_builtin(const BuiltinGroup& group, bool as_method, const Value* first,
                              const ast::Arguments& arguments, Frame& frame, Span span) {
    if (arguments.has_spread || group.is_scope || group.rows.empty()) {
        CallArguments evaluated = evaluate_arguments(first, arguments, frame);
        return call_builtin(group, as_method, evaluated, span);
    }
    Value leading;  // the first argument decides which row it is
    const Value* lead = first;
    size_t next = 0;
    if (!lead && arguments.positional > 0) {
        leading = evaluate(*arguments.items[0].value, frame);
        lead = &leading;
        next = 1;
    }
    const BuiltinRow* row = group.pick(lead ? lead->kind() : Kind::unset, as_method);
    if (!row && lead && lead->is(Kind::symbolic)) {  // host functions know numbers: the graph now depends on this one
        Value number = tracer_.settle(*lead, span);
        row = group.pick(number.kind(), as_method);
        leading = std::move(number);
        if (first) first = &leading;
        lead = &leading;
    }
    if (!row) no_row(group, lead, span);

    const Signature& signature = row->signature;
    size_t count = signature.parameters.size();
    Slots values(*this, count);
    Span spans[most_parameters];
    Values rest;
    bool rest_is_literal = true;
    tenon::Arguments bound{values.all(), span, std::span(spans, count), 0};
    size_t position = 0;
    auto place = [&](Value value, bool is_literal, Span at) {
        if (position < signature.positional) {
            spans[position] = at;
            bound.literals |= uint64_t{is_literal} << position;
            values[position++] = std::move(value);
        } else if (signature.rest >= 0) {
            if (rest.empty()) spans[signature.rest] = at;
            rest_is_literal &= is_literal;
            rest.push_back(std::move(value));
        } else {
            too_many(group.name, row->builtin->parameters, signature.positional, arguments.positional + (first ? 1 : 0),
                     span);
        }
    };
    if (first) {
        place(*first, false, {});
    } else if (lead) {
        place(std::move(leading), arguments.items[0].value->is_literal, arguments.items[0].value->span);
    }
    for (; next < arguments.items.size(); ++next) {
        const ast::Argument& argument = arguments.items[next];
        if (argument.kind == ast::ArgumentKind::positional) {
            place(evaluate(*argument.value, frame), argument.value->is_literal, argument.value->span);
            continue;
        }
        size_t at = 0;
        while (at < count && (signature.parameters[at].name != argument.name ||
                              static_cast<int>(at) == signature.rest || static_cast<int>(at) == signature.keywords)) {
            ++at;
        }
        if (at == count) {
            if (signature.keywords >= 0) {
                Value& more = values[static_cast<size_t>(signature.keywords)];
                if (more.is_unset()) more = make_ref<DictObject>();
                more.as<DictObject>().set(name_of(argument.name), evaluate(*argument.value, frame));
                continue;
            }
            std::vector<Symbol> names;
            for (const auto& parameter : signature.parameters) names.push_back(parameter.name);
            auto near = nearest_name(argument.name, names, symbols_);
            throw_error_at(argument.span, "arity",
                           fmt::format("`{}` has no parameter `{}`", group.name, name_of(argument.name)),
                           near ? fmt::format("did you mean `{}`?", name_of(*near))
                                : fmt::format("it takes ({})", row->builtin->parameters));
        }
        if (!values[at].is_unset()) {
            throw_error_at(argument.span, "arity", fmt::format("`{}` is given twice", name_of(argument.name)));
        }
        spans[at] = argument.value->span;
        bound.literals |= uint64_t{argument.value->is_literal} << at;
        values[at] = evaluate(*argument.value, frame);
    }
    if (signature.rest >= 0) {
        auto at = static_cast<size_t>(signature.rest);
        bound.literals |= uint64_t{rest_is_literal && !rest.empty()} << at;
        values[at] = make_tuple(std::move(rest));
    }
    return run_builtin(*row, bound);
}

Value Evaluator::run_builtin(const BuiltinRow& row, tenon::Arguments& arguments) {
    const Signature& signature = row.signature;
    for (size_t i = 0; i < signature.parameters.size(); ++i) {
        if (signature.parameters[i].required && arguments[i].is_unset()) {
            throw_error_at(arguments.span, "arity",
                           fmt::format("`{}` needs `{}`", row.builtin->name, name_of(signature.parameters[i].name)),
                           fmt::format("it takes ({})", row.builtin->parameters));
        }
    }
    if (signature.keywords >= 0 && arguments[static_cast<size_t>(signature.keywords)].is_unset()) {
        arguments[static_cast<size_t>(signature.keywords)] = make_ref<DictObject>();
    }
    if ((row.builtin->traits & breaks_graph) && tracer_.capturing())
        tracer_.graph_break(row.builtin->name, arguments.span);
    Span saved = std::exchange(here_, arguments.span);
    try {
        Value result = row.builtin->call(*this, arguments);
        here_ = saved;
        return result;
    } catch (Error& error) {
        here_ = saved;
        if (!error.diagnostic.span) error.diagnostic.span = arguments.span;
        throw;
    }
}

void Evaluator::no_row(const BuiltinGroup& group, const Value* first, Span span) {
    if (!first) throw_error_at(span, "arity", fmt::format("`{}` needs an argument", group.name));
    std::string kinds;
    int count = 0;
    for (const BuiltinRow& row : group.rows) {
        for (int k = static_cast<int>(Kind::none); k < kind_count; ++k) {
            std::string_view kind = tenon::name_of(static_cast<Kind>(k));
            if (!(row.builtin->first >> k & 1) || kinds.find(kind) != std::string::npos) continue;
            kinds += kinds.empty() ? "" : ", ";
            kinds += kind;
            ++count;
        }
    }
    constexpr int most_to_list = 6;
    if (count > most_to_list) kinds.clear();
    throw_error_at(span, "type", fmt::format("`{}` does not go with {}", group.name, describe(*first)),
                   kinds.empty() ? "" : fmt::format("its first argument is one of: {}", kinds));
}

// ---- running ------------------------------------------------------------------------------------------------------

namespace {

/// `@no_compile fn`, `@annotate(compile: false) fn`.
bool stops_compiling(const DecoratorScope& scope) {
    if (scope.name == "no_compile") return true;
    return scope.name == "annotate" &&
           std::any_of(scope.arguments.begin(), scope.arguments.end(), [](const auto& argument) {
               return argument.first == "compile" && argument.second.is_bool() && !argument.second.as_bool();
           });
}

}  // namespace

bool Evaluator::begins_capture(const Frame& called) const {
    const ast::Function& function = called.function;
    if (function.kind == ast::FunctionKind::constructor || function.kind == ast::FunctionKind::test) return false;
    if (called.closure) {
        const auto& scopes = called.function_object().scopes;
        if (std::any_of(scopes.begin(), scopes.end(), stops_compiling)) return false;
    }
    bool holds = function.kind == ast::FunctionKind::method;
    for (size_t i = 0; i < function.parameters.size() && !holds; ++i) {
        holds = holds_tensor_or_model(called.slots[function.parameters[i].slot]);
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
    check_interrupt();
    const ast::Function& function = called.function;
    try {
        Entered entered(*this, called);
        if (!tracer_.capturing() && begins_capture(called)) {
            called.starts_capture = true;
            std::string name = display_name(function);
            if (function.kind == ast::FunctionKind::method && function.name == symbols::forward)
                name = called.model().model_class->name();
            auto name_argument = [&](const Tensor& tensor) { return argument_name(called, tensor); };
            CallSite site{called.call, name, function.name_span, &function,
                          FunctionRef<std::string(const Tensor&)>(name_argument)};
            return tracer_.captured_call(site, [&] {
                Value result = run_body(called);
                drop_locals(called);
                return result;
            });
        }
        return run_body(called);
    } catch (Error& error) {
        if (!error.diagnostic.span) error.diagnostic.span = called.call;
        unwound_.push_back({display_name(function), called.call});
        throw;
    } catch (const Interrupted&) {
        unwound_.push_back({display_name(function), called.call});
        throw;
    }
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
    const ast::Function& function = called.function;
    std::vector<std::unique_ptr<Scope>> scopes;
    if (called.closure) {
        for (const DecoratorScope& scope : called.function_object().scopes) {
            if (scope.name == "op") {
                if (!tracer_.capturing()) continue;
                tracer_.dispatcher().set_span(called.call);  // where the call comes from
                scopes.push_back(std::make_unique<Composite>(tracer_.capture(), name_of(function.name)));
                continue;
            }
            std::vector<Tracer::ScopeArgument> arguments;
            for (const auto& [name, value] : scope.arguments) arguments.push_back({name, value});
            scopes.push_back(tracer_.enter_scope(scope.name, arguments, called.call));
        }
    }
    finish_binding(called);
    hoist(called);
    Value result;
    if (function.value) {
        result = evaluate(*function.value, called);
    } else {
        execute(*function.body, called);
        result = std::move(called.result);
    }
    if (function.kind == ast::FunctionKind::constructor) return called.self;
    if (function.result) check_type(*function.result, result, called, "", called.call);
    return result;
}

}  // namespace tenon
