// From which values of nodes with regions a gradient leads to which operands.
#include <algorithm>
#include <cstdint>

#include "ir/build/copier.h"
#include "ir/differentiate/gradient.h"
#include "ir/differentiate/regions.h"

namespace tenon {

std::vector<bool> results_that_reach(const Graph& region, const std::vector<bool>& parameters) {
    Builder builder(*region.context);
    Copier copy(region, builder);
    copy.copy_params();
    copy.copy_body();
    std::vector<NodeId> wrt;
    for (size_t k = 0; k < parameters.size(); ++k)
        if (parameters[k]) wrt.push_back(builder.params()[k]);
    const std::vector<bool> depends = dependents(builder, wrt);
    std::vector<bool> reaching;
    for (NodeId r : region.results()) {
        const NodeId result = copy(r);
        reaching.push_back(result.index < depends.size() && depends[result.index]);
    }
    return reaching;
}

std::vector<bool> carries_that_reach(const Graph& region, size_t carried, std::vector<bool>& parameters) {
    for (;;) {
        const std::vector<bool> results = results_that_reach(region, parameters);
        bool again = false;
        for (size_t k = 0; k < carried; ++k)
            if (results[k] && !parameters[k]) parameters[k] = again = true;
        if (!again) return results;
    }
}

Reach reach_of(const Graph& region, std::span<const size_t> parameters) {
    Reach reach{std::vector(parameters.size(), std::vector<bool>(region.results().size())), {}};
    std::vector<uint64_t> reaches(region.nodes.size());  // by node: parameters, 64 at a time
    for (size_t first = 0; first < parameters.size(); first += 64) {
        std::fill(reaches.begin(), reaches.end(), 0);
        const size_t count = std::min<size_t>(64, parameters.size() - first);
        for (size_t k = 0; k < count; ++k) reaches[region.params()[parameters[first + k]].index] |= uint64_t{1} << k;
        for (NodeId id : region.body()) {
            const Row& r = row(region[id].op);
            if ((region[id].flags & no_grad_flag) || r.stops_gradient ||
                !is_differentiable(*region.context, region[id].type))
                continue;
            uint64_t mine = 0;
            for (NodeId operand : region.operands_of(id)) mine |= reaches[operand.index];
            reaches[id.index] = mine;
            if (mine && !r.gradient) reach.without_gradient = r.name;
        }
        for (size_t k = 0; k < count; ++k)
            for (size_t j = 0; j < region.results().size(); ++j)
                reach.from[first + k][j] = reaches[region.results()[j].index] >> k & 1;
    }
    return reach;
}

static std::vector<bool> marked(size_t count, std::span<const size_t> which) {
    std::vector<bool> marks(count);
    for (size_t k : which) marks[k] = true;
    return marks;
}

std::vector<bool> scan_reach(std::span<const GraphRef> regions, const Attributes& attributes,
                             std::span<const size_t> operands) {
    std::vector<bool> parameters = marked(regions[0]->params().size(), operands);
    return carries_that_reach(*regions[0], ScanForm(attributes).carried, parameters);
}

std::vector<bool> cond_reach(std::span<const GraphRef> regions, const Attributes&, std::span<const size_t> operands) {
    std::vector<bool> all = marked(regions[0]->params().size() + 1, operands);
    all.erase(all.begin());  // the condition
    std::vector<bool> reaching = results_that_reach(*regions[0], all);
    const std::vector<bool> others = results_that_reach(*regions[1], all);
    for (size_t k = 0; k < reaching.size(); ++k) reaching[k] = reaching[k] || others[k];
    return reaching;
}

std::vector<bool> loop_reach(std::span<const GraphRef> regions, const Attributes& attributes,
                             std::span<const size_t> operands) {
    const LoopForm form(attributes);
    std::vector<bool> parameters = marked(regions[1]->params().size(), operands);
    std::vector<bool> reaching = carries_that_reach(*regions[1], form.carried, parameters);
    for (size_t k = 0; k < form.carried; ++k)  // without turns what is carried is what it was
        reaching[k] = parameters[k];
    if (form.is_bounded()) reaching.insert(reaching.begin() + ptrdiff_t(form.carried), false);
    return reaching;
}

}  // namespace tenon
