// The loop level, described in ir/loops.h.
#include "ir/ops/tables.h"

namespace tenon {

namespace {

TypeId none_rule(Infer& i) { return i.context.none(); }
TypeId index_rule(Infer& i) { return i.context.index(); }
TypeId number_rule(Infer& i) { return i.context.scalar(DType::i64); }

TypeId load_rule(Infer& i) {
    if (i.type(0).kind != Type::Kind::buffer || i.type(1).kind != Type::Kind::index)
        i.fail("type",
               "load takes a buffer and an index, but got " + i.show(i.operands[0]) + " and " + i.show(i.operands[1]));
    return i.context.scalar(i.type(0).dtype);
}
TypeId store_rule(Infer& i) {
    if (i.type(0).kind != Type::Kind::buffer || i.type(1).kind != Type::Kind::index ||
        i.type(2).dtype != i.type(0).dtype)
        i.fail("type", "store takes a buffer, an index and a scalar of the buffer's dtype, but got " +
                           i.show(i.operands[0]) + ", " + i.show(i.operands[1]) + " and " + i.show(i.operands[2]));
    return i.context.none();
}
TypeId fold_rule(Infer& i) {  // a scalar, of a literal too
    return i.region_results.empty() ? i.context.none() : i.context.scalar(i.context[i.region_results[0]].dtype);
}

constexpr Row loop(std::string_view name, std::string_view doc, Effect effect, int low, int high, ResultRule result) {
    return {name,
            doc,
            Level::loop,
            effect,
            int8_t(low),
            int8_t(high),
            DTypes::all,
            result,
            nullptr,
            "graphs are differentiated before scheduling",
            Lowering::structure,
            nullptr,
            {},
            0,
            false};
}

// clang-format off
const Row rows[] = {
    {"kernel", "a list of loop nests: one launch", Level::tensor, Effect::none, 0, -1, DTypes::all, nullptr, nullptr,
     "graphs are differentiated before scheduling", Lowering::structure, nullptr, {}, 0, false},
    loop("for", "runs its region for lo, lo + step, … below hi", Effect::ordered, 2, 2, none_rule),
    loop("fold", "folds its region's value over lo … hi - 1 in the contract's order", Effect::none, 2, 2, fold_rule),
    loop("load", "one element of a buffer", Effect::none, 2, 2, load_rule),
    loop("store", "writes one element of a buffer", Effect::ordered, 3, 3, store_rule),
    loop("extent", "a size as an index", Effect::none, 0, 0, index_rule),
    loop("position", "an i64 scalar as an index", Effect::none, 1, 1, index_rule),
    loop("number", "an index as an i64 scalar", Effect::none, 1, 1, number_rule),
};
// clang-format on

}  // namespace

std::span<const Row> loop_rows() { return rows; }

}  // namespace tenon
