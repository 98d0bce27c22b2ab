// vmap of scan: a scan whose turns are for the whole batch.
#include <algorithm>

#include "ir/differentiate/batching.h"
#include "ir/differentiate/regions.h"
#include "ir/row.h"

namespace tenon {

NodeId scan_batching(Batching& b) {
    const ScanForm form(b.attributes());
    const GraphRef region = b.region(0);
    const size_t operands = region->params().size();
    const auto is_sliced = [&](size_t k) { return k >= form.carried && k < form.carried + form.sliced; };

    std::vector<bool> batched, differs;
    for (size_t k = 0; k < operands; ++k) batched.push_back(b.batched(k));
    for (bool again = true; again;) {  // what a turn leaves the next one gets
        again = false;
        differs = differs_per_example(*region, batched);
        for (size_t k = 0; k < form.carried; ++k) {
            if (batched[k] || !differs[region->results()[k].index]) continue;
            batched[k] = again = true;
        }
    }
    std::vector<int> in_axes, out_axes;
    for (bool is_batched : batched) in_axes.push_back(is_batched ? 0 : -1);
    for (size_t k = 0; k < region->results().size(); ++k)
        out_axes.push_back(k < form.carried ? in_axes[k] : differs[region->results()[k].index] ? 0 : -1);
    const GraphRef whole = batch_flat(*region, {b.size(), in_axes, out_axes});

    // Slices and stacks have the turn before the batch.
    const auto turned = [&](NodeId value) {
        AttrList axes{AttrValue(int64_t{1}), AttrValue(int64_t{0})};
        for (size_t d = 2; d < b.type_of(value).rank(); ++d) axes.push_back(AttrValue(int64_t(d)));
        return b.permute(value, std::move(axes));
    };
    std::vector<NodeId> values;
    for (size_t k = 0; k < operands; ++k) {
        const NodeId value = batched[k] ? b.whole(k) : b.operand(k);
        values.push_back(batched[k] && is_sliced(k) ? turned(value) : value);
    }
    std::vector<NodeId> results = b.results_of(b.again(values, b.attr(), {{whole}}));
    for (size_t k = 0; k < results.size(); ++k) {
        if (out_axes[k] < 0) results[k] = b.expand(results[k], b.batch_of(b.type_of(results[k]).sizes));
        else if (k >= form.carried) results[k] = turned(results[k]);
    }
    return b.emit(op<"tuple">(), results);
}

}  // namespace tenon
