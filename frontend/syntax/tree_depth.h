// How high the parts of a tree are; nothing is 0 high.
#pragma once

#include <algorithm>

#include "frontend/syntax/tree_builder.h"

namespace tenon {

inline int depth_of(const ast::Expr* expr) { return expr ? expr->depth : 0; }
inline int depth_of(const ast::Statement* statement) { return statement ? statement->depth : 0; }
inline int depth_of(const ast::Block* block) { return block ? block->depth : 0; }
inline int depth_of(const ast::TypeNode* type) { return type ? type->depth : 0; }
inline int depth_of(const ast::Argument& argument) { return depth_of(argument.value); }
inline int depth_of(const ast::DictEntry& entry) { return std::max(depth_of(entry.key), depth_of(entry.value)); }
inline int depth_of(const ast::Parameter& parameter) {
    return std::max(depth_of(parameter.type), depth_of(parameter.default_value));
}
template <class Item> int depth_of(const std::vector<Item>& items) {
    int depth = 0;
    for (const Item& item : items) depth = std::max(depth, depth_of(item));
    return depth;
}
inline int depth_of(const ClauseVector& clauses) {
    int depth = 0;
    for (const ast::ComprehensionClause& clause : clauses) {
        depth = std::max({depth, depth_of(clause.target), depth_of(clause.iterable)});
        for (const ast::Expr* condition : clause.conditions) depth = std::max(depth, depth_of(condition));
    }
    return depth;
}
inline int depth_of(const PartVector& parts) {
    int depth = 0;
    for (const ast::FStringPart& part : parts) {
        depth = std::max(depth, depth_of(part.value));
        for (const ast::FStringPart& inner : part.spec) depth = std::max(depth, depth_of(inner.value) + 1);
    }
    return depth;
}

}  // namespace tenon
