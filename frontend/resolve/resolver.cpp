// Statements and expressions, and the script as a whole.
#include "frontend/resolve/resolver_pass.h"

#include <fmt/format.h>
#include <algorithm>

#include "frontend/resolve/call_check.h"
#include "frontend/resolve/suggestions.h"
#include "frontend/syntax/ast_walk.h"

namespace tenon {

using namespace ast;

void Resolver::block(Block* body, bool last_is_used) {
    if (!body) return;
    for (Statement* each : body->statements) { statement(*each, last_is_used && each == body->statements.back()); }
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
        case StatementKind::return_value: expression(as<Return>(statement).value); return leave(statement, "return");
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
            if (declaration.function->kind == FunctionKind::method) return;  // resolved with its model
            use(find(declaration.function->name), declaration.target, declaration.function->name_span, false);
            decorators(declaration.decorators);
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
        case ExprKind::attribute:
            help = fmt::format("to call it, write `.{}()`", text(as<Attribute>(value).name));
            break;
        case ExprKind::comparison: help = "to assign, write `=`; to check, write `assert`"; break;
        case ExprKind::string: help = "comments begin with `#`"; break;
        default: help = "assign it, print it, or remove it"; break;
    }
    bool in_function = scope_ != main_ && scope_->function.kind != FunctionKind::constructor &&
                       scope_->function.kind != FunctionKind::test;
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
    } else if (is_return && scope_->in_parameters) {
        complain("syntax", statement.span, "`return` cannot leave the default of a parameter",
                 "the last expression of the block is the default");
    } else if (is_return && scope_ == main_) {
        complain("syntax", statement.span, "`return` stands outside of a function");
    } else if (is_return && scope_->function.kind == FunctionKind::constructor) {
        complain("syntax", statement.span, "the body of a model returns nothing",
                 "it makes the fields; what a call computes is `fn forward`");
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
    if (!meaning.scope && (kind == NameKind::builtin || kind == NameKind::imported || kind == NameKind::method ||
                           kind == NameKind::self)) {
        complain("name", name.span, fmt::format("`{}` is not a variable of this script", text(name.name)),
                 "assign to a name of your own first");
    }
}

void Resolver::tensor(TensorDeclaration& declaration) {
    expression(declaration.value);
    if (declaration.type) {
        auto names = scope_->names();
        type(*declaration.type);
        scope_->restore(std::move(names));  // its sizes are no names of the body
    }
    target(*declaration.target);
    if (declaration.is_pack && declaration.target->use.kind != NameKind::field)
        complain("syntax", declaration.span, "a pack of params or buffers belongs to a model",
                 "write it directly in the body of the model");
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
    for (uint32_t variable : turn.captured)
        fresh.push_back({turn.are_globals ? NameKind::global : NameKind::cell, variable});
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
            if (!may_rebind(meaning)) {  // assigned in a block inside a default or a decorator
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
    if (meaning.use.kind == NameKind::builtin && as<Name>(*call.callee).name == symbols::annotate)
        annotation_keys(call.arguments);  // the decorator
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

// Any key may be a script's own, but one that is almost a key of the compiler would silently do nothing.
void Resolver::annotation_keys(const ast::Arguments& list) {
    for (const Argument& argument : list.items) {
        if (argument.kind != ArgumentKind::keyword) continue;
        const std::string& key = text(argument.name);
        const std::string_view meant = misspelt_annotation_key(key);
        if (meant.empty()) continue;
        complain(
            "name", argument.span,
            fmt::format("the annotation `{}` is almost `{}`, which the compiler reads", key, meant),
            fmt::format("write `{}: …`; a key of your own can be given as `annotate(**{{\"{}\": …}})`", meant, key));
    }
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
    if (builtin && expr.name == symbols::annotate) annotation_keys(expr.arguments);
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
    NameScope main(function, nullptr, nullptr);
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

std::vector<Diagnostic> resolve(Script& script, ModuleScope& scope, const NameSource& names, SymbolTable& symbols,
                                Arena& arena, const ResolveOptions& options) {
    return Resolver(script, scope, names, symbols, arena, options).run();
}

}  // namespace tenon