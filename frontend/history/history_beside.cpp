#include "frontend/history/history_beside.h"

#include <vector>

#include "frontend/compile/graph_cache.h"
#include "frontend/history/graph_paths.h"

namespace tenon {

bool HistoryBeside::leads(const Edge& edge) {
    std::vector<Result> stack;
    std::set<Result> seen;
    auto found = [&](const Edge& to) {
        if (to.leaf) return is_beside(*to.leaf);
        if (to.entry && !without_.contains({to.entry.get(), to.output}) &&
            seen.insert({to.entry.get(), to.output}).second)
            stack.emplace_back(to.entry.get(), to.output);
        return false;
    };
    if (found(edge)) return true;
    while (!stack.empty()) {
        const auto [entry, output] = stack.back();
        stack.pop_back();
        if (!entry->unfolded.empty()) {
            if (found(entry->unfolded[output])) return true;
            continue;
        }
        std::vector<bool> reached;  // of an op: all that was wanted
        if (entry->graph && !entry->graph->is_op()) {
            std::vector<bool> present(entry->outputs.size());
            present[output] = true;
            reached = reached_from(*entry->graph, present);
        }
        for (size_t k = 0; k < entry->edges.size(); ++k) {
            if ((reached.empty() || reached[k]) && found(entry->edges[k])) return true;
        }
    }
    without_.merge(seen);
    return false;
}

}  // namespace tenon
