// Operators on host values.
#pragma once

#include <string>
#include <string_view>

#include "frontend/syntax/ast.h"
#include "frontend/values/operators.h"
#include "frontend/values/value.h"
#include "runtime/span.h"

namespace tenon {

Operator operator_of(ast::BinaryOperator op);
/// As written: "+", "==".
std::string_view spelling(Operator op);

/// Arithmetic, unset where there is none: ints are exact or Error "overflow"; `/` is true division, `//` and `%` floor;
/// strs, lists and tuples add and repeat; bools know `& | ^` only.
Value host_arithmetic(Operator op, const Value& a, const Value& b, Span span);
/// What to write instead where there is none.
std::string help_for_operands(Operator op, const Value& a, const Value& b);

/// Whether the two together are no longer than a str can be.
bool fits_a_text(std::string_view a, std::string_view b);

/// `text[key]`: a character, or a slice, by code points; in constant time (of a slice: its length) where all are ASCII.
Value string_item(const StringObject& text, const Value& key);

}  // namespace tenon
