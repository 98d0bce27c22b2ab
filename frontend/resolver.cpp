// Goes through a script once, function by function. What a body assigns is collected before it is looked at, so a name
// means the same in all of its function.
#include "frontend/resolver.h"

#include <algorithm>
#include <unordered_set>
#include <fmt/format.h>

#include "frontend/ast_walk.h"
#include "frontend/bindings.h"
#include "frontend/call_check.h"
#include "frontend/name_scopes.h"
#include "frontend/suggestions.h"

namespace tenon {

using namespace ast;

std::optional<uint32_t> ModuleScope::find(Symbol name) const {
    auto found = slots_.find(name);
    return found == slots_.end() ? std::nullopt : std::optional(found->second);
}

uint32_t ModuleScope::add(Symbol name) {
    auto [place, is_new] = slots_.emplace(name, static_cast<uint32_t>(globals_.size()));
    if (is_new) globals_.push_back({name});
    return place->second;
}

std::optional<uint32_t> ModuleScope::find_import(Symbol name) const {
    auto found = import_numbers_.find(name);
    return found == import_numbers_.end() ? std::nullopt : std::optional(found->second);
}

uint32_t ModuleScope::add_import(const Export& name) {
    auto number = static_cast<uint32_t>(imports_.size());
    imports_.push_back(name);
    import_numbers_[name.name] = number;
    return number;
}

std::vector<Export> ModuleScope::exports(uint32_t module) const {
    std::vector<Export> result;
    for (uint32_t slot = 0; slot < globals_.size(); slot++) {
        const Global& global = globals_[slot];
        if (global.is_private) continue;
        result.push_back({global.name, module, slot, global.is_function, global.signature});
    }
    return result;
}

namespace {

class Resolver {
public:
    Resolver(Script& script, ModuleScope& module, const NameSource& names, SymbolTable& symbols, Arena& arena,
             const ResolveOptions& options)
        : script_(script), module_(module), names_(names), symbols_(symbols), arena_(arena), options_(options) {}

    std::vector<Diagnostic> run();

private:
    // What a name means.
    struct Meaning {
        Scope* scope = nullptr;         // of a variable
        uint32_t slot = 0;
        NameUse use;                    // of everything else
        const Function* signature = nullptr;
        bool is_function = false;

        explicit operator bool() const { return scope || use; }
    };
    Meaning find(Symbol name);
    Meaning find_function(Symbol name);
    Meaning find_outside(Symbol name, bool functions_only);
    Meaning global(uint32_t slot);
    void use_variable(Scope& owner, uint32_t slot, NameUse& use, Span span, bool is_read);
    void use_global(uint32_t slot, NameUse& use);
    void use(const Meaning& meaning, NameUse& use, Span span, bool is_read);
    Meaning read(Name& name);
    bool may_rebind(const Meaning& meaning) const;
    void unknown(Symbol name, Span span, const char* what = "name");
    std::vector<Symbol> visible_names() const;

    // Functions and models.
    void function(Function& function, Scope* parent, ModelNames* model);
    void parameters();
    void type(TypeNode& type);
    void dimension(Dimension& dimension);
    void dimension_value(Expr& expr);
    std::optional<uint32_t> dimension_variable(Name& name);
    void declare(const std::vector<Binding>& bindings);
    void hoist(const std::vector<Binding>& bindings);
    bool decorators(std::span<Expr*> decorators);
    void model(ModelDeclaration& declaration);
    ModelNames names_of(Model& model);
    void custom(CustomDeclaration& declaration);

    // Statements and expressions.
    void block(Block* body, bool last_is_used = false);
    void inner_block(Block* body, bool last_is_used = false);
    void statement(Statement& statement, bool is_used);
    void unused(const Expr& value);
    void leave(const Statement& statement, const char* word);
    void update(Update& update);
    void tensor(TensorDeclaration& declaration);
    void for_loop(For& loop);
    Turn turn_of(const Expr& target);
    std::span<NameUse> end_turn();
    void target(Expr& expr);
    void expression(Expr* expr);
    void arguments(const Arguments& list);
    void call(Call& expr);
    void comprehension(Comprehension& expr);
    void scope_block(ScopeBlock& expr);
    void load(UseItem& item);

    void add(Diagnostic diagnostic) {
        uint32_t position = diagnostic.span.begin;
        diagnostics_.push_back({position, std::move(diagnostic)});
    }
    void complain(const char* kind, Span span, std::string message, std::string help = {}, std::vector<Label> labels = {}) {
        add({kind, std::move(message), span, std::move(labels), std::move(help)});
    }
    const std::string& text(Symbol symbol) const { return symbols_.text(symbol); }

    Script& script_;
    ModuleScope& module_;
    const NameSource& names_;
    SymbolTable& symbols_;
    Arena& arena_;
    const ResolveOptions& options_;
    struct Found {
        uint32_t position;    // in this script
        Diagnostic diagnostic;
    };
    std::vector<Found> diagnostics_;
    std::unordered_set<Symbol> reported_;
    Scope* main_ = nullptr;
    Scope* scope_ = nullptr;
    int depth_ = 0;    // how many blocks are open, of all functions
};

// ---- What names mean ------------------------------------------------------------------------------------------------

Resolver::Meaning Resolver::global(uint32_t slot) {
    const ModuleScope::Global& found = module_.global(slot);
    return {.slot = slot, .use = {NameKind::global, slot}, .signature = found.signature, .is_function = found.is_function};
}

/// Beyond every function: the script's own names win over imported ones, those over the language's.
Resolver::Meaning Resolver::find_outside(Symbol name, bool functions_only) {
    if (auto slot = module_.find(name); slot && !(functions_only && !module_.global(*slot).is_function)) return global(*slot);
    auto number = module_.find_import(name);
    if (!number && names_.prelude) {
        if (auto found = names_.prelude(name)) number = module_.add_import(*found);
    }
    if (number) {
        const Export& found = module_.imports()[*number];
        if (!functions_only || found.is_function) {
            return {.use = {NameKind::imported, *number}, .signature = found.signature, .is_function = found.is_function};
        }
    }
    if (auto builtin = names_.builtin(name)) return {.use = {NameKind::builtin, builtin->index}, .is_function = true};
    return {};
}

Resolver::Meaning Resolver::find(Symbol name) {
    for (Scope* scope = scope_; scope; scope = scope->parent) {
        if (auto slot = scope->find(name)) {
            const Variable& variable = scope->variables[*slot];
            return {.scope = scope, .slot = *slot, .signature = variable.signature, .is_function = variable.is_function};
        }
        if (!scope->model) continue;
        if (name == symbols::self) return {.use = {NameKind::self, 0}};
        if (auto field = scope->model->field_numbers.find(name); field != scope->model->field_numbers.end()) {
            return {.use = {NameKind::field, field->second}};
        }
        if (auto method = scope->model->method_numbers.find(name); method != scope->model->method_numbers.end()) {
            FunctionDeclaration* declaration = scope->model->methods[method->second];
            return {.use = {NameKind::method, method->second},
                    .signature = declaration->decorators.empty() ? declaration->function : nullptr,
                    .is_function = true};
        }
    }
    return find_outside(name, false);
}

/// What `x.name(…)` may call with `x` as its first argument: a declared function, never a variable.
Resolver::Meaning Resolver::find_function(Symbol name) {
    for (Scope* scope = scope_; scope; scope = scope->parent) {
        auto slot = scope->find(name);
        if (slot && scope->variables[*slot].is_function) return {.scope = scope, .slot = *slot, .is_function = true};
    }
    return find_outside(name, true);
}

void Resolver::use_variable(Scope& owner, uint32_t slot, NameUse& use, Span span, bool is_read) {
    if (&owner == scope_) {
        owner.variables[slot].uses.push_back({&use, span, is_read});
    } else {
        use = {NameKind::captured, scope_->capture(owner, slot)};
    }
}

void Resolver::use_global(uint32_t slot, NameUse& use) {
    bool changes_each_turn = std::ranges::any_of(main_->turns, [&](const Turn& turn) {
        return turn.are_globals && std::ranges::count(turn.variables, slot) != 0;
    });
    if (scope_ == main_ || !changes_each_turn) {
        use = {NameKind::global, slot};
    } else {
        use = {NameKind::captured, scope_->capture_global(*main_, slot, module_.global(slot).name)};
    }
}

void Resolver::use(const Meaning& meaning, NameUse& use, Span span, bool is_read) {
    if (meaning.scope) return use_variable(*meaning.scope, meaning.slot, use, span, is_read);
    if (meaning.use.kind == NameKind::global) return use_global(meaning.use.index, use);
    use = meaning.use;
    if (use.kind == NameKind::self || use.kind == NameKind::field || use.kind == NameKind::method) {
        for (Scope* scope = scope_; scope; scope = scope->parent) {
            scope->function.uses_self = true;
            if (scope->model) break;
        }
    }
}

Resolver::Meaning Resolver::read(Name& name) {
    Meaning meaning = find(name.name);
    if (meaning) use(meaning, name.use, name.span, true);
    else unknown(name.name, name.span);
    return meaning;
}

/// Whether `x += e` may give `x` another value: only where it was made.
bool Resolver::may_rebind(const Meaning& meaning) const {
    if (meaning.scope) return meaning.scope == scope_;
    if (meaning.use.kind == NameKind::global) return scope_ == main_;
    return meaning.use.kind == NameKind::field && scope_->function.kind == FunctionKind::constructor;
}

std::vector<Symbol> Resolver::visible_names() const {
    std::vector<Symbol> result;
    for (Scope* scope = scope_; scope; scope = scope->parent) {
        for (auto [name, slot] : scope->names()) result.push_back(name);
        if (!scope->model) continue;
        for (Symbol field : scope->model->fields) result.push_back(field);
        for (auto [name, number] : scope->model->method_numbers) result.push_back(name);
    }
    for (const ModuleScope::Global& global : module_.globals()) result.push_back(global.name);
    for (const Export& import : module_.imports()) result.push_back(import.name);
    if (names_.all_names) std::ranges::copy(names_.all_names(), std::back_inserter(result));
    return result;
}

void Resolver::unknown(Symbol name, Span span, const char* what) {
    if (!reported_.insert(name).second) return;    // once is enough
    std::string help;
    std::string home = names_.module_of ? names_.module_of(name) : "";
    if (name == symbols::self) {
        help = "`self` is the model in the body and the methods of a `model`";
    } else if (!home.empty()) {
        help = fmt::format("`{}` is in {}: write `use {}` at the top", text(name), home, home);
    } else if (auto nearest = nearest_name(name, visible_names(), symbols_)) {
        help = fmt::format("did you mean `{}`?", text(*nearest));
    } else {
        help = advice_for_foreign_name(text(name));
    }
    complain("name", span, fmt::format("there is no {} `{}`", what, text(name)), std::move(help));
}

// ---- Functions ------------------------------------------------------------------------------------------------------

void Resolver::function(Function& function, Scope* parent, ModelNames* model) {
    Scope scope(function, parent, model);
    function.script = &script_;
    function.parent = parent ? &parent->function : nullptr;
    function.model = model ? model->model : parent ? parent->function.model : nullptr;
    Scope* outer = std::exchange(scope_, &scope);
    parameters();
    if (function.kind == FunctionKind::constructor) {
        for (const Parameter& parameter : function.parameters) scope.hide(parameter.name);    // fields from here on
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
    for (Parameter& parameter : function.parameters) {
        if (parameter.type) type(*parameter.type);
        expression(parameter.default_value);
        if (parameter.name == symbols::self && (function.kind == FunctionKind::method || function.kind == FunctionKind::constructor)) {
            complain("syntax", parameter.span, "`self` is not a parameter here", "methods see `self` without declaring it: leave it out");
        } else if (auto slot = scope_->find(parameter.name)) {
            if (scope_->variables[*slot].parameter) {
                complain("syntax", parameter.span, fmt::format("there are two parameters named `{}`", text(parameter.name)), {},
                         {{scope_->variables[*slot].parameter->span, "the first"}});
            } else {
                complain("syntax", parameter.span,
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
                             fmt::format("`{}` needs a default, because a parameter before it has one", text(parameter.name)),
                             {}, {{with_default->span, "this one"}});
                }
                break;
            case ParameterKind::rest:
                if (rest) complain("syntax", parameter.span, "only one parameter can take the rest", {}, {{rest->span, "the first"}});
                rest = &parameter;
                break;
            case ParameterKind::keywords: keywords = &parameter; break;
        }
        parameter.slot = scope_->declare(parameter.name);
        scope_->variables[parameter.slot].parameter = &parameter;
    }
    if (function.result) type(*function.result);
}

void Resolver::type(TypeNode& type) {
    for (Dimension& entry : type.shape) dimension(entry);
    for (TypeNode* argument : type.arguments) this->type(*argument);
    if (type.kind != TypeKind::model) return;
    if (Meaning meaning = find(type.name)) use(meaning, type.use, type.span, true);
    else unknown(type.name, type.span, "type");
}

/// In a type a name is an earlier parameter, a parameter of the model around, or a size of this signature.
std::optional<uint32_t> Resolver::dimension_variable(Name& name) {
    if (auto slot = scope_->find(name.name); slot && scope_->variables[*slot].parameter) {
        use_variable(*scope_, *slot, name.use, name.span, true);
        return std::nullopt;
    }
    for (Scope* scope = scope_; scope; scope = scope->parent) {
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
                if (known.count == 1 && declaration.decorators.empty()) known.signature = declaration.model->constructor;
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
        if (in_model && (scope_->model->field_numbers.contains(binding.name) || binding.kind == BindingKind::function)) continue;
        Variable& variable = scope_->variables[scope_->declare(binding.name)];
        variable.is_function = known.only_declared;
        variable.signature = known.signature;
    }
    for (const Binding& binding : bindings) {
        if (binding.kind == BindingKind::function) {
            as<FunctionDeclaration>(*binding.declaration).bind_at_line = binding.nested || facts[binding.name].count > 1;
        } else if (binding.kind == BindingKind::model) {
            as<ModelDeclaration>(*binding.declaration).bind_at_line = binding.nested || facts[binding.name].count > 1;
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

/// True if they can be applied as soon as the scope is entered: built-ins with literal arguments.
bool Resolver::decorators(std::span<Expr*> decorators) {
    bool simple = true;
    for (Expr* decorator : decorators) {
        expression(decorator);
        const Expr* callee = decorator;
        if (decorator->kind == ExprKind::call) {
            callee = as<Call>(*decorator).callee;
            for (const Argument& argument : as<Call>(*decorator).arguments.items) simple &= argument.value->is_literal;
        }
        simple &= callee->kind == ExprKind::name && as<Name>(*callee).use.kind == NameKind::builtin;
    }
    return simple;
}

// ---- Models ---------------------------------------------------------------------------------------------------------

ModelNames Resolver::names_of(Model& model) {
    ModelNames names{.model = &model};
    auto add_field = [&](Symbol name) {
        if (names.field_numbers.emplace(name, static_cast<uint32_t>(names.fields.size())).second) names.fields.push_back(name);
    };
    for (const Parameter& parameter : model.constructor->parameters) add_field(parameter.name);
    names.parameter_count = names.fields.size();
    std::vector<Binding> bindings = bindings_of(*model.constructor->body);
    for (const Binding& binding : bindings) {
        switch (binding.kind) {
            case BindingKind::assigned:
            case BindingKind::tensor:
            case BindingKind::custom: add_field(binding.name); break;
            case BindingKind::loop:
            case BindingKind::caught: break;
            case BindingKind::model:
                complain("syntax", binding.span, "a model cannot be declared inside a model", "declare it before, and make one in a field");
                break;
            case BindingKind::function: {
                auto& declaration = as<FunctionDeclaration>(*binding.declaration);
                declaration.function->kind = FunctionKind::method;
                auto number = static_cast<uint32_t>(names.methods.size());
                if (binding.nested) {
                    complain("syntax", binding.span, "a method stands directly in the body of its model");
                } else if (!names.method_numbers.emplace(binding.name, number).second) {
                    Span first = names.methods[names.method_numbers[binding.name]]->function->name_span;
                    complain("syntax", binding.span, fmt::format("`{}` is declared twice", text(binding.name)), {}, {{first, "the first"}});
                } else {
                    names.methods.push_back(&declaration);
                }
                break;
            }
        }
    }
    add_field(symbols::training);    // every model has it: `train()` and `eval()` set it
    for (FunctionDeclaration* method : names.methods) {
        if (!names.field_numbers.contains(method->function->name)) continue;
        complain("syntax", method->function->name_span, fmt::format("`{}` is both a field and a method of this model", text(method->function->name)),
                 "give one of them another name");
    }
    model.fields = arena_.copy(names.fields);
    model.methods = arena_.copy(names.methods);
    return names;
}

void Resolver::model(ModelDeclaration& declaration) {
    declaration.bind_at_line |= !decorators(declaration.decorators);
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
        complain("arity", declaration.backward->name_span, "`backward` takes the context and one gradient for each output",
                 "write `backward(ctx, g) { … }`");
    }
    function(*declaration.backward, scope_, nullptr);
}

// ---- Statements -----------------------------------------------------------------------------------------------------

void Resolver::block(Block* body, bool last_is_used) {
    if (!body) return;
    for (Statement* each : body->statements) {
        statement(*each, last_is_used && each == body->statements.back());
    }
}

void Resolver::statement(Statement& statement, bool is_used) {
    switch (statement.kind) {
        case StatementKind::error:
        case StatementKind::graph_break: return;
        case StatementKind::expression: {
            Expr* value = as<ExpressionStatement>(statement).value;
            expression(value);
            if (!is_used) unused(*value);
            return;
        }
        case StatementKind::assign: {
            auto& assign = as<Assign>(statement);
            expression(assign.value);
            for (Expr* each : assign.targets) target(*each);
            return;
        }
        case StatementKind::update: return update(as<Update>(statement));
        case StatementKind::break_loop: return leave(statement, "break");
        case StatementKind::continue_loop: return leave(statement, "continue");
        case StatementKind::return_value:
            expression(as<Return>(statement).value);
            return leave(statement, "return");
        case StatementKind::assertion:
            expression(as<Assert>(statement).condition);
            return expression(as<Assert>(statement).message);
        case StatementKind::use:
            if (scope_ != main_ || depth_ > 0) {
                complain("syntax", statement.span, "`use` stands at the top of a script, not inside a block");
            }
            return;
        case StatementKind::tensor_declaration: return tensor(as<TensorDeclaration>(statement));
        case StatementKind::if_else:
            for (Branch& branch : as<If>(statement).branches) {
                expression(branch.condition);
                inner_block(branch.body);
            }
            return inner_block(as<If>(statement).otherwise);
        case StatementKind::while_loop:
            expression(as<While>(statement).condition);
            scope_->loops++;
            inner_block(as<While>(statement).body);
            scope_->loops--;
            return;
        case StatementKind::for_loop: return for_loop(as<For>(statement));
        case StatementKind::function_declaration: {
            auto& declaration = as<FunctionDeclaration>(statement);
            if (declaration.function->kind == FunctionKind::method) return;    // resolved with its model
            use(find(declaration.function->name), declaration.target, declaration.function->name_span, false);
            declaration.bind_at_line |= !decorators(declaration.decorators);
            return function(*declaration.function, scope_, nullptr);
        }
        case StatementKind::custom_declaration: {
            auto& declaration = as<CustomDeclaration>(statement);
            use(find(declaration.name), declaration.target, declaration.span, false);
            return custom(declaration);
        }
        case StatementKind::model_declaration: {
            auto& declaration = as<ModelDeclaration>(statement);
            use(find(declaration.model->name), declaration.target, declaration.model->name_span, false);
            return model(declaration);
        }
        case StatementKind::test:
            if (scope_ != main_) complain("syntax", statement.span, "a test stands at the top level of a script");
            return function(*as<Test>(statement).body, scope_, nullptr);
        case StatementKind::try_catch: {
            auto& attempt = as<Try>(statement);
            inner_block(attempt.body);
            target(*attempt.error);
            return inner_block(attempt.handler);
        }
    }
}

void Resolver::inner_block(Block* body, bool last_is_used) {
    depth_++;
    block(body, last_is_used);
    depth_--;
}

/// A statement that is only a value must be a call.
void Resolver::unused(const Expr& value) {
    std::string help;
    switch (value.kind) {
        case ExprKind::call:
        case ExprKind::method_call:
        case ExprKind::scope_block:
        case ExprKind::error: return;
        case ExprKind::name: help = fmt::format("to call it, write `{}()`", text(as<Name>(value).name)); break;
        case ExprKind::attribute: help = fmt::format("to call it, write `.{}()`", text(as<Attribute>(value).name)); break;
        case ExprKind::comparison: help = "to assign, write `=`; to check, write `assert`"; break;
        case ExprKind::string: help = "comments begin with `#`"; break;
        default: help = "assign it, print it, or remove it"; break;
    }
    bool in_function = scope_ != main_ && scope_->function.kind != FunctionKind::constructor && scope_->function.kind != FunctionKind::test;
    if (in_function && scope_->function.body && !scope_->function.body->statements.empty()) {
        const Statement* last = scope_->function.body->statements.back();
        bool is_last = last->kind == StatementKind::expression && as<ExpressionStatement>(*last).value == &value;
        if (is_last) help = "a function's value is what it returns: write `return`";
    }
    complain("syntax", value.span, "this value is not used", std::move(help));
}

void Resolver::leave(const Statement& statement, const char* word) {
    bool is_return = statement.kind == StatementKind::return_value;
    if (scope_->checkpoints > 0 && (is_return || scope_->loops == 0)) {
        complain("syntax", statement.span, fmt::format("`{}` cannot leave a checkpoint", word),
                 "a checkpoint is run again in the backward pass: let its last expression be its value");
    } else if (!is_return && scope_->loops == 0) {
        complain("syntax", statement.span, fmt::format("`{}` stands outside of a loop", word));
    } else if (is_return && scope_ == main_) {
        complain("syntax", statement.span, "`return` stands outside of a function");
    } else if (is_return && scope_->function.kind == FunctionKind::constructor) {
        complain("syntax", statement.span, "the body of a model returns nothing", "it makes the fields; what a call computes is `fn forward`");
    }
}

void Resolver::update(Update& update) {
    expression(update.value);
    update.may_rebind = true;
    if (update.target->kind != ExprKind::name) return expression(update.target);
    Name& name = as<Name>(*update.target);
    Meaning meaning = read(name);
    if (!meaning) return;
    update.may_rebind = may_rebind(meaning);
    NameKind kind = meaning.use.kind;
    if (!meaning.scope && (kind == NameKind::builtin || kind == NameKind::imported || kind == NameKind::method || kind == NameKind::self)) {
        complain("name", name.span, fmt::format("`{}` is not a variable of this script", text(name.name)),
                 "assign to a name of your own first");
    }
}

void Resolver::tensor(TensorDeclaration& declaration) {
    expression(declaration.value);
    if (declaration.type) {
        auto names = scope_->names();
        type(*declaration.type);
        scope_->restore(std::move(names));    // its sizes are no names of the body
    }
    target(*declaration.target);
}

/// The names of a loop's target, as variables that a closure in its body may refer to.
Turn Resolver::turn_of(const Expr& expr) {
    Turn turn{.are_globals = scope_ == main_};
    for_each_name(expr, [&](const Name& name) {
        Meaning meaning = find(name.name);
        if (meaning.scope == scope_) {
            turn.are_globals = false;
            turn.variables.push_back(meaning.slot);
        } else if (!meaning.scope && meaning.use.kind == NameKind::global) {
            turn.variables.push_back(meaning.use.index);
        }
    });
    return turn;
}

std::span<NameUse> Resolver::end_turn() {
    std::vector<NameUse> fresh;
    const Turn& turn = scope_->turns.back();
    for (uint32_t variable : turn.captured) fresh.push_back({turn.are_globals ? NameKind::global : NameKind::cell, variable});
    scope_->turns.pop_back();
    return arena_.copy(fresh);
}

void Resolver::for_loop(For& loop) {
    expression(loop.iterable);
    target(*loop.target);
    scope_->turns.push_back(turn_of(*loop.target));
    scope_->loops++;
    inner_block(loop.body);
    scope_->loops--;
    loop.fresh = end_turn();
}

/// What is assigned to. A name was declared when its body was looked through.
void Resolver::target(Expr& expr) {
    switch (expr.kind) {
        case ExprKind::name: {
            Name& name = as<Name>(expr);
            Meaning meaning = find(name.name);
            if (!may_rebind(meaning)) {    // assigned in a block inside a default or a decorator
                meaning = {.scope = scope_, .slot = scope_->declare(name.name)};
            }
            return use(meaning, name.use, name.span, false);
        }
        case ExprKind::tuple:
        case ExprKind::list:
            for (Expr* item : as<Sequence>(expr).items) target(*item);
            return;
        case ExprKind::spread: return target(*as<Spread>(expr).value);
        default: return expression(&expr);
    }
}

// ---- Expressions ----------------------------------------------------------------------------------------------------

void Resolver::expression(Expr* expr) {
    if (!expr) return;
    switch (expr->kind) {
        case ExprKind::name: read(as<Name>(*expr)); return;
        case ExprKind::function: return function(*as<Lambda>(*expr).function, scope_, nullptr);
        case ExprKind::comprehension: return comprehension(as<Comprehension>(*expr));
        case ExprKind::call: return call(as<Call>(*expr));
        case ExprKind::method_call: {
            auto& call = as<MethodCall>(*expr);
            expression(call.receiver);
            arguments(call.arguments);
            if (Meaning meaning = find_function(call.name)) use(meaning, call.function, call.name_span, true);
            return;
        }
        case ExprKind::scope_block: return scope_block(as<ScopeBlock>(*expr));
        case ExprKind::index:
            if (as<Index>(*expr).items.empty()) {
                complain("syntax", expr->span, "the index is missing", "write `x[0]`, or `x[:]` for all");
            }
            break;
        default: break;
    }
    for_each_child(*expr, [&](Expr& child) { expression(&child); });
}

void Resolver::arguments(const Arguments& list) {
    std::unordered_set<Symbol> given;
    for (const Argument& argument : list.items) {
        if (argument.kind == ArgumentKind::keyword && !given.insert(argument.name).second) {
            complain("arity", argument.span, fmt::format("`{}` is given twice", text(argument.name)));
        }
        expression(argument.value);
    }
}

void Resolver::call(Call& call) {
    Meaning meaning;
    if (call.callee->kind == ExprKind::name) meaning = read(as<Name>(*call.callee));
    else expression(call.callee);
    arguments(call.arguments);
    if (!meaning.signature) return;
    if (auto problem = check_call(*meaning.signature, call.arguments, call.span, symbols_)) add(std::move(*problem));
}

void Resolver::comprehension(Comprehension& expr) {
    auto names = scope_->names();
    for (ComprehensionClause& clause : expr.clauses) {
        expression(clause.iterable);
        for_each_name(*clause.target, [&](const Name& name) { scope_->declare(name.name); });
        target(*clause.target);
        scope_->turns.push_back(turn_of(*clause.target));
        for (Expr* condition : clause.conditions) expression(condition);
    }
    expression(expr.key);
    expression(expr.value);
    for (size_t i = expr.clauses.size(); i-- > 0;) expr.clauses[i].fresh = end_turn();
    scope_->restore(std::move(names));
}

void Resolver::scope_block(ScopeBlock& expr) {
    Meaning meaning = find(expr.name);
    auto builtin = meaning.use.kind == NameKind::builtin ? names_.builtin(expr.name) : std::nullopt;
    if (!meaning) {
        unknown(expr.name, expr.name_span);
    } else if (!builtin || !builtin->takes_block) {
        complain("syntax", expr.name_span, fmt::format("`{}` takes no block", text(expr.name)),
                 "blocks belong to `checkpoint`, `annotate`, `no_grad`, `device(…)` and their like");
    } else {
        expr.use = meaning.use;
    }
    arguments(expr.arguments);
    bool is_checkpoint = builtin && expr.name == symbols::checkpoint;
    int loops = scope_->loops;
    if (is_checkpoint) {
        scope_->loops = 0;
        scope_->checkpoints++;
    }
    inner_block(expr.body, true);
    if (!is_checkpoint) return;
    scope_->checkpoints--;
    scope_->loops = loops;
    PendingOutputs outputs{.block = &expr};
    std::unordered_set<Symbol> seen;
    for (const Binding& binding : bindings_of(*expr.body)) {
        if (!seen.insert(binding.name).second) continue;
        Meaning assigned = find(binding.name);
        if (assigned.scope == scope_) outputs.variables.push_back(assigned.slot);
        else if (may_rebind(assigned)) outputs.others.push_back(assigned.use);
    }
    scope_->outputs.push_back(std::move(outputs));
}

// ---- The script -----------------------------------------------------------------------------------------------------

void Resolver::load(UseItem& item) {
    if (!names_.load) return complain("name", item.span, "nothing can be loaded here");
    try {
        for (const Export& name : names_.load(item)) module_.add_import(name);
    } catch (Error& error) {
        if (!error.diagnostic.span) error.diagnostic.span = item.span;
        diagnostics_.push_back({item.span.begin, std::move(error.diagnostic)});
    }
}

std::vector<Diagnostic> Resolver::run() {
    for (Statement* each : script_.main->body->statements) {
        if (each->kind != StatementKind::use) continue;
        for (UseItem& item : as<Use>(*each).items) load(item);
    }
    Function& function = *script_.main;
    Scope main(function, nullptr, nullptr);
    main_ = scope_ = &main;
    function.script = &script_;
    std::vector<Binding> bindings = bindings_of(*function.body);
    declare(bindings);
    hoist(bindings);
    block(function.body, options_.interactive);
    main.finish(arena_);

    std::ranges::stable_sort(diagnostics_, {}, [](const Found& found) { return found.position; });
    std::vector<Diagnostic> result;
    for (Found& found : diagnostics_) result.push_back(std::move(found.diagnostic));
    return result;
}

}  // namespace

std::vector<Diagnostic> resolve(Script& script, ModuleScope& scope, const NameSource& names, SymbolTable& symbols,
                                Arena& arena, const ResolveOptions& options) {
    return Resolver(script, scope, names, symbols, arena, options).run();
}

}  // namespace tenon
