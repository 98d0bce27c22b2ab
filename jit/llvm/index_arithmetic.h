// Arithmetic on positions, kept affine in the lane where it can be.
#pragma once
#include <optional>

#include "ir/row.h"
#include "jit/llvm/code_builder.h"

namespace tenon::llvm_engine {

/// add, sub, mul, floor_divide and remainder; nothing where it is another op, or a sum or product of what is not affine.
/// Division by 0 does not trap: an extent may be 0 where nothing is computed with the quotient.
std::optional<Held> index_arithmetic(CodeBuilder& code, IndexOp op, const Held& a, const Held& b);

}  // namespace tenon::llvm_engine
