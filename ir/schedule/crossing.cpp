#include "ir/schedule/crossing.h"

#include <algorithm>

namespace tenon {

namespace {
bool has_order(const Context& context, const Nest& nest, std::string_view order) {
    return nest.order && context.text(nest.order) == order;
}
}  // namespace

void bind_rows(const Context& context, std::span<const Nest> plan, const Nest& nest, Expressions& e) {
    if (!has_order(context, plan[0], "lanes")) return;
    const bool reads = nest.chunk && has_order(context, nest, "rows");
    for (const NestStore& s : plan[0].stores) {
        if (s.kind == NestStore::Kind::partial) continue;
        if (reads) e.bind(s.value, s.buffer);
        else e.unbind(s.value);
    }
}

bool cross_nests(const Context& context, std::vector<KernelWriter::PlannedNest>& nests) {
    if (nests.size() < 2) return false;
    const auto over_chunks = [](const NestLoop& l) { return l.first == 0 && l.count == 1; };
    const Nest &rows = *nests[0].nest, &first = *nests[1].nest;
    if (!has_order(context, rows, "lanes") || rows.chunk || rows.folded) return false;
    if (nests[0].loops.size() != 1 || nests[0].loops[0].extent != first.reduced) return false;
    size_t count = 0;
    for (; 1 + count < nests.size(); ++count) {
        const Nest& columns = *nests[1 + count].nest;
        if (!columns.chunk || !has_order(context, columns, "rows")) break;
        const std::vector<NestLoop>& loops = nests[1 + count].loops;
        if (loops.size() != 2 || over_chunks(loops[0]) == over_chunks(loops[1])) return false;
    }
    if (count == 0) return false;
    NestLoop& row = nests[0].loops[0];
    row = {row.first, row.count, row.extent};
    for (size_t k = 1; k <= count; ++k) {
        std::vector<NestLoop>& loops = nests[k].loops;
        if (!over_chunks(loops[0])) std::swap(loops[0], loops[1]);
        loops[0] = {0, 1, loops[0].extent, LoopKind::parallel};
        loops[1] = {loops[1].first, loops[1].count, loops[1].extent, LoopKind::vector};
    }
    nests[0].crossing = count;
    return true;
}

}  // namespace tenon
