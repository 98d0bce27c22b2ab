// Types.
#include <fmt/format.h>

#include "frontend/syntax/tree_builder.h"
#include "frontend/syntax/tree_depth.h"

namespace tenon {

using namespace ast;

TypeNode* TypeBuilder::plain_type(TypeKind kind, Span span) {
    return arena_.make<TypeNode>(TypeNode{.kind = kind, .span = span});
}

TypeNode* TypeBuilder::named_type(Symbol name, Span span) {
    static constexpr std::pair<std::string_view, TypeKind> host_types[] = {
        {"any", TypeKind::any},      {"none", TypeKind::none},      {"bool", TypeKind::boolean},
        {"int", TypeKind::integer},  {"float", TypeKind::floating}, {"str", TypeKind::string},
        {"list", TypeKind::list},    {"tuple", TypeKind::tuple},    {"dict", TypeKind::dict},
        {"range", TypeKind::range},  {"dtype", TypeKind::dtype},    {"device", TypeKind::device},
        {"tensor", TypeKind::tensor}};
    TypeNode* type = plain_type(TypeKind::model, span);
    type->name = name;
    for (auto [spelling, kind] : host_types) {
        if (spelling == nodes_.text(name)) {
            type->kind = kind;
            return type;
        }
    }
    if (auto dtype = dtype_from_name(nodes_.text(name))) {
        type->kind = TypeKind::tensor;
        type->has_dtype = true;
        type->dtype = *dtype;
    }
    return type;
}

TypeNode* TypeBuilder::generic_type(Symbol name, const ExprList& items, Span span) {
    TypeNode* type = named_type(name, span);
    if (type->kind == TypeKind::boolean) {  // `bool[n]` is a tensor, `bool` is not
        type->kind = TypeKind::tensor;
        type->has_dtype = true;
        type->dtype = DType::boolean;
    }
    type->depth = nodes_.height(depth_of(items), span);
    if (type->kind == TypeKind::tensor) {
        std::vector<Dimension> shape;
        int ellipses = 0;
        for (Expr* item : items) {
            shape.push_back(dimension_of(item));
            if (shape.back().kind == DimensionKind::ellipsis && ++ellipses > 1) {
                nodes_.complain(item->span, "a shape has at most one `...`");
            }
        }
        type->has_shape = true;
        type->shape = arena_.copy(shape);
        return type;
    }
    size_t expected = type->kind == TypeKind::list ? 1 : type->kind == TypeKind::dict ? 2 : items.size();
    if (type->kind != TypeKind::list && type->kind != TypeKind::dict && type->kind != TypeKind::tuple) {
        nodes_.complain(span, fmt::format("the type `{}` takes nothing in brackets", nodes_.text(name)),
                        "a tensor's type is written `f32[batch, 64]`, a list's `list[int]`");
    } else if (items.size() != expected || items.empty()) {
        nodes_.complain(span, fmt::format("`{}` takes {} in brackets", nodes_.text(name),
                                          type->kind == TypeKind::dict   ? "the types of its keys and values"
                                          : type->kind == TypeKind::list ? "the type of its items"
                                                                         : "the types of its items"));
    }
    TypeList arguments;
    for (Expr* item : items) arguments.push_back(type_of(item));
    type->arguments = arena_.copy(arguments);
    return type;
}

TypeNode* TypeBuilder::tuple_type(const TypeList& items, Span span) {
    if (items.size() == 1) return items[0];
    TypeNode* type = plain_type(TypeKind::tuple, span);
    type->arguments = arena_.copy(items);
    type->depth = nodes_.height(depth_of(items), span);
    return type;
}

TypeNode* TypeBuilder::alternatives(TypeNode* left, TypeNode* right, Span span) {
    TypeNode* type = plain_type(TypeKind::alternatives, span);
    type->arguments = arena_.copy(TypeList{left, right});
    type->depth = nodes_.height(std::max(depth_of(left), depth_of(right)), span);
    return type;
}

/// A type that the grammar had to read as an expression: an argument of another type.
TypeNode* TypeBuilder::type_of(Expr* expr) {
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
    nodes_.complain(expr->span, "this is not a type",
                    "types are written `int`, `list[str]`, `f32[batch, 64]`, `int | none`");
    return plain_type(TypeKind::any, expr->span);
}

Dimension TypeBuilder::dimension_of(Expr* expr) {
    switch (expr->kind) {
        case ExprKind::integer:
            return {.kind = DimensionKind::size, .size = as<IntegerLiteral>(*expr).value, .span = expr->span};
        case ExprKind::ellipsis: return {.kind = DimensionKind::ellipsis, .span = expr->span};
        case ExprKind::name:
            return {.kind = DimensionKind::variable, .name = as<Name>(*expr).name, .value = expr, .span = expr->span};
        case ExprKind::error:
        case ExprKind::unary:
        case ExprKind::binary:
        case ExprKind::attribute:
        case ExprKind::index:
        case ExprKind::call: return {.kind = DimensionKind::expression, .value = expr, .span = expr->span};
        default: break;
    }
    nodes_.complain(expr->span, "this is not a size",
                    "a shape is written with names, numbers and `...`: `f32[batch, 64]`");
    return {.kind = DimensionKind::ellipsis, .span = expr->span};
}

}  // namespace tenon
