// Expressions.
#include "frontend/syntax/tree_builder.h"

#include <fmt/format.h>
#include <algorithm>

#include "frontend/syntax/tree_depth.h"

namespace tenon {

using namespace ast;

Span cover_rule(Span first, Span last) {
    if (last.begin == last.end) last = first.begin == first.end ? first : Span{last.source, first.begin, last.begin};
    return cover(first, last);
}

Span after(Span previous) { return {previous.source, previous.end, previous.end}; }

uint16_t NodeBuilder::height(int children_depth, Span span) {
    if (children_depth < maximum_depth) return static_cast<uint16_t>(children_depth + 1);
    if (!too_deep_) {
        complain(span, fmt::format("this is nested too deeply: more than {} levels", maximum_depth),
                 "give a part of it a name, or make it a function");
    }
    too_deep_ = true;
    return 1;
}

template <class Node> Expr* ExpressionBuilder::expression(Node node, int children_depth) {
    node.depth = nodes_.height(children_depth, node.span);
    if (node.depth <= children_depth) return error(node.span);
    return arena_.make<Node>(node);
}

Expr* ExpressionBuilder::error(Span span) { return plain(ExprKind::error, span); }

Expr* ExpressionBuilder::plain(ExprKind kind, Span span) {
    return arena_.make<Expr>(Expr{.kind = kind, .is_literal = kind != ExprKind::error, .span = span});
}

Expr* ExpressionBuilder::boolean(bool value, Span span) {
    return arena_.make<BooleanLiteral>(BooleanLiteral{{ExprKind::boolean, true, false, 1, span}, value});
}

Expr* ExpressionBuilder::integer(int64_t value, Span span) {
    return arena_.make<IntegerLiteral>(IntegerLiteral{{ExprKind::integer, true, false, 1, span}, value});
}

Expr* ExpressionBuilder::floating(double value, Span span) {
    return arena_.make<FloatLiteral>(FloatLiteral{{ExprKind::floating, true, false, 1, span}, value});
}

Expr* ExpressionBuilder::string(Symbol text, Span span) {
    return arena_.make<StringLiteral>(StringLiteral{{ExprKind::string, true, false, 1, span}, text});
}

Expr* ExpressionBuilder::name(Symbol name, Span span) {
    return arena_.make<Name>(Name{{ExprKind::name, false, false, 1, span}, name, {}});
}

Expr* ExpressionBuilder::f_string(const PartVector& parts, Span span) {
    return expression(FString{{ExprKind::f_string, false, false, 1, span}, arena_.copy(parts)}, depth_of(parts));
}

FStringPart ExpressionBuilder::hole(Symbol echo, Expr* value, const PartVector& spec) {
    return {echo, value, arena_.copy(spec)};
}

Symbol ExpressionBuilder::echo(Span open, Span end) {
    return nodes_.intern(nodes_.written({nodes_.source(), open.end, end.begin}));
}

Expr* ExpressionBuilder::sequence(ExprKind kind, const ExprList& items, Span span) {
    bool has_spread =
        std::any_of(items.begin(), items.end(), [](Expr* item) { return item->kind == ExprKind::spread; });
    return expression(Sequence{{kind, false, false, 1, span}, arena_.copy(items), has_spread}, depth_of(items));
}

Expr* ExpressionBuilder::spread(Expr* value, Span span) {
    return expression(Spread{{ExprKind::spread, false, false, 1, span}, value}, depth_of(value));
}

Expr* ExpressionBuilder::dict(const EntryVector& entries, Span span) {
    return expression(Dict{{ExprKind::dict, false, false, 1, span}, arena_.copy(entries)}, depth_of(entries));
}

Expr* ExpressionBuilder::comprehension(ComprehensionKind kind, Expr* key, Expr* value, const ClauseVector& clauses,
                                       Span span) {
    int depth = std::max({depth_of(key), depth_of(value), depth_of(clauses)});
    return expression(
        Comprehension{{ExprKind::comprehension, false, false, 1, span}, kind, key, value, arena_.copy(clauses)}, depth);
}

ComprehensionClause ExpressionBuilder::clause(Expr* variables, Expr* iterable, const ExprList& conditions) {
    return {target(variables), iterable, arena_.copy(conditions), {}};
}

Expr* ExpressionBuilder::parenthesised(Expr* expr) {
    expr->parenthesised = true;
    return expr;
}

Expr* ExpressionBuilder::parenthesised_tuple(Expr* expr, Span span) {
    expr->span = span;
    return parenthesised(expr);
}

Expr* ExpressionBuilder::unary(UnaryOperator op, Expr* operand, Span span) {
    return expression(Unary{{ExprKind::unary, operand->is_literal, false, 1, span}, op, operand}, depth_of(operand));
}

Expr* ExpressionBuilder::binary(BinaryOperator op, Expr* left, Expr* right, Span span) {
    bool is_literal = left->is_literal && right->is_literal;
    return expression(Binary{{ExprKind::binary, is_literal, false, 1, span}, op, left, right},
                      std::max(depth_of(left), depth_of(right)));
}

Expr* ExpressionBuilder::logical(LogicalOperator op, Expr* left, Expr* right, Span span) {
    return expression(Logical{{ExprKind::logical, false, false, 1, span}, op, left, right},
                      std::max(depth_of(left), depth_of(right)));
}

Expr* ExpressionBuilder::compare(Expr* left, ComparisonOperator op, Expr* right, Span span) {
    int depth = std::max(depth_of(left), depth_of(right));
    if (left->kind != ExprKind::comparison || left->parenthesised) {
        return expression(Comparison{{ExprKind::comparison, false, false, 1, span},
                                     left,
                                     arena_.copy(std::vector{ComparisonLink{op, right}})},
                          depth);
    }
    auto& chain = as<Comparison>(*left);
    std::vector<ComparisonLink> links(chain.links.begin(), chain.links.end());
    links.push_back({op, right});
    return expression(Comparison{{ExprKind::comparison, false, false, 1, span}, chain.first, arena_.copy(links)},
                      depth);
}

Expr* ExpressionBuilder::conditional(Expr* condition, Expr* yes, Expr* no, Span span) {
    return expression(Conditional{{ExprKind::conditional, false, false, 1, span}, condition, yes, no},
                      std::max({depth_of(condition), depth_of(yes), depth_of(no)}));
}

Arguments ExpressionBuilder::checked(const ArgumentVector& arguments) {
    Arguments result{.items = arena_.copy(arguments)};
    bool keywords = false;
    for (const Argument& argument : arguments) {
        bool by_position = argument.kind == ArgumentKind::positional || argument.kind == ArgumentKind::spread;
        if (by_position && keywords) {
            nodes_.complain(argument.span, "an argument without a name stands after one with a name",
                            "arguments without a name come first");
        }
        result.positional += by_position;
        keywords |= !by_position;
        result.has_spread |= argument.kind == ArgumentKind::spread || argument.kind == ArgumentKind::keyword_spread;
    }
    return result;
}

Expr* ExpressionBuilder::call(Expr* callee, const ArgumentVector& arguments, Span span) {
    int depth = std::max(depth_of(callee), depth_of(arguments));
    if (callee->kind == ExprKind::attribute && !callee->parenthesised) {
        auto& method = as<Attribute>(*callee);
        return expression(MethodCall{{ExprKind::method_call, false, false, 1, span},
                                     method.object,
                                     method.name,
                                     method.name_span,
                                     checked(arguments),
                                     {}},
                          depth);
    }
    return expression(Call{{ExprKind::call, false, false, 1, span}, callee, checked(arguments)}, depth);
}

Expr* ExpressionBuilder::attribute(Expr* object, Symbol name, Span name_span, Span span) {
    return expression(Attribute{{ExprKind::attribute, false, false, 1, span}, object, name, name_span},
                      depth_of(object));
}

Expr* ExpressionBuilder::index(Expr* object, const ExprList& items, bool is_tuple, Span span) {
    return expression(
        Index{{ExprKind::index, false, false, 1, span}, object, arena_.copy(items), is_tuple || items.size() > 1},
        std::max(depth_of(object), depth_of(items)));
}

Expr* ExpressionBuilder::slice(Expr* low, Expr* high, Expr* step, Span span) {
    return expression(Slice{{ExprKind::slice, false, false, 1, span}, low, high, step},
                      std::max({depth_of(low), depth_of(high), depth_of(step)}));
}

Expr* ExpressionBuilder::scope_block(Symbol name, Span name_span, const ArgumentVector& arguments, bool has_arguments,
                                     Block* body, Span span) {
    return expression(ScopeBlock{{ExprKind::scope_block, false, false, 1, span},
                                 name,
                                 name_span,
                                 has_arguments,
                                 checked(arguments),
                                 body,
                                 {},
                                 {}},
                      std::max(depth_of(arguments), depth_of(body)));
}

Expr* ExpressionBuilder::scope_block(Expr* head, Block* body, Span span) {
    if (head->kind == ExprKind::call) {
        auto& call = as<Call>(*head);
        if (call.callee->kind == ExprKind::name) {
            auto& name = as<Name>(*call.callee);
            ArgumentVector arguments(call.arguments.items.begin(), call.arguments.items.end());
            return scope_block(name.name, name.span, arguments, true, body, span);
        }
    }
    nodes_.complain(head->span, "only a name, or a call of one, can stand before a block",
                    "blocks belong to `checkpoint { … }`, `annotate {…} { … }`, `no_grad { … }` and their like");
    return error(span);
}

ArgumentVector ExpressionBuilder::annotations(const EntryVector& entries) {
    ArgumentVector arguments;
    for (const DictEntry& entry : entries) {
        if (!entry.key) {
            arguments.push_back({ArgumentKind::keyword_spread, Symbol::none, entry.value, entry.value->span});
        } else if (entry.key->kind == ExprKind::name) {
            arguments.push_back({ArgumentKind::keyword, as<Name>(*entry.key).name, entry.value,
                                 cover(entry.key->span, entry.value->span)});
        } else {
            nodes_.complain(entry.key->span, "the keys of an annotation are names",
                            "keys that are computed are given as `annotate(**keys) { … }`");
        }
    }
    return arguments;
}

Argument ExpressionBuilder::keyword_with_equals(Symbol name, Expr* value, Span equals, Span span) {
    nodes_.complain(equals, "keyword arguments are written with a colon",
                    fmt::format("write `{}: {}`", nodes_.text(name), nodes_.written(value->span)));
    return {ArgumentKind::keyword, name, value, span};
}

Argument ExpressionBuilder::comprehension_argument(Expr* value, const ClauseVector& clauses, Span span) {
    return {ArgumentKind::positional, Symbol::none,
            comprehension(ComprehensionKind::argument, nullptr, value, clauses, span), span};
}

Expr* ExpressionBuilder::lambda(Span name_span, const ParameterVector& parameters, TypeNode* result, Block* body,
                                Span span) {
    Function* function =
        make_function(FunctionKind::lambda, symbols::lambda, name_span, parameters, result, body, nullptr, span);
    return expression(Lambda{{ExprKind::function, false, false, 1, span}, function}, function->depth);
}

Expr* ExpressionBuilder::lambda(Span name_span, const ParameterVector& parameters, TypeNode* result, Expr* value,
                                Span span) {
    Function* function =
        make_function(FunctionKind::lambda, symbols::lambda, name_span, parameters, result, nullptr, value, span);
    return expression(Lambda{{ExprKind::function, false, false, 1, span}, function}, function->depth);
}

ExprList ExpressionBuilder::prepend(Expr* first, ExprList rest) {
    rest.insert(rest.begin(), first);
    return rest;
}

Expr* ExpressionBuilder::target(Expr* expr) {
    switch (expr->kind) {
        case ExprKind::name:
        case ExprKind::attribute:
        case ExprKind::error: return expr;
        case ExprKind::index:
            if (as<Index>(*expr).items.empty()) break;
            return expr;
        case ExprKind::tuple:
        case ExprKind::list: {
            int spreads = 0;
            for (Expr* item : as<Sequence>(*expr).items) {
                bool is_spread = item->kind == ExprKind::spread;
                if (is_spread && ++spreads > 1) {
                    nodes_.complain(item->span, "only one target of an assignment can take the rest");
                }
                target(is_spread ? as<Spread>(*item).value : item);
            }
            return expr;
        }
        case ExprKind::call:
        case ExprKind::method_call:
            nodes_.complain(expr->span, "a call cannot be assigned to",
                            "to declare a function write `fn name(x) = …`; to change an element, `x[i] = …`");
            return expr;
        default: break;
    }
    nodes_.complain(
        expr->span, "this cannot be assigned to",
        expr->kind == ExprKind::comparison
            ? "to compare, `==` is right, but then the `=` is too many"
            : "what can be assigned to is a name, a field `x.f`, an element `x[i]`, or several of these with commas");
    return expr;
}

Block* ExpressionBuilder::block(const StatementList& statements, Span span) {
    return arena_.make<Block>(Block{arena_.copy(statements), nodes_.height(depth_of(statements), span), span});
}

Function* ExpressionBuilder::make_function(FunctionKind kind, Symbol name, Span name_span,
                                           const ParameterVector& parameters, TypeNode* result, Block* body,
                                           Expr* value, Span span) {
    ParameterVector marked = parameters;
    bool after_rest = false;
    for (Parameter& parameter : marked) {
        parameter.keyword_only = after_rest && parameter.kind == ParameterKind::plain;
        after_rest |= parameter.kind == ParameterKind::rest;
    }
    Function function{.kind = kind, .name = name, .span = span, .name_span = name_span};
    function.depth =
        nodes_.height(std::max({depth_of(marked), depth_of(result), depth_of(body), depth_of(value)}), span);
    function.parameters = arena_.copy(marked);
    function.result = result;
    function.body = body;
    function.value = value;
    return arena_.make<Function>(function);
}

}  // namespace tenon
