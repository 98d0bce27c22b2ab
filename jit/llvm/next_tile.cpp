#include "jit/llvm/next_tile.h"

#include "jit/llvm/next_row.h"
#include "jit/slope.h"

namespace tenon::llvm_engine {

std::optional<NextTile> NextTile::of(IRBuilder& here, const Graph& graph, std::span<const TileLoop> tiles,
                                     NodeId around, NodeId vector) {
    if (tiles.size() < 2) return std::nullopt;
    const TileLoop &down = tiles[tiles.size() - 2], &along = tiles.back();
    if (graph.operand(around, 0) != along.variable || graph.operand(vector, 0) != down.variable) return std::nullopt;
    // The next along the lines, and after the last one the first of the next lanes.
    llvm::Value* step = here.getInt64(uint64_t(along.step));
    llvm::Value* is_last = here.CreateICmpSGE(here.CreateAdd(along.first, step), along.high);
    NextTile next;
    next.line_ = graph.params(graph.region_of(around))[0];
    next.lane_ = graph.params(graph.region_of(vector))[0];
    next.lines_ = here.CreateSelect(is_last, here.CreateSub(along.low, along.first), step);
    next.lanes_ = here.CreateSelect(is_last, here.getInt64(uint64_t(down.step)), here.getInt64(0));
    return next;
}

llvm::Value* NextTile::distance(IRBuilder& here, const Graph& graph, NodeId position,
                                llvm::function_ref<llvm::Value*(NodeId)> index) const {
    llvm::Value* sum = nullptr;
    for (const auto& [variable, by] : {std::pair(line_, lines_), std::pair(lane_, lanes_)}) {
        if (!slope_of(graph, position, variable).is_affine()) return nullptr;
        llvm::Value* each = tenon::llvm_engine::distance(here, graph, position, variable, index);
        if (!each) continue;
        llvm::Value* moved = here.CreateMul(each, by);
        sum = sum ? here.CreateAdd(sum, moved) : moved;
    }
    return sum;
}

}  // namespace tenon::llvm_engine
