// Functions of a pair of a query and a key (attention) as regions: of s, b, h, i and j, numbers without elements.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "frontend/record/tracer.h"
#include "ir/graph.h"
#include "runtime/function_ref.h"

namespace tenon {

/// Gives the function's one result, of the numbers it is called with.
using PairFunction = FunctionRef<TensorRef(std::span<const TensorRef> numbers)>;

struct PairRegions {
    GraphRef score, mask;
    std::vector<TensorRef> captured;  ///< from around the functions: the parameters after the numbers, of both
};

/// The score gets s, b, h, i, j and gives a number of `dtype`, the mask gets b, h, i, j and gives a bool; of one that is
/// null the region is that which changes nothing. Throws Error "graph" where a function cannot be a region, with its place
/// and that of what cannot be, or else where the function is written. May end the graph under capture, which then has another serial.
PairRegions trace_pair_functions(Tracer& tracer, DType dtype, const PairFunction* score, const PairFunction* mask,
                                 Span score_at, Span mask_at);

}  // namespace tenon
