// Rows, then sums of columns: the chunks of these are rows that are still near when the rows have been gone through.
#pragma once
#include <vector>

#include "ir/schedule/kernel_writer.h"

namespace tenon {

/// Where the first nest is one loop over rows, and those after it fold chunks of as many rows (of a long reduction by
/// columns), they become one parallel loop over the chunks. Whether they did.
bool cross_nests(const Context&, std::vector<KernelWriter::PlannedNest>&);

/// Chunks of columns read in memory what the rows before them leave there: for `nest`, one of `plan`.
void bind_rows(const Context&, std::span<const Nest> plan, const Nest& nest, Expressions&);

}  // namespace tenon
