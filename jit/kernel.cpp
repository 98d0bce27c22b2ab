#include "jit/kernel.h"

#include <algorithm>
#include <cassert>
#include <unordered_map>

#include "ir/index_arithmetic.h"
#include "runtime/dtype.h"

namespace tenon {

namespace {

Type::Kind kind_of(const Graph& g, NodeId id) { return g.type(id).kind; }
// An op on literals alone has a tensor type of rank 0.
bool is_scalar(const Graph& g, NodeId id) {
    return kind_of(g, id) == Type::Kind::scalar || kind_of(g, id) == Type::Kind::tensor;
}

void visit(const Graph& g, const Region& region, const auto& callback) {
    for (NodeId id : g.body(region)) {
        callback(id);
        for (unsigned k = 0; k < g[id].regions; ++k) visit(g, g.region_of(id, k), callback);
    }
}

// Are they the same arithmetic on the same indices?
bool same_index(const Graph& g, NodeId a, NodeId b) {
    std::vector<std::pair<NodeId, NodeId>> pairs{{a, b}};
    std::unordered_map<uint32_t, NodeId> paired;  // met already: indices are shared
    while (!pairs.empty()) {
        const auto [s, t] = pairs.back();
        pairs.pop_back();
        if (s == t) continue;
        if (const auto [known, fresh] = paired.try_emplace(s.index, t); !fresh && known->second == t) continue;
        const Node &x = g[s], &y = g[t];
        if (x.op != y.op || x.attr != y.attr || x.type != y.type || x.regions || y.regions) return false;
        if (x.op == op<"param">() || x.op == op<"load">()) return false;
        const auto p = g.operands_of(s), q = g.operands_of(t);
        if (p.size() != q.size()) return false;
        for (size_t k = 0; k < p.size(); ++k) pairs.emplace_back(p[k], q[k]);
    }
    return true;
}

}  // namespace

KernelInfo analyse_kernel(const Graph& g, NodeId kernel) {
    KernelInfo info;
    const Region& region = g.region_of(kernel);
    info.operands = g[kernel].operands.count;
    info.results = region.params.count - info.operands;
    info.updates = int32_t(g.attributes(kernel).integer_or("updates", -1));
    visit(g, region, [&](NodeId id) {
        const Node& node = g[id];
        if (node.op == op<"extent">()) {
            const SizeId size = g.attributes(id).size("value");
            if (!g.context->as_constant(size) &&
                std::find(info.extents.begin(), info.extents.end(), size) == info.extents.end())
                info.extents.push_back(size);
        }
        if (row(node.op).lowering == Lowering::scalar && is_scalar(g, id)) info.arithmetic += row(node.op).cost;
        if (row(node.op).may_fail && is_scalar(g, id) && is_integer(g.type(id).dtype) && !info.may_fault) {
            info.may_fault = true;
            info.faulting = id;
        }
    });
    bool open = false;  // is the last stage one of scalar code?
    for (NodeId id : g.body(region)) {
        if (g[id].op == op<"for">()) {
            KernelStage stage;
            stage.nodes = {id};
            stage.loop = true;
            stage.parallel = g.attributes(id).text("kind") == "parallel";
            stage.step = g.attributes(id).integer_or("step", 1);
            stage.low = g.operand(id, 0);
            stage.high = g.operand(id, 1);
            visit(g, g.region_of(id), [&](NodeId inside) {
                if (g[inside].op == op<"scratch">()) info.scratch.push_back({inside, uint32_t(info.stages.size())});
            });
            info.stages.push_back(std::move(stage));
            open = false;
            continue;
        }
        if (is_static_index(g, id)) continue;
        if (!open) info.stages.emplace_back();
        open = true;
        info.stages.back().nodes.push_back(id);
        if (is_scalar(g, id) || kind_of(g, id) == Type::Kind::index) info.scalars.push_back(id);
    }
    return info;
}

bool is_static_index(const Graph& g, NodeId id) {
    if (g[id].op == op<"extent">() || g[id].op == op<"constant">()) return true;
    if (kind_of(g, id) != Type::Kind::index || g[id].op == op<"position">() || g[id].op == op<"param">()) return false;
    const auto operands = g.operands_of(id);
    return std::all_of(operands.begin(), operands.end(), [&](NodeId o) { return is_static_index(g, o); });
}

int64_t evaluate_index(const Graph& g, NodeId id, const KernelInfo& info, std::span<const int64_t> extents) {
    const Op o = g[id].op;
    if (o == op<"constant">()) return g.attributes(id).integer("value");
    if (o == op<"extent">()) {
        const SizeId size = g.attributes(id).size("value");
        if (const auto constant = g.context->as_constant(size)) return *constant;
        const auto found = std::find(info.extents.begin(), info.extents.end(), size);
        return extents[size_t(found - info.extents.begin())];
    }
    const int64_t a = evaluate_index(g, g.operand(id, 0), info, extents),
                  b = evaluate_index(g, g.operand(id, 1), info, extents);
    const IndexOp index_op = row(o).index_op;
    if (divides(index_op) && b == 0) return 0;  // along a dimension without positions
    return apply(index_op, a, b);
}

int64_t stage_trips(const Graph& g, const KernelStage& stage, const KernelInfo& info,
                    std::span<const int64_t> extents) {
    if (!stage.loop) return 1;
    const int64_t low = evaluate_index(g, stage.low, info, extents),
                  high = evaluate_index(g, stage.high, info, extents);
    return high > low ? (high - low - 1) / stage.step + 1 : 0;
}

std::vector<size_t> scratch_offsets(const Graph& g, const KernelInfo& info, std::span<const int64_t> extents) {
    constexpr size_t line = 64;
    std::vector<size_t> offsets;
    size_t here = 0, all = 0;
    for (size_t k = 0; k < info.scratch.size(); ++k) {
        const NodeId id = info.scratch[k].node;
        if (k > 0 && info.scratch[k].stage != info.scratch[k - 1].stage) here = 0;
        offsets.push_back(here);
        const size_t bytes = size_t(evaluate_index(g, g.operand(id, 0), info, extents)) * size_of(g.type(id).dtype);
        here += (bytes + line - 1) / line * line;
        all = std::max(all, here);
    }
    offsets.push_back(all);
    return offsets;
}

bool can_run_in_place(const Graph& g, NodeId kernel, InPlace pair) {
    const Region& region = g.region_of(kernel);
    const NodeId read = g.params(region)[pair.operand],
                 written = g.params(region)[g[kernel].operands.count + pair.result];
    // No element may be read once an iteration other than its own may have written it.
    bool stored = false, fits = true;
    for (NodeId top : g.body(region)) {
        std::vector<NodeId> loads, stores;
        const auto look = [&](NodeId id) {
            if (g[id].op == op<"product">() || g[id].op == op<"scatter">())
                for (NodeId o : g.operands_of(id)) fits &= o != read && o != written;
            if (g[id].op == op<"load">() && g.operand(id, 0) == read) {
                fits &= stores.empty();
                loads.push_back(id);
            }
            if (g[id].op == op<"load">() && g.operand(id, 0) == written) fits &= loads.empty();
            if (g[id].op == op<"store">() && g.operand(id, 0) == written) stores.push_back(id);
        };
        look(top);
        for (unsigned k = 0; k < g[top].regions; ++k) visit(g, g.region_of(top, k), look);
        for (NodeId load : loads) {
            const auto here = [&](NodeId store) { return same_index(g, g.operand(load, 1), g.operand(store, 1)); };
            fits &= std::all_of(stores.begin(), stores.end(), here);
            fits &= !stored;  // by an earlier nest
        }
        stored |= !stores.empty();
    }
    return fits;
}

}  // namespace tenon
