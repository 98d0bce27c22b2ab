// Samples of every op row: operand types and values with which the row can be tried. A row without a sample fails a
// test, so a new row cannot stay untried.
#pragma once

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "ir/build/builder.h"
#include "runtime/tensor.h"

namespace tenon {

/// How the elements of an operand are drawn.
enum class Draw : uint8_t {
    smooth,     ///< where the row is differentiable: within its domain, away from kinks and ties
    hostile,    ///< also NaN, infinities, both zeros, denormals, the extremes of the dtype
    positions,  ///< ints below `Operand::below`
};

struct SampleOperand {
    std::vector<int64_t> sizes;
    DType dtype;
    int64_t below = 0;  ///< of positions
};

/// One way to apply a row.
struct RowSample {
    Op op;
    std::string name;  ///< "add of f32[2, 3], f32[3]"
    std::vector<SampleOperand> operands;
    AttrId attr;

    /// The graph that applies the row to its parameters, one an operand; it gives all of the row's results.
    GraphRef graph(Context& context) const;
    std::vector<Tensor> values(const Allocator& allocator, Draw draw, uint64_t seed) const;
};

/// Rows that a script's graph may hold as a node that computes something: not structure, not the loop level.
std::vector<Op> computing_rows();
/// The samples of a row for operands of a dtype; empty for a dtype that the row does not admit.
std::vector<RowSample> samples_of(Context& context, Op op, DType dtype);
/// The same with operands large enough to be split over threads.
std::vector<RowSample> large_samples_of(Context& context, Op op, DType dtype);

}  // namespace tenon
