// Slices and stacks along the first dimension, and what else code that writes graphs by hand often writes.
#pragma once
#include <span>

#include "ir/build/builder.h"

namespace tenon {

NodeId emit_element(Builder&, NodeId tuple, size_t index);
NodeId emit_reshape(Builder&, NodeId value, std::span<const SizeId> sizes);
// A number in every place of this type: the literal itself where that has no dimension.
NodeId emit_filled(Builder&, Scalar number, const Type& like);
// `stack[start : start + count]`: the stack itself where that is all of it.
NodeId emit_part(Builder&, NodeId stack, SizeId start, SizeId count);
// `stack[place]`, without the first dimension, and a stack of one.
NodeId emit_slice_of(Builder&, NodeId stack, SizeId place);
NodeId emit_as_stack(Builder&, NodeId value);
// Parts one after the other: one itself.
NodeId emit_cat(Builder&, NodeList parts);

}  // namespace tenon
