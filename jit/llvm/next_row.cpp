#include "jit/llvm/next_row.h"

#include <map>

#include "ir/row.h"
#include "jit/slope.h"

namespace tenon::llvm_engine {

NextRow next_row(const Graph& graph, const Region& rows) {
    NextRow next{graph.params(rows)[0], {}};
    bool folds = false;
    std::map<uint32_t, std::vector<NodeId>> last;  // by buffer
    for (NodeId loop : graph.body(rows)) {
        const bool is_fold = graph[loop].op == op<"fold">();
        if (!is_fold && graph[loop].op != op<"for">()) continue;
        if (graph.attributes(loop).text(is_fold ? "order" : "kind") != (is_fold ? "lanes" : "vector")) continue;
        folds |= is_fold;
        const Region& region = graph.region_of(loop);
        std::map<uint32_t, std::vector<NodeId>> found;
        for (NodeId id : graph.body(region)) {
            if (graph[id].op != op<"load">()) continue;
            const NodeId position = graph.operand(id, 1);
            const Slope slope = slope_of(graph, position, next.row);
            const bool moves = slope.kind != Slope::Kind::none && slope.is_affine();
            if (moves && slope_of(graph, position, graph.params(region)[0]).is(1))
                found[graph.operand(id, 0).index].push_back(id);
        }
        for (auto& [buffer, loads] : found) last[buffer] = std::move(loads);
    }
    if (folds)
        for (const auto& [buffer, loads] : last) next.loads.insert(next.loads.end(), loads.begin(), loads.end());
    return next;
}

llvm::Value* distance(IRBuilder& here, const Graph& graph, NodeId position, NodeId variable,
                      llvm::function_ref<llvm::Value*(NodeId)> index) {
    if (position == variable) return here.getInt64(1);
    if (slope_of(graph, position, variable).kind == Slope::Kind::none) return nullptr;
    const NodeId a = graph.operand(position, 0), b = graph.operand(position, 1);
    llvm::Value *of_a = distance(here, graph, a, variable, index), *of_b = distance(here, graph, b, variable, index);
    switch (row(graph[position].op).index_op) {
        case IndexOp::add: return !of_a ? of_b : !of_b ? of_a : here.CreateAdd(of_a, of_b);
        case IndexOp::sub: return !of_b ? of_a : here.CreateSub(of_a ? of_a : here.getInt64(0), of_b);
        default: return here.CreateMul(of_a ? of_a : of_b, index(of_a ? b : a));
    }
}

}  // namespace tenon::llvm_engine
