// Elementwise ops of literals are literals.
#pragma once
#include <span>

#include "ir/build/builder.h"

namespace tenon {

/// What the op makes of literals, by its scalar definition: the bits of every engine. None where an operand is no
/// literal, or the result is no number that a literal may be (it fails, or is NaN).
NodeId fold_literals(Builder&, Op, TypeId type, std::span<const NodeId> operands);

}  // namespace tenon
