// Effects keep their order among each other, whatever passes do.
#include <algorithm>

#include "ir/differentiate/batching.h"
#include "ir/ops/tables.h"

namespace tenon {

namespace {

TypeId assert_rule(Infer& i) {
    if (i.type(0).dtype != DType::boolean || i.type(0).rank() != 0)
        i.fail("type", "assert needs one bool, but its condition is " + i.show(i.operands[0]),
               "reduce it with all(...) or any(...)");
    return i.context.none();
}

TypeId commit_rule(Infer& i) {
    const Type &input = i.type(0), &value = i.type(1);
    const bool fits = input.kind == value.kind && input.dtype == value.dtype && input.device == value.device &&
                      same_sizes(i, input.sizes, value.sizes);
    if (!fits)
        i.fail("shape", "commit writes a value of the input's own type " + i.show(i.operands[0]) + ", but it is " +
                            i.show(i.operands[1]));
    return i.context.none();
}

NodeId assert_batching(Batching& b) {  // it holds for every example
    const AttrId first = b.attr({{"axes", AttrList{int64_t(0)}}, {"keepdim", false}});
    return b.again({b.emit(op<"all">(), {b.operand(0)}, first)}, b.attr());
}

constexpr Row effect(Row r, int operands) {
    r.min_operands = r.max_operands = int8_t(operands);
    return r;
}

// clang-format off
const Row effect_table[] = {
    effect({.name = "assert", .doc = "stops the graph where its condition is false", .effect = Effect::asserts, .dtypes = DTypes::boolean, .result = assert_rule,
            .no_gradient = "it is an effect", .batching = assert_batching}, 1),
    effect({.name = "commit", .doc = "writes a value into the memory of an input", .effect = Effect::commits, .result = commit_rule,
            .no_gradient = "it is an effect; the value written is differentiated",
            .no_batching = "the memory of an input holds one value, and a batch would write many"}, 2),
};
// clang-format on

}  // namespace

std::span<const Row> effect_rows() { return effect_table; }

}  // namespace tenon
