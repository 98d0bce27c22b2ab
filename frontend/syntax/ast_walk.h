// Going through the children of a syntax tree's nodes, for those who treat most nodes alike.
#pragma once

#include "frontend/syntax/ast.h"

namespace tenon::ast {

/// Calls `visit(Expr&)` for every expression directly below, in the order of the text. Bodies of functions and blocks
/// are not expressions: a ScopeBlock's body and a Lambda's function are left to the caller.
template <class Visitor> void for_each_child(Expr& expr, Visitor&& visit) {
    auto maybe = [&](Expr* child) {
        if (child) visit(*child);
    };
    auto arguments = [&](const Arguments& list) {
        for (const Argument& argument : list.items) visit(*argument.value);
    };
    switch (expr.kind) {
        case ExprKind::error:
        case ExprKind::none:
        case ExprKind::ellipsis:
        case ExprKind::boolean:
        case ExprKind::integer:
        case ExprKind::floating:
        case ExprKind::string:
        case ExprKind::name:
        case ExprKind::function: break;
        case ExprKind::f_string:
            for (FStringPart& part : as<FString>(expr).parts) {
                maybe(part.value);
                for (FStringPart& inner : part.spec) maybe(inner.value);
            }
            break;
        case ExprKind::tuple:
        case ExprKind::list:
            for (Expr* item : as<Sequence>(expr).items) visit(*item);
            break;
        case ExprKind::dict:
            for (DictEntry& entry : as<Dict>(expr).entries) {
                maybe(entry.key);
                visit(*entry.value);
            }
            break;
        case ExprKind::comprehension:
            maybe(as<Comprehension>(expr).key);
            visit(*as<Comprehension>(expr).value);
            for (ComprehensionClause& clause : as<Comprehension>(expr).clauses) {
                visit(*clause.target);
                visit(*clause.iterable);
                for (Expr* condition : clause.conditions) visit(*condition);
            }
            break;
        case ExprKind::unary: visit(*as<Unary>(expr).operand); break;
        case ExprKind::binary:
            visit(*as<Binary>(expr).left);
            visit(*as<Binary>(expr).right);
            break;
        case ExprKind::logical:
            visit(*as<Logical>(expr).left);
            visit(*as<Logical>(expr).right);
            break;
        case ExprKind::comparison:
            visit(*as<Comparison>(expr).first);
            for (ComparisonLink& link : as<Comparison>(expr).links) visit(*link.operand);
            break;
        case ExprKind::conditional:
            visit(*as<Conditional>(expr).yes);
            visit(*as<Conditional>(expr).condition);
            visit(*as<Conditional>(expr).no);
            break;
        case ExprKind::call:
            visit(*as<Call>(expr).callee);
            arguments(as<Call>(expr).arguments);
            break;
        case ExprKind::method_call:
            visit(*as<MethodCall>(expr).receiver);
            arguments(as<MethodCall>(expr).arguments);
            break;
        case ExprKind::attribute: visit(*as<Attribute>(expr).object); break;
        case ExprKind::index:
            visit(*as<Index>(expr).object);
            for (Expr* item : as<Index>(expr).items) visit(*item);
            break;
        case ExprKind::slice:
            maybe(as<Slice>(expr).low);
            maybe(as<Slice>(expr).high);
            maybe(as<Slice>(expr).step);
            break;
        case ExprKind::spread: visit(*as<Spread>(expr).value); break;
        case ExprKind::scope_block: arguments(as<ScopeBlock>(expr).arguments); break;
    }
}

/// Calls `visit(Name&)` for every name that assigning to the target would set.
template <class Target, class Visitor> void for_each_name(Target& target, Visitor&& visit) {
    switch (target.kind) {
        case ExprKind::name: visit(as<Name>(target)); break;
        case ExprKind::tuple:
        case ExprKind::list:
            for (Expr* item : as<Sequence>(target).items) for_each_name(*item, visit);
            break;
        case ExprKind::spread: for_each_name(*as<Spread>(target).value, visit); break;
        default: break;
    }
}

/// Calls `visit(Expr&)` for every expression of the block's statements, of inner ones too, also of blocks inside
/// expressions; not of the bodies of functions, models and tests.
template <class Visitor> void for_each_expression(const Block& block, Visitor&& visit);

template <class Visitor> void for_each_expression(Expr& expr, Visitor&& visit) {
    visit(expr);
    for_each_child(expr, [&](Expr& child) { for_each_expression(child, visit); });
    if (expr.kind == ExprKind::scope_block) for_each_expression(*as<ScopeBlock>(expr).body, visit);
}

template <class Visitor> void for_each_expression(const Statement& statement, Visitor&& visit) {
    const auto one = [&](Expr* expr) {
        if (expr) for_each_expression(*expr, visit);
    };
    const auto block = [&](const Block* body) {
        if (body) for_each_expression(*body, visit);
    };
    const auto all = [&](std::span<Expr* const> exprs) {
        for (Expr* expr : exprs) one(expr);
    };
    switch (statement.kind) {
        case StatementKind::expression: return one(as<ExpressionStatement>(statement).value);
        case StatementKind::assign: all(as<Assign>(statement).targets); return one(as<Assign>(statement).value);
        case StatementKind::update: one(as<Update>(statement).target); return one(as<Update>(statement).value);
        case StatementKind::return_value: return one(as<Return>(statement).value);
        case StatementKind::assertion: one(as<Assert>(statement).condition); return one(as<Assert>(statement).message);
        case StatementKind::tensor_declaration:
            one(as<TensorDeclaration>(statement).target);
            return one(as<TensorDeclaration>(statement).value);
        case StatementKind::if_else:
            for (const Branch& branch : as<If>(statement).branches) {
                one(branch.condition);
                block(branch.body);
            }
            return block(as<If>(statement).otherwise);
        case StatementKind::while_loop: one(as<While>(statement).condition); return block(as<While>(statement).body);
        case StatementKind::for_loop:
            one(as<For>(statement).target);
            one(as<For>(statement).iterable);
            return block(as<For>(statement).body);
        case StatementKind::try_catch:
            block(as<Try>(statement).body);
            one(as<Try>(statement).error);
            return block(as<Try>(statement).handler);
        case StatementKind::function_declaration: return all(as<FunctionDeclaration>(statement).decorators);
        case StatementKind::model_declaration: return all(as<ModelDeclaration>(statement).decorators);
        default: return;
    }
}

template <class Visitor> void for_each_expression(const Block& block, Visitor&& visit) {
    for (const Statement* statement : block.statements) for_each_expression(*statement, visit);
}

}  // namespace tenon::ast
