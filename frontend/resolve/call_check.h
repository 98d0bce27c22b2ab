// Whether the arguments of a call fit the parameters of a function that is known before running.
#pragma once

#include <optional>

#include "frontend/syntax/ast.h"
#include "runtime/diagnostic.h"

namespace tenon {

/// What is wrong with a call of `function`, or nothing. Calls with `*xs` or `**kw` are not looked at.
std::optional<Diagnostic> check_call(const ast::Function& function, const ast::Arguments& arguments, Span call,
                                     const SymbolTable& symbols);

}  // namespace tenon
