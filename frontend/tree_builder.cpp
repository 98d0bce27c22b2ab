#include "frontend/tree_builder.h"

#include <algorithm>
#include <fmt/format.h>

namespace tenon {

using namespace ast;

Span cover_rule(Span first, Span last) {
    if (last.begin == last.end) last = first.begin == first.end ? first : Span{last.source, first.begin, last.begin};
    return cover(first, last);
}

Span after(Span previous) { return {previous.source, previous.end, previous.end}; }

namespace {

int depth_of(const Expr* expr) { return expr ? expr->depth : 0; }
int depth_of(const Statement* statement) { return statement ? statement->depth : 0; }
int depth_of(const Block* block) { return block ? block->depth : 0; }
int depth_of(const TypeNode* type) { return type ? type->depth : 0; }
int depth_of(const Argument& argument) { return depth_of(argument.value); }
int depth_of(const DictEntry& entry) { return std::max(depth_of(entry.key), depth_of(entry.value)); }
int depth_of(const Parameter& parameter) { return std::max(depth_of(parameter.type), depth_of(parameter.default_value)); }
template <class Item>
int depth_of(const std::vector<Item>& items) {
    int depth = 0;
    for (const Item& item : items) depth = std::max(depth, depth_of(item));
    return depth;
}
int depth_of(const ClauseVector& clauses) {
    int depth = 0;
    for (const ComprehensionClause& clause : clauses) {
        depth = std::max({depth, depth_of(clause.target), depth_of(clause.iterable)});
        for (const Expr* condition : clause.conditions) depth = std::max(depth, depth_of(condition));
    }
    return depth;
}
int depth_of(const PartVector& parts) {
    int depth = 0;
    for (const FStringPart& part : parts) {
        depth = std::max(depth, depth_of(part.value));
        for (const FStringPart& inner : part.spec) depth = std::max(depth, depth_of(inner.value) + 1);
    }
    return depth;
}

}  // namespace

TreeBuilder::TreeBuilder(SourceId source, const SourceMap& sources, SymbolTable& symbols, Arena& arena,
                         SyntaxErrors& errors)
    : source_(source), sources_(sources), symbols_(symbols), arena_(arena), errors_(errors) {
    script_ = arena.make<Script>(Script{source, nullptr});
    finish({}, {source, 0, 0});
}

void TreeBuilder::finish(const StatementList& statements, Span span) {
    Function main{.kind = FunctionKind::script, .name = Symbol::none, .span = span, .name_span = span};
    main.body = block(statements, span);
    script_->main = arena_.make<Function>(main);
}

uint16_t TreeBuilder::height(int children_depth, Span span) {
    if (children_depth < maximum_depth) return static_cast<uint16_t>(children_depth + 1);
    if (!too_deep_) {
        complain(span, fmt::format("this is nested too deeply: more than {} levels", maximum_depth),
                 "give a part of it a name, or make it a function");
    }
    too_deep_ = true;
    return 1;
}

template <class Node>
Node* TreeBuilder::expression(Node node, int children_depth) {
    node.depth = height(children_depth, node.span);
    return arena_.make<Node>(node);
}

template <class Node>
Node* TreeBuilder::statement(Node node, int children_depth) {
    node.depth = height(children_depth, node.span);
    return arena_.make<Node>(node);
}

// ---- Expressions

Expr* TreeBuilder::error(Span span) { return plain(ExprKind::error, span); }

Expr* TreeBuilder::plain(ExprKind kind, Span span) {
    return arena_.make<Expr>(Expr{.kind = kind, .is_literal = kind != ExprKind::error, .span = span});
}

Expr* TreeBuilder::boolean(bool value, Span span) {
    return arena_.make<BooleanLiteral>(BooleanLiteral{{ExprKind::boolean, true, false, 1, span}, value});
}

Expr* TreeBuilder::integer(int64_t value, Span span) {
    return arena_.make<IntegerLiteral>(IntegerLiteral{{ExprKind::integer, true, false, 1, span}, value});
}

Expr* TreeBuilder::floating(double value, Span span) {
    return arena_.make<FloatLiteral>(FloatLiteral{{ExprKind::floating, true, false, 1, span}, value});
}

Expr* TreeBuilder::string(Symbol text, Span span) {
    return arena_.make<StringLiteral>(StringLiteral{{ExprKind::string, true, false, 1, span}, text});
}

Expr* TreeBuilder::name(Symbol name, Span span) {
    return arena_.make<Name>(Name{{ExprKind::name, false, false, 1, span}, name, {}});
}

Expr* TreeBuilder::f_string(const PartVector& parts, Span span) {
    return expression(FString{{ExprKind::f_string, false, false, 1, span}, arena_.copy(parts)}, depth_of(parts));
}

FStringPart TreeBuilder::hole(Symbol echo, Expr* value, const PartVector& spec) {
    return {echo, value, arena_.copy(spec)};
}

Symbol TreeBuilder::echo(Span open, Span equals) {
    return symbols_.intern(sources_.text(Span{source_, open.end, equals.end}));
}

Expr* TreeBuilder::sequence(ExprKind kind, const ExprList& items, Span span) {
    bool has_spread = std::any_of(items.begin(), items.end(), [](Expr* item) { return item->kind == ExprKind::spread; });
    return expression(Sequence{{kind, false, false, 1, span}, arena_.copy(items), has_spread}, depth_of(items));
}

Expr* TreeBuilder::spread(Expr* value, Span span) {
    return expression(Spread{{ExprKind::spread, false, false, 1, span}, value}, depth_of(value));
}

Expr* TreeBuilder::dict(const EntryVector& entries, Span span) {
    return expression(Dict{{ExprKind::dict, false, false, 1, span}, arena_.copy(entries)}, depth_of(entries));
}

Expr* TreeBuilder::comprehension(ComprehensionKind kind, Expr* key, Expr* value, const ClauseVector& clauses,
                                 Span span) {
    int depth = std::max({depth_of(key), depth_of(value), depth_of(clauses)});
    return expression(
        Comprehension{{ExprKind::comprehension, false, false, 1, span}, kind, key, value, arena_.copy(clauses)}, depth);
}

ComprehensionClause TreeBuilder::clause(Expr* variables, Expr* iterable, const ExprList& conditions) {
    return {target(variables), iterable, arena_.copy(conditions), {}};
}

Expr* TreeBuilder::parenthesised(Expr* expr) {
    expr->parenthesised = true;
    return expr;
}

Expr* TreeBuilder::parenthesised_tuple(Expr* expr, Span span) {
    expr->span = span;
    return parenthesised(expr);
}

Expr* TreeBuilder::unary(UnaryOperator op, Expr* operand, Span span) {
    return expression(Unary{{ExprKind::unary, operand->is_literal, false, 1, span}, op, operand}, depth_of(operand));
}

Expr* TreeBuilder::binary(BinaryOperator op, Expr* left, Expr* right, Span span) {
    bool is_literal = left->is_literal && right->is_literal;
    return expression(Binary{{ExprKind::binary, is_literal, false, 1, span}, op, left, right},
                      std::max(depth_of(left), depth_of(right)));
}

Expr* TreeBuilder::logical(LogicalOperator op, Expr* left, Expr* right, Span span) {
    return expression(Logical{{ExprKind::logical, false, false, 1, span}, op, left, right},
                      std::max(depth_of(left), depth_of(right)));
}

Expr* TreeBuilder::compare(Expr* left, ComparisonOperator op, Expr* right, Span span) {
    int depth = std::max(depth_of(left), depth_of(right));
    if (left->kind != ExprKind::comparison || left->parenthesised) {
        return expression(Comparison{{ExprKind::comparison, false, false, 1, span}, left,
                                     arena_.copy(std::vector{ComparisonLink{op, right}})},
                          depth);
    }
    auto& chain = as<Comparison>(*left);
    std::vector<ComparisonLink> links(chain.links.begin(), chain.links.end());
    links.push_back({op, right});
    return expression(Comparison{{ExprKind::comparison, false, false, 1, span}, chain.first, arena_.copy(links)}, depth);
}

Expr* TreeBuilder::conditional(Expr* condition, Expr* yes, Expr* no, Span span) {
    return expression(Conditional{{ExprKind::conditional, false, false, 1, span}, condition, yes, no},
                      std::max({depth_of(condition), depth_of(yes), depth_of(no)}));
}

Arguments TreeBuilder::checked(const ArgumentVector& arguments) {
    Arguments result{.items = arena_.copy(arguments)};
    bool keywords = false;
    for (const Argument& argument : arguments) {
        bool by_position = argument.kind == ArgumentKind::positional || argument.kind == ArgumentKind::spread;
        if (by_position && keywords) {
            complain(argument.span, "an argument without a name stands after one with a name",
                     "arguments without a name come first");
        }
        result.positional += by_position;
        keywords |= !by_position;
        result.has_spread |= argument.kind == ArgumentKind::spread || argument.kind == ArgumentKind::keyword_spread;
    }
    return result;
}

Expr* TreeBuilder::call(Expr* callee, const ArgumentVector& arguments, Span span) {
    int depth = std::max(depth_of(callee), depth_of(arguments));
    if (callee->kind == ExprKind::attribute && !callee->parenthesised) {
        auto& method = as<Attribute>(*callee);
        return expression(MethodCall{{ExprKind::method_call, false, false, 1, span}, method.object, method.name,
                                     method.name_span, checked(arguments), {}},
                          depth);
    }
    return expression(Call{{ExprKind::call, false, false, 1, span}, callee, checked(arguments)}, depth);
}

Expr* TreeBuilder::attribute(Expr* object, Symbol name, Span name_span, Span span) {
    return expression(Attribute{{ExprKind::attribute, false, false, 1, span}, object, name, name_span}, depth_of(object));
}

Expr* TreeBuilder::index(Expr* object, const ExprList& items, bool is_tuple, Span span) {
    return expression(Index{{ExprKind::index, false, false, 1, span}, object, arena_.copy(items),
                            is_tuple || items.size() > 1},
                      std::max(depth_of(object), depth_of(items)));
}

Expr* TreeBuilder::slice(Expr* low, Expr* high, Expr* step, Span span) {
    return expression(Slice{{ExprKind::slice, false, false, 1, span}, low, high, step},
                      std::max({depth_of(low), depth_of(high), depth_of(step)}));
}

Expr* TreeBuilder::scope_block(Symbol name, Span name_span, const ArgumentVector& arguments, bool has_arguments,
                               Block* body, Span span) {
    return expression(ScopeBlock{{ExprKind::scope_block, false, false, 1, span}, name, name_span, has_arguments,
                                 checked(arguments), body, {}, {}},
                      std::max(depth_of(arguments), depth_of(body)));
}

Expr* TreeBuilder::scope_block(Expr* head, Block* body, Span span) {
    if (head->kind == ExprKind::call) {
        auto& call = as<Call>(*head);
        if (call.callee->kind == ExprKind::name) {
            auto& name = as<Name>(*call.callee);
            ArgumentVector arguments(call.arguments.items.begin(), call.arguments.items.end());
            return scope_block(name.name, name.span, arguments, true, body, span);
        }
    }
    complain(head->span, "only a name, or a call of one, can stand before a block",
             "blocks belong to `checkpoint { … }`, `annotate {…} { … }`, `no_grad { … }` and their like");
    return error(span);
}

ArgumentVector TreeBuilder::annotations(const EntryVector& entries) {
    ArgumentVector arguments;
    for (const DictEntry& entry : entries) {
        if (!entry.key) {
            arguments.push_back({ArgumentKind::keyword_spread, Symbol::none, entry.value, entry.value->span});
        } else if (entry.key->kind == ExprKind::name) {
            arguments.push_back({ArgumentKind::keyword, as<Name>(*entry.key).name, entry.value,
                                 cover(entry.key->span, entry.value->span)});
        } else {
            complain(entry.key->span, "the keys of an annotation are names",
                     "keys that are computed are given as `annotate(**keys) { … }`");
        }
    }
    return arguments;
}

Argument TreeBuilder::keyword_with_equals(Symbol name, Expr* value, Span equals, Span span) {
    complain(equals, "keyword arguments are written with a colon",
             fmt::format("write `{}: {}`", text(name), sources_.text(value->span)));
    return {ArgumentKind::keyword, name, value, span};
}

Argument TreeBuilder::comprehension_argument(Expr* value, const ClauseVector& clauses, Span span) {
    return {ArgumentKind::positional, Symbol::none, comprehension(ComprehensionKind::argument, nullptr, value, clauses, span),
            span};
}

Expr* TreeBuilder::lambda(Span name_span, const ParameterVector& parameters, TypeNode* result, Block* body, Span span) {
    Function* function = make_function(FunctionKind::lambda, symbols::lambda, name_span, parameters, result, body, nullptr, span);
    return expression(Lambda{{ExprKind::function, false, false, 1, span}, function}, function->depth);
}

Expr* TreeBuilder::lambda(Span name_span, const ParameterVector& parameters, TypeNode* result, Expr* value, Span span) {
    Function* function = make_function(FunctionKind::lambda, symbols::lambda, name_span, parameters, result, nullptr, value, span);
    return expression(Lambda{{ExprKind::function, false, false, 1, span}, function}, function->depth);
}

ExprList TreeBuilder::prepend(Expr* first, ExprList rest) {
    rest.insert(rest.begin(), first);
    return rest;
}

// ---- Statements

Block* TreeBuilder::block(const StatementList& statements, Span span) {
    return arena_.make<Block>(Block{arena_.copy(statements), height(depth_of(statements), span), span});
}

Statement* TreeBuilder::error_statement(Span span) { return plain_statement(StatementKind::error, span); }

Statement* TreeBuilder::plain_statement(StatementKind kind, Span span) {
    return arena_.make<Statement>(Statement{kind, 1, span});
}

Statement* TreeBuilder::expression_statement(Expr* value, Span span) {
    return statement(ExpressionStatement{{StatementKind::expression, 1, span}, value}, depth_of(value));
}

Expr* TreeBuilder::target(Expr* expr) {
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
                    complain(item->span, "only one target of an assignment can take the rest");
                }
                target(is_spread ? as<Spread>(*item).value : item);
            }
            return expr;
        }
        case ExprKind::call:
        case ExprKind::method_call:
            complain(expr->span, "a call cannot be assigned to",
                     "to declare a function write `fn name(x) = …`; to change an element, `x[i] = …`");
            return expr;
        default: break;
    }
    complain(expr->span, "this cannot be assigned to",
             expr->kind == ExprKind::comparison ? "to compare, `==` is right, but then the `=` is too many" :
             "what can be assigned to is a name, a field `x.f`, an element `x[i]`, or several of these with commas");
    return expr;
}

Statement* TreeBuilder::assign(const ExprList& targets, Expr* value, Span span) {
    return statement(Assign{{StatementKind::assign, 1, span}, arena_.copy(targets), value},
                     std::max(depth_of(targets), depth_of(value)));
}

Statement* TreeBuilder::update(Expr* expr, BinaryOperator op, Expr* value, Span span) {
    if (expr->kind == ExprKind::tuple || expr->kind == ExprKind::list) {
        complain(expr->span, fmt::format("`{}=` changes one thing, and this is several", spelling(op)));
    } else {
        target(expr);
    }
    return statement(Update{{StatementKind::update, 1, span}, op, expr, value, false},
                     std::max(depth_of(expr), depth_of(value)));
}

Statement* TreeBuilder::return_value(Expr* value, Span span) {
    return statement(Return{{StatementKind::return_value, 1, span}, value}, depth_of(value));
}

Statement* TreeBuilder::assertion(Expr* condition, Expr* message, Span span) {
    return statement(Assert{{StatementKind::assertion, 1, span}, condition, message},
                     std::max(depth_of(condition), depth_of(message)));
}

Statement* TreeBuilder::graph_break(Symbol reason, Span span) {
    return statement(GraphBreak{{StatementKind::graph_break, 1, span}, reason}, 0);
}

Statement* TreeBuilder::use(const UseVector& items, Span span) {
    return statement(Use{{StatementKind::use, 1, span}, arena_.copy(items)}, 0);
}

UseItem TreeBuilder::use_module(const std::string& path, Span span) { return {false, symbols_.intern(path), span}; }

Statement* TreeBuilder::tensor(bool is_buffer, Symbol variable, Span name_span, TypeNode* type, Expr* value, Span span) {
    auto* target = static_cast<Name*>(name(variable, name_span));
    return statement(TensorDeclaration{{StatementKind::tensor_declaration, 1, span}, is_buffer, target, type, value},
                     std::max(depth_of(type), depth_of(value)));
}

Statement* TreeBuilder::if_else(Expr* condition, Block* body, Span span) {
    return statement(If{{StatementKind::if_else, 1, span}, arena_.copy(std::vector{Branch{condition, body}}), nullptr},
                     std::max(depth_of(condition), depth_of(body)));
}

Statement* TreeBuilder::else_if(Statement* chain, Expr* condition, Block* body, Span span) {
    auto& so_far = as<If>(*chain);
    std::vector<Branch> branches(so_far.branches.begin(), so_far.branches.end());
    if (branches.size() >= 1000) {
        complain(condition->span, "this `if` has more than 1000 branches", "a dict of functions is a shorter way to choose");
        return chain;
    }
    branches.push_back({condition, body});
    so_far.branches = arena_.copy(branches);
    so_far.span = span;
    so_far.depth = std::max(so_far.depth, height(std::max(depth_of(condition), depth_of(body)), span));
    return chain;
}

Statement* TreeBuilder::otherwise(Statement* chain, Block* body, Span span) {
    auto& so_far = as<If>(*chain);
    so_far.otherwise = body;
    so_far.span = span;
    so_far.depth = std::max(so_far.depth, height(depth_of(body), span));
    return chain;
}

Statement* TreeBuilder::while_loop(Expr* condition, Block* body, Span span) {
    return statement(While{{StatementKind::while_loop, 1, span}, condition, body},
                     std::max(depth_of(condition), depth_of(body)));
}

Statement* TreeBuilder::for_loop(Expr* variables, Expr* iterable, Block* body, Span span) {
    return statement(For{{StatementKind::for_loop, 1, span}, target(variables), iterable, body, {}},
                     std::max({depth_of(variables), depth_of(iterable), depth_of(body)}));
}

Statement* TreeBuilder::try_catch(Block* body, Symbol variable, Span name_span, Block* handler, Span span) {
    return statement(Try{{StatementKind::try_catch, 1, span}, body, static_cast<Name*>(name(variable, name_span)), handler},
                     std::max(depth_of(body), depth_of(handler)));
}

Statement* TreeBuilder::test(Symbol name, Span name_span, Block* body, Span span) {
    Function* function = make_function(FunctionKind::test, name, name_span, {}, nullptr, body, nullptr, span);
    return statement(Test{{StatementKind::test, 1, span}, name, function}, function->depth);
}

// ---- Declarations

Statement* TreeBuilder::decorate(Statement* declaration, const ExprList& decorators, Span span) {
    std::span<Expr*> list = arena_.copy(decorators);
    switch (declaration->kind) {
        case StatementKind::function_declaration: as<FunctionDeclaration>(*declaration).decorators = list; break;
        case StatementKind::custom_declaration: as<CustomDeclaration>(*declaration).decorators = list; break;
        case StatementKind::model_declaration: as<ModelDeclaration>(*declaration).decorators = list; break;
        default: return declaration;
    }
    declaration->span = span;
    declaration->depth = std::max(declaration->depth, height(depth_of(decorators), span));
    return declaration;
}

Function* TreeBuilder::make_function(FunctionKind kind, Symbol name, Span name_span, const ParameterVector& parameters,
                                     TypeNode* result, Block* body, Expr* value, Span span) {
    ParameterVector marked = parameters;
    bool after_rest = false;
    for (Parameter& parameter : marked) {
        parameter.keyword_only = after_rest && parameter.kind == ParameterKind::plain;
        after_rest |= parameter.kind == ParameterKind::rest;
    }
    Function function{.kind = kind, .name = name, .span = span, .name_span = name_span};
    function.depth = height(std::max({depth_of(marked), depth_of(result), depth_of(body), depth_of(value)}), span);
    function.parameters = arena_.copy(marked);
    function.result = result;
    function.body = body;
    function.value = value;
    return arena_.make<Function>(function);
}

Statement* TreeBuilder::declare(Function* function, Span span) {
    return statement(FunctionDeclaration{{StatementKind::function_declaration, 1, span}, function, {}, {}, false},
                     function->depth);
}

Statement* TreeBuilder::function(Symbol name, Span name_span, const ParameterVector& parameters, TypeNode* result,
                                 Block* body, Span span) {
    return declare(make_function(FunctionKind::named, name, name_span, parameters, result, body, nullptr, span), span);
}

Statement* TreeBuilder::function(Symbol name, Span name_span, const ParameterVector& parameters, TypeNode* result,
                                 Expr* value, Span span) {
    return declare(make_function(FunctionKind::named, name, name_span, parameters, result, nullptr, value, span), span);
}

Statement* TreeBuilder::custom(Symbol name, Span name_span, const ParameterVector& parameters, TypeNode* result,
                               const MemberVector& members, Span span) {
    Function *forward = nullptr, *backward = nullptr;
    for (Function* member : members) {
        bool is_forward = member->name == symbols::forward;
        if (!is_forward && member->name != symbols::backward) {
            complain(member->name_span, fmt::format("a custom function has no part named `{}`", text(member->name)),
                     "its parts are `forward(ctx) { … }` and `backward(ctx, g) { … }`");
            return error_statement(span);
        }
        Function*& place = is_forward ? forward : backward;
        if (place) complain(member->name_span, fmt::format("`{}` is given twice", text(member->name)));
        place = member;
    }
    if (!forward || !backward) {
        complain(name_span, fmt::format("the custom function `{}` has no `{}`", text(name), forward ? "backward" : "forward"),
                 "its parts are `forward(ctx) { … }` and `backward(ctx, g) { … }`");
        return error_statement(span);
    }
    if (forward->parameters.size() != 1) {
        complain(forward->name_span, "`forward` has one parameter, the context",
                 "it sees the parameters of the custom function by their names: `forward(ctx) { … }`");
        return error_statement(span);
    }
    ParameterVector all{forward->parameters[0]};
    all.insert(all.end(), parameters.begin(), parameters.end());
    forward = make_function(FunctionKind::custom_forward, name, name_span, all, result, forward->body, nullptr, forward->span);
    backward->kind = FunctionKind::custom_backward;
    backward->name = name;
    return statement(CustomDeclaration{{StatementKind::custom_declaration, 1, span}, name, forward, backward, {}, {}},
                     std::max(forward->depth, backward->depth));
}

Function* TreeBuilder::member(Symbol name, Span name_span, const ParameterVector& parameters, Block* body, Span span) {
    return make_function(FunctionKind::custom_backward, name, name_span, parameters, nullptr, body, nullptr, span);
}

Statement* TreeBuilder::model(Symbol name, Span name_span, const ParameterVector& parameters, Block* body, Span span) {
    Function* constructor =
        make_function(FunctionKind::constructor, name, name_span, parameters, nullptr, body, nullptr, span);
    auto* model = arena_.make<Model>(Model{name, name_span, constructor, {}, {}});
    return statement(ModelDeclaration{{StatementKind::model_declaration, 1, span}, model, {}, {}, false},
                     constructor->depth);
}

Parameter TreeBuilder::parameter(Symbol name, TypeNode* type, Expr* default_value, Span span) {
    return {ParameterKind::plain, false, false, name, type, default_value, span};
}

Parameter TreeBuilder::parameter(ParameterKind kind, Symbol name, Span span) {
    return {kind, false, false, name, nullptr, nullptr, span};
}

// ---- Types

TypeNode* TreeBuilder::plain_type(TypeKind kind, Span span) { return arena_.make<TypeNode>(TypeNode{.kind = kind, .span = span}); }

TypeNode* TreeBuilder::named_type(Symbol name, Span span) {
    static constexpr std::pair<std::string_view, TypeKind> host_types[] = {
        {"any", TypeKind::any}, {"none", TypeKind::none}, {"bool", TypeKind::boolean}, {"int", TypeKind::integer},
        {"float", TypeKind::floating}, {"str", TypeKind::string}, {"list", TypeKind::list}, {"tuple", TypeKind::tuple},
        {"dict", TypeKind::dict}, {"range", TypeKind::range}, {"dtype", TypeKind::dtype}, {"device", TypeKind::device},
        {"tensor", TypeKind::tensor}};
    TypeNode* type = plain_type(TypeKind::model, span);
    type->name = name;
    for (auto [spelling, kind] : host_types) {
        if (spelling == text(name)) {
            type->kind = kind;
            return type;
        }
    }
    if (auto dtype = dtype_from_name(text(name))) {
        type->kind = TypeKind::tensor;
        type->has_dtype = true;
        type->dtype = *dtype;
    }
    return type;
}

TypeNode* TreeBuilder::generic_type(Symbol name, const ExprList& items, Span span) {
    TypeNode* type = named_type(name, span);
    if (type->kind == TypeKind::boolean) {    // `bool[n]` is a tensor, `bool` is not
        type->kind = TypeKind::tensor;
        type->has_dtype = true;
        type->dtype = DType::boolean;
    }
    type->depth = height(depth_of(items), span);
    if (type->kind == TypeKind::tensor) {
        std::vector<Dimension> shape;
        int ellipses = 0;
        for (Expr* item : items) {
            shape.push_back(dimension_of(item));
            if (shape.back().kind == DimensionKind::ellipsis && ++ellipses > 1) {
                complain(item->span, "a shape has at most one `...`");
            }
        }
        type->has_shape = true;
        type->shape = arena_.copy(shape);
        return type;
    }
    size_t expected = type->kind == TypeKind::list ? 1 : type->kind == TypeKind::dict ? 2 : items.size();
    if (type->kind != TypeKind::list && type->kind != TypeKind::dict && type->kind != TypeKind::tuple) {
        complain(span, fmt::format("the type `{}` takes nothing in brackets", text(name)),
                 "a tensor's type is written `f32[batch, 64]`, a list's `list[int]`");
    } else if (items.size() != expected || items.empty()) {
        complain(span, fmt::format("`{}` takes {} in brackets", text(name),
                                   type->kind == TypeKind::dict ? "the types of its keys and values" :
                                   type->kind == TypeKind::list ? "the type of its items" : "the types of its items"));
    }
    TypeList arguments;
    for (Expr* item : items) arguments.push_back(type_of(item));
    type->arguments = arena_.copy(arguments);
    return type;
}

TypeNode* TreeBuilder::tuple_type(const TypeList& items, Span span) {
    if (items.size() == 1) return items[0];
    TypeNode* type = plain_type(TypeKind::tuple, span);
    type->arguments = arena_.copy(items);
    type->depth = height(depth_of(items), span);
    return type;
}

TypeNode* TreeBuilder::alternatives(TypeNode* left, TypeNode* right, Span span) {
    TypeNode* type = plain_type(TypeKind::alternatives, span);
    type->arguments = arena_.copy(TypeList{left, right});
    type->depth = height(std::max(depth_of(left), depth_of(right)), span);
    return type;
}

/// A type that the grammar had to read as an expression: an argument of another type.
TypeNode* TreeBuilder::type_of(Expr* expr) {
    switch (expr->kind) {
        case ExprKind::name: return named_type(as<Name>(*expr).name, expr->span);
        case ExprKind::none: return plain_type(TypeKind::none, expr->span);
        case ExprKind::error: return plain_type(TypeKind::any, expr->span);
        case ExprKind::index: {
            auto& index = as<Index>(*expr);
            if (index.object->kind != ExprKind::name) break;
            return generic_type(as<Name>(*index.object).name, {index.items.begin(), index.items.end()}, expr->span);
        }
        case ExprKind::tuple: {
            TypeList items;
            for (Expr* item : as<Sequence>(*expr).items) items.push_back(type_of(item));
            return tuple_type(items, expr->span);
        }
        case ExprKind::binary: {
            auto& either = as<Binary>(*expr);
            if (either.op != BinaryOperator::bit_or) break;
            return alternatives(type_of(either.left), type_of(either.right), expr->span);
        }
        default: break;
    }
    complain(expr->span, "this is not a type", "types are written `int`, `list[str]`, `f32[batch, 64]`, `int | none`");
    return plain_type(TypeKind::any, expr->span);
}

Dimension TreeBuilder::dimension_of(Expr* expr) {
    switch (expr->kind) {
        case ExprKind::integer: return {.kind = DimensionKind::size, .size = as<IntegerLiteral>(*expr).value, .span = expr->span};
        case ExprKind::ellipsis: return {.kind = DimensionKind::ellipsis, .span = expr->span};
        case ExprKind::name: return {.kind = DimensionKind::variable, .name = as<Name>(*expr).name, .value = expr, .span = expr->span};
        case ExprKind::error:
        case ExprKind::unary:
        case ExprKind::binary:
        case ExprKind::attribute:
        case ExprKind::index:
        case ExprKind::call: return {.kind = DimensionKind::expression, .value = expr, .span = expr->span};
        default: break;
    }
    complain(expr->span, "this is not a size", "a shape is written with names, numbers and `...`: `f32[batch, 64]`");
    return {.kind = DimensionKind::ellipsis, .span = expr->span};
}

}  // namespace tenon
