#include "ir/schedule/crossing.h"

#include <algorithm>

namespace tenon {

bool cross_nests(const Context& context, std::vector<KernelWriter::PlannedNest>& nests) {
    if (nests.size() < 2) return false;
    const auto ordered = [&](const Nest& nest, std::string_view order) {
        return nest.order && context.text(nest.order) == order;
    };
    const auto over_chunks = [](const NestLoop& l) { return l.first == 0 && l.count == 1; };
    const Nest &rows = *nests[0].nest, &first = *nests[1].nest;
    if (!ordered(rows, "lanes") || rows.chunk || rows.folded) return false;
    if (nests[0].loops.size() != 1 || nests[0].loops[0].extent != first.reduced) return false;
    size_t count = 0;
    for (; 1 + count < nests.size(); ++count) {
        const Nest& columns = *nests[1 + count].nest;
        if (!columns.chunk || !ordered(columns, "rows")) break;
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
