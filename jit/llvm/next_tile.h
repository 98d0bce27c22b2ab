// Tiles of lines that are transposed in registers: no prefetcher of a processor follows a few lines of each of many rows, so
// the next tile is asked for while this one is computed.
#pragma once
#include <optional>
#include <span>

#include <llvm/ADT/STLFunctionalExtras.h>

#include "ir/graph.h"
#include "jit/llvm/lanes.h"

namespace tenon::llvm_engine {

/// A serial loop in steps, at one of its turns.
struct TileLoop {
    NodeId variable;
    llvm::Value *first, *low, *high;  // the turn's value, and the loop's bounds
    int64_t step;
};

class NextTile {
public:
    /// Of the tile whose loops are `around` and in it `vector`; `tiles`: the loops in steps that it stands in, outermost
    /// first. Nothing where the last two of them are not its own.
    static std::optional<NextTile> of(IRBuilder&, const Graph&, std::span<const TileLoop> tiles, NodeId around,
                                      NodeId vector);
    /// How many elements on lies what stands at this position of the next tile; null where that is not known. `index`: of
    /// what does not move.
    llvm::Value* distance(IRBuilder&, const Graph&, NodeId position,
                          llvm::function_ref<llvm::Value*(NodeId)> index) const;

private:
    NodeId line_, lane_;           // the variables of the tile's loops
    llvm::Value *lines_, *lanes_;  // how much further these are in the next tile
};

}  // namespace tenon::llvm_engine
