#include "jit/llvm/vector_facts.h"

#include <algorithm>

#include "ir/row.h"
#include "ir/scalar/program.h"

namespace tenon::llvm_engine {

namespace {

struct Contents {
    size_t widest = 1;           // bytes of an element in a register
    size_t smallest_access = 8;  // bytes of an element in memory
    size_t scalar_ops = 0;
    bool folds_rows = false;
    bool draws = false;
};

void look(const Graph& graph, const Region& region, Contents& found) {
    for (NodeId id : graph.body(region)) {
        const Node& n = graph[id];
        const Type& type = graph.type(id);
        if (n.op == op<"store">() || n.op == op<"load">())
            found.smallest_access = std::min(found.smallest_access, size_of(graph.type(graph.operand(id, 0)).dtype));
        if (type.kind == Type::Kind::scalar || type.kind == Type::Kind::tensor) {
            const size_t bytes = type.dtype == DType::f16 || type.dtype == DType::bf16 ? 4 : size_of(type.dtype);
            found.widest = std::max(found.widest, bytes);
            found.scalar_ops += n.op != op<"load">();
        }
        // (Of rows on i64 alone it is asked.)
        if (row(n.op).dtypes == DTypes::counts) found.draws |= scalar::find_function(row(n.op).name)->is_drawn;
        found.folds_rows |= n.op == op<"fold">();
        for (unsigned k = 0; k < n.regions; ++k) look(graph, graph.region_of(id, k), found);
    }
}

Contents contents_of(const Graph& graph, const Region& region) {
    Contents found;
    look(graph, region, found);
    return found;
}

}  // namespace

int64_t register_lanes(const Graph& graph, const Region& region, const VectorFacts& facts) {
    return facts.bytes / int64_t(std::max<size_t>(contents_of(graph, region).widest, 2));
}

int64_t vector_lanes(const Graph& graph, const Region& region, const VectorFacts& facts, std::optional<int64_t> count) {
    const Contents found = contents_of(graph, region);
    int64_t lanes = facts.bytes / int64_t(std::max<size_t>(found.widest, 2));
    // Four accumulators a row: additions wait for each other, loads of one row lie side by side.
    // What is drawn: a register of counters gives as many elements (jit/routines/drawn.h).
    if ((found.folds_rows && found.scalar_ops <= 6) || found.draws) lanes *= 4;
    while (count && lanes > 1 && lanes / 2 >= *count) lanes /= 2;
    return lanes;
}

bool can_mask(const Graph& graph, const Region& region, const VectorFacts& facts) {
    return facts.masks_small || contents_of(graph, region).smallest_access >= 4;
}

std::optional<int64_t> most_turns(const Graph& graph, NodeId loop) {
    const NodeId low = graph.operand(loop, 0), high = graph.operand(loop, 1);
    if (row(graph[high].op).index_op != IndexOp::minimum) return std::nullopt;
    for (NodeId bound : graph.operands_of(high)) {
        if (row(graph[bound].op).index_op != IndexOp::add) continue;
        for (size_t k = 0; k < 2; ++k) {
            const NodeId more = graph.operand(bound, k);
            if (graph.operand(bound, 1 - k) != low || graph[more].op != op<"extent">()) continue;
            if (const auto size = graph.context->as_constant(graph.attributes(more).size("value"))) return *size;
        }
    }
    return std::nullopt;
}

}  // namespace tenon::llvm_engine
