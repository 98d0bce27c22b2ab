// Statements and declarations.
#include <fmt/format.h>
#include <algorithm>

#include "frontend/syntax/tree_builder.h"
#include "frontend/syntax/tree_depth.h"

namespace tenon {

using namespace ast;

StatementBuilder::StatementBuilder(NodeBuilder& nodes, ExpressionBuilder& expressions)
    : nodes_(nodes), arena_(nodes.arena()), expressions_(expressions) {
    script_ = arena_.make<Script>(Script{nodes.source(), nullptr});
    finish({});
}

void StatementBuilder::finish(const StatementList& statements) {
    const Span span = nodes_.everything();
    Function main{.kind = FunctionKind::script, .name = Symbol::none, .span = span, .name_span = span};
    main.body = expressions_.block(statements, span);
    script_->main = arena_.make<Function>(main);
}

template <class Node> Node* StatementBuilder::statement(Node node, int children_depth) {
    node.depth = nodes_.height(children_depth, node.span);
    return arena_.make<Node>(node);
}

Statement* StatementBuilder::error_statement(Span span) { return plain_statement(StatementKind::error, span); }

Statement* StatementBuilder::plain_statement(StatementKind kind, Span span) {
    return arena_.make<Statement>(Statement{kind, 1, span});
}

Statement* StatementBuilder::expression_statement(Expr* value, Span span) {
    return statement(ExpressionStatement{{StatementKind::expression, 1, span}, value}, depth_of(value));
}

Statement* StatementBuilder::assign(const ExprList& targets, Expr* value, Span span) {
    return statement(Assign{{StatementKind::assign, 1, span}, arena_.copy(targets), value},
                     std::max(depth_of(targets), depth_of(value)));
}

Statement* StatementBuilder::update(Expr* expr, BinaryOperator op, Expr* value, Span span) {
    if (expr->kind == ExprKind::tuple || expr->kind == ExprKind::list) {
        nodes_.complain(expr->span, fmt::format("`{}=` changes one thing, and this is several", spelling(op)));
    } else {
        expressions_.target(expr);
    }
    return statement(Update{{StatementKind::update, 1, span}, op, expr, value, false},
                     std::max(depth_of(expr), depth_of(value)));
}

Statement* StatementBuilder::return_value(Expr* value, Span span) {
    return statement(Return{{StatementKind::return_value, 1, span}, value}, depth_of(value));
}

Statement* StatementBuilder::assertion(Expr* condition, Expr* message, Span span) {
    return statement(Assert{{StatementKind::assertion, 1, span}, condition, message},
                     std::max(depth_of(condition), depth_of(message)));
}

Statement* StatementBuilder::graph_break(Symbol reason, Span span) {
    return statement(GraphBreak{{StatementKind::graph_break, 1, span}, reason}, 0);
}

Statement* StatementBuilder::use(const UseVector& items, Span span) {
    return statement(Use{{StatementKind::use, 1, span}, arena_.copy(items)}, 0);
}

UseItem StatementBuilder::use_module(const std::string& path, Span span) { return {false, nodes_.intern(path), span}; }

Statement* StatementBuilder::tensor(bool is_buffer, Symbol variable, Span name_span, TypeNode* type, Expr* value,
                                    Span span) {
    auto* target = static_cast<Name*>(expressions_.name(variable, name_span));
    return statement(
        TensorDeclaration{{StatementKind::tensor_declaration, 1, span}, is_buffer, false, target, type, value},
        std::max(depth_of(type), depth_of(value)));
}

Statement* StatementBuilder::tensor_pack(bool is_buffer, Symbol variable, Span name_span, Expr* value, Span span) {
    auto* target = static_cast<Name*>(expressions_.name(variable, name_span));
    return statement(
        TensorDeclaration{{StatementKind::tensor_declaration, 1, span}, is_buffer, true, target, nullptr, value},
        depth_of(value));
}

Statement* StatementBuilder::if_else(Expr* condition, Block* body, Span span) {
    return statement(If{{StatementKind::if_else, 1, span}, arena_.copy(std::vector{Branch{condition, body}}), nullptr},
                     std::max(depth_of(condition), depth_of(body)));
}

Statement* StatementBuilder::else_if(Statement* chain, Expr* condition, Block* body, Span span) {
    auto& so_far = as<If>(*chain);
    std::vector<Branch> branches(so_far.branches.begin(), so_far.branches.end());
    if (branches.size() >= 1000) {
        nodes_.complain(condition->span, "this `if` has more than 1000 branches",
                        "a dict of functions is a shorter way to choose");
        return chain;
    }
    branches.push_back({condition, body});
    so_far.branches = arena_.copy(branches);
    so_far.span = span;
    so_far.depth = std::max(so_far.depth, nodes_.height(std::max(depth_of(condition), depth_of(body)), span));
    return chain;
}

Statement* StatementBuilder::otherwise(Statement* chain, Block* body, Span span) {
    auto& so_far = as<If>(*chain);
    so_far.otherwise = body;
    so_far.span = span;
    so_far.depth = std::max(so_far.depth, nodes_.height(depth_of(body), span));
    return chain;
}

Statement* StatementBuilder::while_loop(Expr* condition, Block* body, Span span) {
    return statement(While{{StatementKind::while_loop, 1, span}, condition, body},
                     std::max(depth_of(condition), depth_of(body)));
}

Statement* StatementBuilder::for_loop(Expr* variables, Expr* iterable, Block* body, Span span) {
    return statement(For{{StatementKind::for_loop, 1, span}, expressions_.target(variables), iterable, body, {}},
                     std::max({depth_of(variables), depth_of(iterable), depth_of(body)}));
}

Statement* StatementBuilder::try_catch(Block* body, Symbol variable, Span name_span, Block* handler, Span span) {
    return statement(Try{{StatementKind::try_catch, 1, span},
                         body,
                         static_cast<Name*>(expressions_.name(variable, name_span)),
                         handler},
                     std::max(depth_of(body), depth_of(handler)));
}

Statement* StatementBuilder::test(Symbol name, Span name_span, Block* body, Span span) {
    Function* function =
        expressions_.make_function(FunctionKind::test, name, name_span, {}, nullptr, body, nullptr, span);
    return statement(Test{{StatementKind::test, 1, span}, name, function}, function->depth);
}

Statement* StatementBuilder::decorate(Statement* declaration, const ExprList& decorators, Span span) {
    std::span<Expr*> list = arena_.copy(decorators);
    switch (declaration->kind) {
        case StatementKind::function_declaration: as<FunctionDeclaration>(*declaration).decorators = list; break;
        case StatementKind::custom_declaration: as<CustomDeclaration>(*declaration).decorators = list; break;
        case StatementKind::model_declaration: as<ModelDeclaration>(*declaration).decorators = list; break;
        default: return declaration;
    }
    declaration->span = span;
    declaration->depth = std::max(declaration->depth, nodes_.height(depth_of(decorators), span));
    return declaration;
}

Statement* StatementBuilder::declare(Function* function, Span span) {
    return statement(FunctionDeclaration{{StatementKind::function_declaration, 1, span}, function, {}, {}, false},
                     function->depth);
}

Statement* StatementBuilder::function(Symbol name, Span name_span, const ParameterVector& parameters, TypeNode* result,
                                      Block* body, Span span) {
    return declare(
        expressions_.make_function(FunctionKind::named, name, name_span, parameters, result, body, nullptr, span),
        span);
}

Statement* StatementBuilder::function(Symbol name, Span name_span, const ParameterVector& parameters, TypeNode* result,
                                      Expr* value, Span span) {
    return declare(
        expressions_.make_function(FunctionKind::named, name, name_span, parameters, result, nullptr, value, span),
        span);
}

Statement* StatementBuilder::custom(Symbol name, Span name_span, const ParameterVector& parameters, TypeNode* result,
                                    const MemberVector& members, Span span) {
    Function *forward = nullptr, *backward = nullptr;
    for (Function* member : members) {
        bool is_forward = member->name == symbols::forward;
        if (!is_forward && member->name != symbols::backward) {
            nodes_.complain(member->name_span,
                            fmt::format("a custom function has no part named `{}`", nodes_.text(member->name)),
                            "its parts are `forward(ctx) { … }` and `backward(ctx, g) { … }`");
            return error_statement(span);
        }
        Function*& place = is_forward ? forward : backward;
        if (place) nodes_.complain(member->name_span, fmt::format("`{}` is given twice", nodes_.text(member->name)));
        place = member;
    }
    if (!forward || !backward) {
        nodes_.complain(
            name_span,
            fmt::format("the custom function `{}` has no `{}`", nodes_.text(name), forward ? "backward" : "forward"),
            "its parts are `forward(ctx) { … }` and `backward(ctx, g) { … }`");
        return error_statement(span);
    }
    if (forward->parameters.size() != 1) {
        nodes_.complain(forward->name_span, "`forward` has one parameter, the context",
                        "it sees the parameters of the custom function by their names: `forward(ctx) { … }`");
        return error_statement(span);
    }
    ParameterVector all{forward->parameters[0]};
    all.insert(all.end(), parameters.begin(), parameters.end());
    forward = expressions_.make_function(FunctionKind::custom_forward, name, name_span, all, result, forward->body,
                                         nullptr, forward->span);
    backward->kind = FunctionKind::custom_backward;
    backward->name = name;
    return statement(CustomDeclaration{{StatementKind::custom_declaration, 1, span}, name, forward, backward, {}, {}},
                     std::max(forward->depth, backward->depth));
}

Function* StatementBuilder::member(Symbol name, Span name_span, const ParameterVector& parameters, Block* body,
                                   Span span) {
    return expressions_.make_function(FunctionKind::custom_backward, name, name_span, parameters, nullptr, body,
                                      nullptr, span);
}

Statement* StatementBuilder::model(Symbol name, Span name_span, const ParameterVector& parameters, Block* body,
                                   Span span) {
    Function* constructor = expressions_.make_function(FunctionKind::constructor, name, name_span, parameters, nullptr,
                                                       body, nullptr, span);
    auto* model = arena_.make<Model>(Model{name, name_span, constructor, {}, {}, {}});
    return statement(ModelDeclaration{{StatementKind::model_declaration, 1, span}, model, {}, {}, false},
                     constructor->depth);
}

Parameter StatementBuilder::parameter(Symbol name, TypeNode* type, Expr* default_value, Span span) {
    return {ParameterKind::plain, false, false, name, type, default_value, span};
}

Parameter StatementBuilder::parameter(ParameterKind kind, Symbol name, Span span) {
    return {kind, false, false, name, nullptr, nullptr, span};
}

}  // namespace tenon
