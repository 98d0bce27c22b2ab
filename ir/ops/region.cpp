// Rows with regions: control flow on tensors, which the executor follows. What a region captures are operands.
#include "ir/regions.h"

#include <fmt/format.h>

#include "ir/differentiate/regions.h"
#include "ir/ops/tables.h"

namespace tenon {

namespace {

ScanForm scan_form(Infer& i) {
    const ScanForm form(i.attributes());
    if (form.carried + form.sliced > i.operands.size())
        i.fail("arity", fmt::format("scan carries {} and slices {}, but has {} operands", form.carried, form.sliced,
                                    i.operands.size()));
    for (size_t k = 0; k < i.operands.size(); ++k) require_tensor(i, k);
    return form;
}

std::vector<TypeId> scan_parameters(Infer& i, unsigned) {
    const ScanForm form = scan_form(i);
    std::vector<TypeId> types(i.operands.begin(), i.operands.end());
    for (size_t k = form.carried; k < form.carried + form.sliced; ++k) {
        Type type = i.type(k);
        if (type.rank() == 0 || !i.equal(type.sizes[0], form.turns))
            i.fail("shape",
                   fmt::format("scan has {} turns, but takes slices of {}", i.show(form.turns), i.show(i.operands[k])));
        type.sizes.erase(type.sizes.begin());
        types[k] = i.context.type(std::move(type));
    }
    return types;
}

TypeId scan_rule(Infer& i) {
    const ScanForm form = scan_form(i);
    if (i.region_results.size() < form.carried)
        i.fail("arity", fmt::format("scan carries {}, but its region gives {}", form.carried, i.region_results.size()));
    std::vector<TypeId> values;
    for (size_t k = 0; k < i.region_results.size(); ++k) {
        const Type& result = i.context[i.region_results[k]];
        if (k < form.carried) {
            const Type& carried = i.type(k);
            if (result.dtype != carried.dtype || !same_sizes(i, result.sizes, carried.sizes))
                i.fail("type", fmt::format("a turn of scan gets {} and gives {}", i.show(i.operands[k]),
                                           i.show(i.region_results[k])));
            values.push_back(i.operands[k]);
            continue;
        }
        Type stack = result;
        stack.sizes.insert(stack.sizes.begin(), form.turns);
        values.push_back(i.context.type(std::move(stack)));
    }
    return i.context.tuple(values);
}

// clang-format off
const Row region_table[] = {
    {.name = "scan", .doc = "a region turn by turn: what one turn leaves the next one gets; stacks of what turns give",
     .min_operands = 0, .max_operands = -1, .result = scan_rule, .regions = 1, .parameters = scan_parameters,
     .lowering = Lowering::regions, .gradient = scan_gradient, .batching = scan_batching},
};
// clang-format on

}  // namespace

std::span<const Row> region_rows() { return region_table; }

}  // namespace tenon
