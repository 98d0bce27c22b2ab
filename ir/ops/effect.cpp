// Effects keep their order among each other, whatever passes do.
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
    if (i.operands[0] != i.operands[1])
        i.fail("shape", "commit writes a value of the input's own type " + i.show(i.operands[0]) + ", but it is " +
                            i.show(i.operands[1]));
    return i.context.none();
}

// clang-format off
const Row rows[] = {
    {"assert", "stops the graph where its condition is false", Level::tensor, Effect::ordered, 1, 1, DTypes::boolean, assert_rule, nullptr,
     "it is an effect", Lowering::structure, nullptr, {}, 0, false},
    {"commit", "writes a value into the memory of an input", Level::tensor, Effect::ordered, 2, 2, DTypes::all, commit_rule, nullptr,
     "it is an effect; the value written is differentiated", Lowering::structure, nullptr, {}, 0, false},
};
// clang-format on

}  // namespace

std::span<const Row> effect_rows() { return rows; }

}  // namespace tenon
