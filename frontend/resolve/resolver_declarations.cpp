// Functions and models: their parameters, types, and the names their bodies make.
#include "frontend/resolve/resolver_pass.h"

#include <fmt/format.h>
#include <algorithm>
#include <unordered_map>

#include "frontend/syntax/ast_walk.h"

namespace tenon {

using namespace ast;

void Resolver::function(Function& function, NameScope* parent, ModelNames* model) {
    NameScope scope(function, parent, model);
    function.script = &script_;
    function.parent = parent ? &parent->function : nullptr;
    function.model = model ? model->model : parent ? parent->function.model : nullptr;
    NameScope* outer = std::exchange(scope_, &scope);
    parameters();
    if (function.kind == FunctionKind::constructor) {
        for (const Parameter& parameter : function.parameters) scope.hide(parameter.name);  // fields from here on
    }
    std::vector<Binding> bindings = function.body ? bindings_of(*function.body) : bindings_of(*function.value);
    declare(bindings);
    hoist(bindings);
    if (function.body) block(function.body);
    else expression(function.value);
    scope.finish(arena_);
    scope_ = outer;
}

void Resolver::parameters() {
    Function& function = scope_->function;
    const Parameter* with_default = nullptr;
    const Parameter* rest = nullptr;
    const Parameter* keywords = nullptr;
    scope_->in_parameters = true;
    for (Parameter& parameter : function.parameters) {
        if (parameter.type) type(*parameter.type);
        expression(parameter.default_value);
        if (parameter.name == symbols::self &&
            (function.kind == FunctionKind::method || function.kind == FunctionKind::constructor)) {
            complain("syntax", parameter.span, "`self` is not a parameter here",
                     "methods see `self` without declaring it: leave it out");
        } else if (auto slot = scope_->find(parameter.name)) {
            if (scope_->variables[*slot].parameter) {
                complain("syntax", parameter.span,
                         fmt::format("there are two parameters named `{}`", text(parameter.name)), {},
                         {{scope_->variables[*slot].parameter->span, "the first"}});
            } else {
                complain(
                    "syntax", parameter.span,
                    fmt::format("`{}` is already a size in the type of an earlier parameter", text(parameter.name)),
                    fmt::format("put the parameter `{}` first", text(parameter.name)));
            }
        }
        if (keywords) {
            complain("syntax", parameter.span, "`**` takes what is left, so it is the last parameter", {},
                     {{keywords->span, "the parameters end here"}});
        }
        switch (parameter.kind) {
            case ParameterKind::plain:
                if (parameter.default_value) {
                    with_default = &parameter;
                } else if (with_default && !parameter.keyword_only) {
                    complain("syntax", parameter.span,
                             fmt::format("`{}` needs a default, because a parameter before it has one",
                                         text(parameter.name)),
                             {}, {{with_default->span, "this one"}});
                }
                break;
            case ParameterKind::rest:
                if (rest)
                    complain("syntax", parameter.span, "only one parameter can take the rest", {},
                             {{rest->span, "the first"}});
                rest = &parameter;
                break;
            case ParameterKind::keywords: keywords = &parameter; break;
        }
        parameter.slot = scope_->declare(parameter.name);
        scope_->variables[parameter.slot].parameter = &parameter;
    }
    if (function.result) type(*function.result);
    scope_->in_parameters = false;
}

void Resolver::type(TypeNode& type) {
    for (Dimension& entry : type.shape) dimension(entry);
    for (TypeNode* argument : type.arguments) this->type(*argument);
    if (type.kind != TypeKind::model) return;
    if (Meaning meaning = find(type.name)) use(meaning, type.use, type.span, true);
    else unknown(type.name, type.span, true);
}

/// In a type a name is an earlier parameter, a parameter of the model around, or a size of this signature.
std::optional<uint32_t> Resolver::dimension_variable(Name& name) {
    if (auto slot = scope_->find(name.name); slot && scope_->variables[*slot].parameter) {
        use_variable(*scope_, *slot, name.use, name.span, true);
        return std::nullopt;
    }
    for (NameScope* scope = scope_; scope; scope = scope->parent) {
        if (!scope->model) continue;
        if (!scope->model->is_parameter(name.name)) break;
        use({.use = {NameKind::field, scope->model->field_numbers.at(name.name)}}, name.use, name.span, true);
        return std::nullopt;
    }
    auto slot = scope_->find(name.name);
    if (!slot || std::ranges::count(scope_->dimensions, *slot) == 0) {
        slot = scope_->declare(name.name);
        scope_->dimensions.push_back(*slot);
    }
    use_variable(*scope_, *slot, name.use, name.span, true);
    return slot;
}

void Resolver::dimension(Dimension& dimension) {
    if (dimension.kind == DimensionKind::expression) return dimension_value(*dimension.value);
    if (dimension.kind != DimensionKind::variable) return;
    auto slot = dimension_variable(as<Name>(*dimension.value));
    if (slot) use_variable(*scope_, *slot, dimension.use, dimension.span, false);
    else dimension.kind = DimensionKind::expression;
}

void Resolver::dimension_value(Expr& expr) {
    if (expr.kind == ExprKind::name) {
        dimension_variable(as<Name>(expr));
    } else if (expr.kind == ExprKind::call && as<Call>(expr).callee->kind == ExprKind::name) {
        read(as<Name>(*as<Call>(expr).callee));
        for (const Argument& argument : as<Call>(expr).arguments.items) dimension_value(*argument.value);
    } else {
        for_each_child(expr, [&](Expr& child) { dimension_value(child); });
    }
}

/// Gives every name that the body makes its place, unless it is a field.
void Resolver::declare(const std::vector<Binding>& bindings) {
    struct Facts {
        int count = 0;
        bool only_declared = true;
        const Function* signature = nullptr;
    };
    std::unordered_map<Symbol, Facts> facts;
    for (const Binding& binding : bindings) {
        Facts& known = facts[binding.name];
        known.count++;
        known.signature = nullptr;
        switch (binding.kind) {
            case BindingKind::function: {
                auto& declaration = as<FunctionDeclaration>(*binding.declaration);
                if (known.count == 1 && declaration.decorators.empty()) known.signature = declaration.function;
                break;
            }
            case BindingKind::model: {
                auto& declaration = as<ModelDeclaration>(*binding.declaration);
                if (known.count == 1 && declaration.decorators.empty())
                    known.signature = declaration.model->constructor;
                break;
            }
            case BindingKind::custom: break;
            default: known.only_declared = false;
        }
    }
    bool in_model = scope_->function.kind == FunctionKind::constructor;
    for (const Binding& binding : bindings) {
        const Facts& known = facts[binding.name];
        if (scope_ == main_) {
            ModuleScope::Global& global = module_.global(module_.add(binding.name));
            global.is_private = text(binding.name).starts_with('_');
            global.is_function = known.only_declared;
            global.signature = known.signature;
            continue;
        }
        if (scope_->find(binding.name)) continue;
        if (in_model && (scope_->model->field_numbers.contains(binding.name) || binding.kind == BindingKind::function))
            continue;
        Variable& variable = scope_->variables[scope_->declare(binding.name)];
        variable.is_function = known.only_declared;
        variable.signature = known.signature;
    }
    for (const Binding& binding : bindings) {
        bool again = binding.nested || facts[binding.name].count > 1;
        if (binding.kind == BindingKind::function) {
            auto& declaration = as<FunctionDeclaration>(*binding.declaration);
            declaration.bind_at_line = again || !declaration.decorators.empty();
        } else if (binding.kind == BindingKind::model) {
            auto& declaration = as<ModelDeclaration>(*binding.declaration);
            declaration.bind_at_line = again || !declaration.decorators.empty();
        }
    }
}

/// Declared functions are visible before their line; of several with one name, the first.
void Resolver::hoist(const std::vector<Binding>& bindings) {
    std::unordered_set<Symbol> seen;
    bool in_model = scope_->function.kind == FunctionKind::constructor;
    for (const Binding& binding : bindings) {
        bool is_model = binding.kind == BindingKind::model;
        if ((binding.kind != BindingKind::function || in_model) && !is_model) continue;
        if (!seen.insert(binding.name).second) continue;
        if (is_model) scope_->hoisted_models.push_back(&as<ModelDeclaration>(*binding.declaration));
        else scope_->hoisted.push_back(&as<FunctionDeclaration>(*binding.declaration));
    }
}

void Resolver::decorators(std::span<Expr*> decorators) {
    for (Expr* decorator : decorators) expression(decorator);
}

ModelNames Resolver::names_of(Model& model) {
    ModelNames names{.model = &model};
    auto add_field = [&](Symbol name) {
        if (names.field_numbers.emplace(name, static_cast<uint32_t>(names.fields.size())).second)
            names.fields.push_back(name);
    };
    for (const Parameter& parameter : model.constructor->parameters) add_field(parameter.name);
    names.parameter_count = names.fields.size();
    std::vector<Symbol> packs;
    std::vector<Binding> bindings = bindings_of(*model.constructor->body);
    for (const Binding& binding : bindings) {
        switch (binding.kind) {
            case BindingKind::assigned:
            case BindingKind::tensor:
            case BindingKind::custom: add_field(binding.name); break;
            case BindingKind::pack:
                add_field(binding.name);
                packs.push_back(binding.name);
                break;
            case BindingKind::loop:
            case BindingKind::caught: break;
            case BindingKind::model:
                complain("syntax", binding.span, "a model cannot be declared inside a model",
                         "declare it before, and make one in a field");
                break;
            case BindingKind::function: {
                auto& declaration = as<FunctionDeclaration>(*binding.declaration);
                declaration.function->kind = FunctionKind::method;
                auto number = static_cast<uint32_t>(names.methods.size());
                if (binding.nested) {
                    complain("syntax", binding.span, "a method stands directly in the body of its model");
                } else if (!names.method_numbers.emplace(binding.name, number).second) {
                    Span first = names.methods[names.method_numbers[binding.name]]->function->name_span;
                    complain("syntax", binding.span, fmt::format("`{}` is declared twice", text(binding.name)), {},
                             {{first, "the first"}});
                } else {
                    names.methods.push_back(&declaration);
                }
                break;
            }
        }
    }
    add_field(symbols::training);  // every model has it: `train()` and `eval()` set it
    for (FunctionDeclaration* method : names.methods) {
        if (!names.field_numbers.contains(method->function->name)) continue;
        complain("syntax", method->function->name_span,
                 fmt::format("`{}` is both a field and a method of this model", text(method->function->name)),
                 "give one of them another name");
    }
    model.fields = arena_.copy(names.fields);
    model.packs = arena_.copy(packs);
    model.methods = arena_.copy(names.methods);
    return names;
}

void Resolver::model(ModelDeclaration& declaration) {
    decorators(declaration.decorators);
    ModelNames names = names_of(*declaration.model);
    function(*declaration.model->constructor, scope_, &names);
    for (FunctionDeclaration* method : names.methods) {
        decorators(method->decorators);
        method->bind_at_line = false;
        function(*method->function, scope_, &names);
    }
}

void Resolver::custom(CustomDeclaration& declaration) {
    decorators(declaration.decorators);
    function(*declaration.forward, scope_, nullptr);
    if (declaration.backward->parameters.size() < 2) {
        complain("arity", declaration.backward->name_span,
                 "`backward` takes the context and one gradient for each output", "write `backward(ctx, g) { … }`");
    }
    function(*declaration.backward, scope_, nullptr);
}

}  // namespace tenon
