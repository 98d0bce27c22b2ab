// Operators on host values.
#pragma once

#include "frontend/syntax/ast.h"
#include "frontend/values/operators.h"
#include "frontend/values/value.h"
#include "runtime/span.h"

namespace tenon {

class Evaluator;

Operator operator_of(ast::BinaryOperator op);
/// As written: "+", "==".
std::string_view spelling(Operator op);

/// Ints are exact or Error "overflow"; `/` is true division, `//` and `%` floor; strs, lists and tuples add and repeat;
/// bools know `& | ^` only.
Value host_binary(Evaluator& evaluator, Operator op, const Value& a, const Value& b, Span span);

/// `text[key]`: a character, or a slice, by code points.
Value string_item(const std::string& text, const Value& key);

}  // namespace tenon
