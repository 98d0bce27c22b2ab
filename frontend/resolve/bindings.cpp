#include "frontend/resolve/bindings.h"

#include <utility>

#include "frontend/syntax/ast_walk.h"

namespace tenon {

using namespace ast;

namespace {

class Collector {
public:
    std::vector<Binding> found;

    void block(const Block* body, bool nested) {
        if (!body) return;
        bool outer = std::exchange(nested_, nested);
        for (Statement* statement : body->statements) visit(*statement);
        nested_ = outer;
    }

private:
    void add(Symbol name, BindingKind kind, Span span, Statement* declaration = nullptr) {
        found.push_back({name, kind, nested_, span, declaration});
    }

    void target(Expr& expr, BindingKind kind) {
        for_each_name(expr, [&](Name& name) { add(name.name, kind, name.span); });
    }

public:
    void expression(Expr* expr) {
        if (!expr) return;
        for_each_child(*expr, [&](Expr& child) { expression(&child); });
        if (expr->kind == ExprKind::scope_block) block(as<ScopeBlock>(*expr).body, true);
    }

private:
    void visit(Statement& statement) {
        switch (statement.kind) {
            case StatementKind::expression: return expression(as<ExpressionStatement>(statement).value);
            case StatementKind::assign: {
                auto& assign = as<Assign>(statement);
                for (Expr* each : assign.targets) {
                    target(*each, BindingKind::assigned);
                    expression(each);
                }
                return expression(assign.value);
            }
            case StatementKind::update:
                expression(as<Update>(statement).target);
                return expression(as<Update>(statement).value);
            case StatementKind::return_value: return expression(as<Return>(statement).value);
            case StatementKind::assertion:
                expression(as<Assert>(statement).condition);
                return expression(as<Assert>(statement).message);
            case StatementKind::tensor_declaration: {
                auto& tensor = as<TensorDeclaration>(statement);
                add(tensor.target->name, tensor.is_pack ? BindingKind::pack : BindingKind::tensor, tensor.target->span);
                return expression(tensor.value);
            }
            case StatementKind::if_else:
                for (Branch& branch : as<If>(statement).branches) {
                    expression(branch.condition);
                    block(branch.body, true);
                }
                return block(as<If>(statement).otherwise, true);
            case StatementKind::while_loop:
                expression(as<While>(statement).condition);
                return block(as<While>(statement).body, true);
            case StatementKind::for_loop:
                expression(as<For>(statement).iterable);
                target(*as<For>(statement).target, BindingKind::loop);
                return block(as<For>(statement).body, true);
            case StatementKind::try_catch: {
                auto& attempt = as<Try>(statement);
                block(attempt.body, true);
                add(attempt.error->name, BindingKind::caught, attempt.error->span);
                return block(attempt.handler, true);
            }
            case StatementKind::function_declaration: {
                auto& declaration = as<FunctionDeclaration>(statement);
                return add(declaration.function->name, BindingKind::function, declaration.function->name_span,
                           &statement);
            }
            case StatementKind::custom_declaration:
                return add(as<CustomDeclaration>(statement).name, BindingKind::custom, statement.span, &statement);
            case StatementKind::model_declaration: {
                Model& model = *as<ModelDeclaration>(statement).model;
                return add(model.name, BindingKind::model, model.name_span, &statement);
            }
            case StatementKind::error:
            case StatementKind::break_loop:
            case StatementKind::continue_loop:
            case StatementKind::graph_break:
            case StatementKind::use:
            case StatementKind::test: return;
        }
    }

    bool nested_ = false;
};

}  // namespace

std::vector<Binding> bindings_of(const Block& body) {
    Collector collector;
    collector.block(&body, false);
    return std::move(collector.found);
}

std::vector<Binding> bindings_of(Expr& value) {
    Collector collector;
    collector.expression(&value);
    return std::move(collector.found);
}

}  // namespace tenon
