// What the interpreter is told of products and scatters of blocks.
#pragma once

#include "ir/loops.h"
#include "jit/blocks/block_program.h"
#include "runtime/function_ref.h"

namespace tenon {

/// By node: the number of a buffer, or the register of an index.
using NumberOf = FunctionRef<int32_t(NodeId)>;

inline ProductPlan product_plan(const Graph& graph, NodeId id, InstructionSet instructions, NumberOf buffer,
                                NumberOf index) {
    using namespace product_operand;
    const auto at_index = [&](size_t operand) { return index(graph.operand(id, operand)); };
    const auto tile = [&](size_t operand, size_t row) {
        return ProductPlan::Tile{buffer(graph.operand(id, operand)), at_index(operand + 1), at_index(row)};
    };
    return {contract::find_tile_function(graph.type(graph.operand(id, c)).dtype, instructions),
            tile(a, a_row),
            tile(b, b_row),
            tile(c, c_row),
            at_index(a_column),
            at_index(m),
            at_index(n),
            at_index(k),
            graph.attributes(id).flag("accumulate")};
}

inline ScatterPlan scatter_plan(const Graph& graph, NodeId id, NumberOf buffer, NumberOf index) {
    using namespace scatter_operand;
    const auto memory = [&](size_t operand) { return buffer(graph.operand(id, operand)); };
    const auto at_index = [&](size_t operand) { return index(graph.operand(id, operand)); };
    return {contract::find_scatter_function(graph.type(graph.operand(id, to)).dtype),
            memory(to),
            memory(places),
            memory(terms),
            at_index(at),
            at_index(line),
            at_index(m),
            at_index(n)};
}

}  // namespace tenon
