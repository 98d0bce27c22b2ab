// What fuse does to a graph before it groups nodes, in terms of rows alone.
#pragma once
#include "ir/graph.h"

namespace tenon {

// Afterwards: a reduction is over one group of adjacent axes, named ascending and from 0; the last group was reduced
// first. Sums and products of f16 and bf16 are of f32 and rounded once. A permute of an operand's last two axes in
// front of matmul is matmul's transpose_a or transpose_b; what lies in memory and is added to a product is its third
// operand. A cat has 64 parts at most. A pad is an update of zeros, or of the sum that it is a term of.
GraphRef prepare_fusion(const Graph&);

}  // namespace tenon
