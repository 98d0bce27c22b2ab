// A backward half for the case that no cotangent comes from some of its results.
#pragma once
#include <span>
#include <vector>

#include "ir/graph.h"

namespace tenon {

// Formulas are linear in cotangents: what is computed from an absent one is absent, and a sum at a fan-out is its other
// part. (Zeros in its place would differ: −0.0 + 0.0 is 0.0, and 0 · ∞ is NaN.) Parameters stay; results are those that
// something still leads to, `reached` says which of the half's own they are. A result that is a running sum left as it
// was counts as not reached; running sums are the parameters from `first_running` on.
GraphRef drop_cotangents(const Graph& half, std::span<const size_t> absent_params, size_t first_running,
                         std::vector<bool>& reached);
// Which saved values of a half something reads when cotangents come from `present` of the forward graph's results alone,
// on the way to `wanted` of its own (empty: all). Its parameters are `saved` saved values, then the cotangents.
std::vector<bool> reads_saved(const Graph& half, size_t saved, const std::vector<bool>& present,
                              const std::vector<bool>& wanted = {});
// The same for each of the results alone, and perhaps some more: by result, by saved value.
std::vector<std::vector<bool>> reads_saved_of_each(const Graph& half, size_t saved, size_t results);

}  // namespace tenon
