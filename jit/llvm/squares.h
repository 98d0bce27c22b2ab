// Memory that lies along the loop around a vector loop: read in squares of lines, which are transposed in registers.
#pragma once
#include <optional>
#include <vector>

#include "ir/graph.h"
#include "jit/llvm/lanes.h"

namespace tenon::llvm_engine {

struct Squares {
    NodeId vector;  ///< the vector loop, alone but for arithmetic on positions in the region of the loop around it
    std::vector<NodeId> loads;  ///< in its body: elements a stride apart along it, neighbours along the loop around it
};
/// What can be read in squares in the loop `around`; nothing where that is not worth its while.
std::optional<Squares> find_squares(const Graph& graph, NodeId around);

/// Can lines of so many elements be transposed, as many of them, of elements of so many bits?
bool can_transpose(int64_t lanes, unsigned bits);
/// Element r of vector k comes to be element k of vector r.
std::vector<llvm::Value*> transposed(IRBuilder& builder, std::vector<llvm::Value*> lines);

}  // namespace tenon::llvm_engine
