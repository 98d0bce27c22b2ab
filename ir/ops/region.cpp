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
        if (type.rank() == 0 || (!form.saved_at(k) && !i.equal(type.sizes[0], form.turns)))
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

std::vector<TypeId> cond_parameters(Infer& i, unsigned) {
    for (size_t k = 0; k < i.operands.size(); ++k) require_tensor(i, k);
    if (i.type(0).dtype != DType::boolean || i.type(0).rank() > 0)
        i.fail("type", fmt::format("the condition of cond is bool[], not {}", i.show(i.operands[0])));
    return {i.operands.begin() + 1, i.operands.end()};
}

TypeId cond_rule(Infer& i) {
    const size_t count = i.region_sizes[0];
    if (count != i.region_sizes[1])
        i.fail("arity", fmt::format("one side of cond gives {} values, the other one {}", count, i.region_sizes[1]));
    for (size_t k = 0; k < count; ++k) {
        const Type &a = i.context[i.region_results[k]], &b = i.context[i.region_results[count + k]];
        if (a.dtype != b.dtype || !same_sizes(i, a.sizes, b.sizes))
            i.fail("type", fmt::format("one side of cond gives {}, the other one {}", i.show(i.region_results[k]),
                                       i.show(i.region_results[count + k])));
    }
    return i.context.tuple(i.region_results.first(count));
}

std::vector<TypeId> loop_parameters(Infer& i, unsigned) {
    const LoopForm form(i.attributes());
    if (form.carried > i.operands.size())
        i.fail("arity", fmt::format("while_loop carries {}, but has {} operands", form.carried, i.operands.size()));
    for (size_t k = 0; k < i.operands.size(); ++k) require_tensor(i, k);
    return {i.operands.begin(), i.operands.end()};
}

TypeId loop_rule(Infer& i) {
    const LoopForm form(i.attributes());
    const auto condition = i.region_results.first(i.region_sizes[0]), left = i.region_results.subspan(condition.size());
    if (condition.size() != 1 || i.context[condition[0]].dtype != DType::boolean || i.context[condition[0]].rank() > 0)
        i.fail("type", "the condition of while_loop gives one bool[]");
    if (left.size() < form.carried || (left.size() > form.carried && !form.is_bounded()))
        i.fail("arity", fmt::format("while_loop carries {}, but a turn leaves {}", form.carried, left.size()));
    std::vector<TypeId> values(i.operands.begin(), i.operands.begin() + ptrdiff_t(form.carried));
    for (size_t k = 0; k < form.carried; ++k) {
        const Type &result = i.context[left[k]], &carried = i.type(k);
        if (result.dtype != carried.dtype || !same_sizes(i, result.sizes, carried.sizes))
            i.fail("type",
                   fmt::format("a turn of while_loop gets {} and leaves {}", i.show(i.operands[k]), i.show(left[k])));
    }
    if (form.is_bounded()) values.push_back(i.context.tensor(DType::i64, {}));
    for (TypeId saved : left.subspan(form.carried)) {
        Type stack = i.context[saved];
        stack.sizes.insert(stack.sizes.begin(), SizeId(form.max_turns));
        values.push_back(i.context.type(std::move(stack)));
    }
    return i.context.tuple(values);
}

// clang-format off
const Row region_table[] = {
    {.name = "scan", .doc = "a region turn by turn: what one turn leaves the next one gets; stacks of what turns give",
     .min_operands = 0, .max_operands = -1, .result = scan_rule, .regions = 1, .parameters = scan_parameters,
     .control = ControlFlow::turns, .reach = scan_reach,
     .lowering = Lowering::regions, .gradient = scan_gradient, .batching = scan_batching},
    {.name = "cond", .doc = "one of two regions: the first where operand 0 is true",
     .min_operands = 1, .max_operands = -1, .result = cond_rule, .regions = 2, .parameters = cond_parameters,
     .control = ControlFlow::branch, .reach = cond_reach,
     .lowering = Lowering::regions, .gradient = cond_gradient, .batching = cond_batching},
    {.name = "while_loop", .doc = "the second region turn by turn, as long as the first gives true",
     .min_operands = 0, .max_operands = -1, .result = loop_rule, .regions = 2, .parameters = loop_parameters,
     .control = ControlFlow::loop, .reach = loop_reach,
     .lowering = Lowering::regions, .may_fail = true, .gradient = loop_gradient, .batching = loop_batching},
};
// clang-format on

}  // namespace

std::span<const Row> region_rows() { return region_table; }

}  // namespace tenon
