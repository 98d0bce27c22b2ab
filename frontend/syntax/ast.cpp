#include "frontend/syntax/ast.h"

#include <array>

namespace tenon::ast {

const char* spelling(BinaryOperator op) {
    static constexpr std::array names = {"+", "-", "*", "/", "//", "%", "@", "**", "&", "|", "^", "<<", ">>"};
    return names[static_cast<size_t>(op)];
}

const char* spelling(UnaryOperator op) {
    static constexpr std::array names = {"-", "~", "not"};
    return names[static_cast<size_t>(op)];
}

const char* spelling(LogicalOperator op) { return op == LogicalOperator::logical_and ? "and" : "or"; }

const char* spelling(ComparisonOperator op) {
    static constexpr std::array names = {"==", "!=", "<", "<=", ">", ">=", "in", "not in", "is", "is not"};
    return names[static_cast<size_t>(op)];
}

}  // namespace tenon::ast
