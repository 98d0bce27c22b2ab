// The names that a body of statements makes.
#pragma once

#include <vector>

#include "frontend/syntax/ast.h"

namespace tenon {

enum class BindingKind : uint8_t { assigned, tensor, pack, loop, caught, function, custom, model };

struct Binding {
    Symbol name;
    BindingKind kind;
    bool nested;  // inside a loop, a branch, a `try` or a scope block
    Span span;
    ast::Statement* declaration = nullptr;  // of functions, custom functions and models
};

/// Every binding in the order of the text. Blocks of built-in scopes belong to the body; bodies of functions, models
/// and tests do not.
std::vector<Binding> bindings_of(const ast::Block& body);
/// The same for the value of a short function, in which scope blocks may assign.
std::vector<Binding> bindings_of(ast::Expr& value);

}  // namespace tenon
