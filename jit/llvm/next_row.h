// Rows that an iteration folds, one after the other: no prefetcher of a processor goes on from page to page, so the next row is
// asked for while the last loop over this one computes.
#pragma once

#include <llvm/ADT/STLFunctionalExtras.h>

#include "ir/graph.h"
#include "jit/llvm/lanes.h"

namespace tenon::llvm_engine {

struct NextRow {
    NodeId row;                 ///< the variable of the loop over rows
    std::vector<NodeId> loads;  ///< that ask for the next row, too
};
/// Of a serial loop's region: the loads along the row by the last vector loop or fold over lanes that reads their buffer; none
/// where the region folds no rows.
NextRow next_row(const Graph&, const Region& rows);

/// What is added to a position when a variable that it is affine in grows by one; null: nothing. `index`: of what does not move.
llvm::Value* distance(IRBuilder&, const Graph&, NodeId position, NodeId variable,
                      llvm::function_ref<llvm::Value*(NodeId)> index);

}  // namespace tenon::llvm_engine
