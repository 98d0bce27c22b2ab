// What the actions of grammar/parser.yy make: nodes in an arena, each told its place and height.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "frontend/syntax/arena.h"
#include "frontend/syntax/ast.h"
#include "frontend/syntax/source_map.h"
#include "frontend/syntax/syntax_errors.h"

namespace tenon {

using ExprList = std::vector<ast::Expr*>;
using StatementList = std::vector<ast::Statement*>;
using ArgumentVector = std::vector<ast::Argument>;
using EntryVector = std::vector<ast::DictEntry>;
using ClauseVector = std::vector<ast::ComprehensionClause>;
using PartVector = std::vector<ast::FStringPart>;
using ParameterVector = std::vector<ast::Parameter>;
using TypeList = std::vector<ast::TypeNode*>;
using UseVector = std::vector<ast::UseItem>;
using MemberVector = std::vector<ast::Function*>;

/// The place of a rule: from its first symbol to its last, but an empty one at an end does not count.
Span cover_rule(Span first, Span last);
/// The place of an empty rule: just after what precedes it.
Span after(Span previous);

/// What the builders below share: where nodes live, how high they stand, and where errors go.
class NodeBuilder {
public:
    NodeBuilder(SourceId source, const SourceMap& sources, SymbolTable& symbols, Arena& arena, SyntaxErrors& errors)
        : source_(source), sources_(sources), symbols_(symbols), arena_(arena), errors_(errors) {}
    NodeBuilder(const NodeBuilder&) = delete;
    NodeBuilder& operator=(const NodeBuilder&) = delete;

    Arena& arena() { return arena_; }
    SourceId source() const { return source_; }
    /// The place of the whole text.
    Span everything() const { return {source_, 0, static_cast<uint32_t>(sources_.text(source_).size())}; }
    std::string_view written(Span span) const { return sources_.text(span); }
    const std::string& text(Symbol symbol) const { return symbols_.text(symbol); }
    Symbol intern(std::string_view text) { return symbols_.intern(text); }
    /// One more than the children's; where that is too much, an error is reported once and the height starts anew.
    uint16_t height(int children_depth, Span span);
    void complain(Span span, std::string message, std::string help = {}) {
        errors_.add(span, std::move(message), std::move(help));
    }

private:
    const SourceId source_;
    const SourceMap& sources_;
    SymbolTable& symbols_;
    Arena& arena_;
    SyntaxErrors& errors_;
    bool too_deep_ = false;
};

class ExpressionBuilder {
public:
    explicit ExpressionBuilder(NodeBuilder& nodes) : nodes_(nodes), arena_(nodes.arena()) {}

    ast::Expr* error(Span span);
    ast::Expr* plain(ast::ExprKind kind, Span span);
    ast::Expr* boolean(bool value, Span span);
    ast::Expr* integer(int64_t value, Span span);
    ast::Expr* floating(double value, Span span);
    ast::Expr* string(Symbol text, Span span);
    ast::Expr* name(Symbol name, Span span);
    ast::Expr* f_string(const PartVector& parts, Span span);
    ast::FStringPart hole(Symbol echo, ast::Expr* value, const PartVector& spec);
    /// The text of `{x = }` that is printed before the value.
    Symbol echo(Span open, Span end);
    ast::Expr* sequence(ast::ExprKind kind, const ExprList& items, Span span);
    ast::Expr* spread(ast::Expr* value, Span span);
    ast::Expr* dict(const EntryVector& entries, Span span);
    ast::Expr* comprehension(ast::ComprehensionKind kind, ast::Expr* key, ast::Expr* value, const ClauseVector& clauses,
                             Span span);
    ast::ComprehensionClause clause(ast::Expr* variables, ast::Expr* iterable, const ExprList& conditions);
    ast::Expr* parenthesised(ast::Expr* expr);
    ast::Expr* parenthesised_tuple(ast::Expr* expr, Span span);
    ast::Expr* unary(ast::UnaryOperator op, ast::Expr* operand, Span span);
    ast::Expr* binary(ast::BinaryOperator op, ast::Expr* left, ast::Expr* right, Span span);
    ast::Expr* logical(ast::LogicalOperator op, ast::Expr* left, ast::Expr* right, Span span);
    ast::Expr* compare(ast::Expr* left, ast::ComparisonOperator op, ast::Expr* right, Span span);
    ast::Expr* conditional(ast::Expr* condition, ast::Expr* yes, ast::Expr* no, Span span);
    ast::Expr* call(ast::Expr* callee, const ArgumentVector& arguments, Span span);
    ast::Expr* attribute(ast::Expr* object, Symbol name, Span name_span, Span span);
    ast::Expr* index(ast::Expr* object, const ExprList& items, bool is_tuple, Span span);
    ast::Expr* slice(ast::Expr* low, ast::Expr* high, ast::Expr* step, Span span);
    ast::Expr* scope_block(Symbol name, Span name_span, const ArgumentVector& arguments, bool has_arguments,
                           ast::Block* body, Span span);
    ast::Expr* scope_block(ast::Expr* call, ast::Block* body, Span span);
    ArgumentVector annotations(const EntryVector& entries);
    ast::Argument keyword_with_equals(Symbol name, ast::Expr* value, Span equals, Span span);
    ast::Argument comprehension_argument(ast::Expr* value, const ClauseVector& clauses, Span span);
    ast::Expr* lambda(Span name_span, const ParameterVector& parameters, ast::TypeNode* result, ast::Block* body,
                      Span span);
    ast::Expr* lambda(Span name_span, const ParameterVector& parameters, ast::TypeNode* result, ast::Expr* value,
                      Span span);
    /// What may stand left of `=`, or an error.
    ast::Expr* target(ast::Expr* expr);
    ast::Block* block(const StatementList& statements, Span span);
    ExprList prepend(ast::Expr* first, ExprList rest);
    /// Of a lambda, and of what statements declare.
    ast::Function* make_function(ast::FunctionKind kind, Symbol name, Span name_span, const ParameterVector& parameters,
                                 ast::TypeNode* result, ast::Block* body, ast::Expr* value, Span span);

private:
    ast::Arguments checked(const ArgumentVector& arguments);
    template <class Node> ast::Expr* expression(Node node, int children_depth);

    NodeBuilder& nodes_;
    Arena& arena_;
};

class TypeBuilder {
public:
    explicit TypeBuilder(NodeBuilder& nodes) : nodes_(nodes), arena_(nodes.arena()) {}

    ast::TypeNode* plain_type(ast::TypeKind kind, Span span);
    ast::TypeNode* named_type(Symbol name, Span span);
    ast::TypeNode* generic_type(Symbol name, const ExprList& items, Span span);
    ast::TypeNode* tuple_type(const TypeList& items, Span span);
    ast::TypeNode* alternatives(ast::TypeNode* left, ast::TypeNode* right, Span span);

private:
    ast::TypeNode* type_of(ast::Expr* expr);
    ast::Dimension dimension_of(ast::Expr* expr);

    NodeBuilder& nodes_;
    Arena& arena_;
};

/// Statements, and the script that they make.
class StatementBuilder {
public:
    StatementBuilder(NodeBuilder& nodes, ExpressionBuilder& expressions);

    /// What `finish` was given; an empty script before.
    ast::Script* script() const { return script_; }
    void finish(const StatementList& statements);

    ast::Statement* error_statement(Span span);
    ast::Statement* plain_statement(ast::StatementKind kind, Span span);
    ast::Statement* expression_statement(ast::Expr* value, Span span);
    ast::Statement* assign(const ExprList& targets, ast::Expr* value, Span span);
    ast::Statement* update(ast::Expr* target, ast::BinaryOperator op, ast::Expr* value, Span span);
    ast::Statement* return_value(ast::Expr* value, Span span);
    ast::Statement* assertion(ast::Expr* condition, ast::Expr* message, Span span);
    ast::Statement* graph_break(Symbol reason, Span span);
    ast::Statement* use(const UseVector& items, Span span);
    ast::UseItem use_module(const std::string& path, Span span);
    /// A part of a module's path.
    const std::string& path_part(Symbol symbol) const { return nodes_.text(symbol); }
    ast::Statement* tensor(bool is_buffer, Symbol name, Span name_span, ast::TypeNode* type, ast::Expr* value,
                           Span span);
    ast::Statement* tensor_pack(bool is_buffer, Symbol name, Span name_span, ast::Expr* value, Span span);
    ast::Statement* if_else(ast::Expr* condition, ast::Block* body, Span span);
    ast::Statement* else_if(ast::Statement* chain, ast::Expr* condition, ast::Block* body, Span span);
    ast::Statement* otherwise(ast::Statement* chain, ast::Block* body, Span span);
    ast::Statement* while_loop(ast::Expr* condition, ast::Block* body, Span span);
    ast::Statement* for_loop(ast::Expr* variables, ast::Expr* iterable, ast::Block* body, Span span);
    ast::Statement* try_catch(ast::Block* body, Symbol name, Span name_span, ast::Block* handler, Span span);
    ast::Statement* test(Symbol name, Span name_span, ast::Block* body, Span span);
    ast::Statement* decorate(ast::Statement* declaration, const ExprList& decorators, Span span);
    ast::Statement* function(Symbol name, Span name_span, const ParameterVector& parameters, ast::TypeNode* result,
                             ast::Block* body, Span span);
    ast::Statement* function(Symbol name, Span name_span, const ParameterVector& parameters, ast::TypeNode* result,
                             ast::Expr* value, Span span);
    ast::Statement* custom(Symbol name, Span name_span, const ParameterVector& parameters, ast::TypeNode* result,
                           const MemberVector& members, Span span);
    ast::Function* member(Symbol name, Span name_span, const ParameterVector& parameters, ast::Block* body, Span span);
    ast::Statement* model(Symbol name, Span name_span, const ParameterVector& parameters, ast::Block* body, Span span);
    ast::Parameter parameter(Symbol name, ast::TypeNode* type, ast::Expr* default_value, Span span);
    ast::Parameter parameter(ast::ParameterKind kind, Symbol name, Span span);

private:
    template <class Node> Node* statement(Node node, int children_depth);
    ast::Statement* declare(ast::Function* function, Span span);

    NodeBuilder& nodes_;
    Arena& arena_;
    ExpressionBuilder& expressions_;
    ast::Script* script_;
};

}  // namespace tenon
