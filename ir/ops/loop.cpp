// The loop level, described in ir/loops.h.
#include "ir/loops.h"
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
    if (i.operands.size() > 3 && i.type(3).kind != Type::Kind::index)
        i.fail("type", "store takes an index for how much is stored in all, but got " + i.show(i.operands[3]));
    return i.context.none();
}
TypeId scratch_rule(Infer& i) {
    if (i.type(0).kind != Type::Kind::index)
        i.fail("type", "scratch takes an index for how many elements it has, but got " + i.show(i.operands[0]));
    return i.context.buffer(i.attributes().dtype("dtype"));
}
TypeId product_rule(Infer& i) {
    const DType dtype = i.type(product_operand::c).dtype;
    for (size_t k = 0; k < product_operand::count; ++k) {
        const bool buffer = product_operand::is_buffer(k);
        if (i.type(k).kind != (buffer ? Type::Kind::buffer : Type::Kind::index) || (buffer && i.type(k).dtype != dtype))
            i.fail("type", "product takes three buffers of one dtype, their places and sizes, but operand " +
                               std::to_string(k) + " is " + i.show(i.operands[k]));
    }
    if (dtype != DType::f32 && dtype != DType::f64)
        i.fail("dtype", "product is of f32 or f64, but the buffers are " + std::string(name_of(dtype)));
    return i.context.none();
}
TypeId scatter_rule(Infer& i) {
    const DType dtype = i.type(scatter_operand::to).dtype;
    for (size_t k = 0; k < scatter_operand::count; ++k) {
        const bool buffer = scatter_operand::is_buffer(k);
        if (i.type(k).kind != (buffer ? Type::Kind::buffer : Type::Kind::index) ||
            (buffer && i.type(k).dtype != (k == scatter_operand::places ? DType::i64 : dtype)))
            i.fail("type",
                   "scatter takes a buffer, places of i64, terms of the buffer's dtype, and indices, but operand " +
                       std::to_string(k) + " is " + i.show(i.operands[k]));
    }
    if (dtype != DType::f32 && dtype != DType::f64)
        i.fail("dtype", "scatter is of f32 or f64, but the buffer is " + std::string(name_of(dtype)));
    return i.context.none();
}
TypeId fold_rule(Infer& i) {  // a scalar, of a literal too
    return i.region_results.empty() ? i.context.none() : i.context.scalar(i.context[i.region_results[0]].dtype);
}

constexpr Row loop(Row r, int operands, int most = 0) {
    r.level = Level::loop;
    r.min_operands = int8_t(operands);
    r.max_operands = int8_t(most > 0 ? most : operands);
    r.no_gradient = "graphs are differentiated before scheduling";
    r.no_batching = "graphs are batched before scheduling";
    return r;
}

// clang-format off
const Row loop_table[] = {
    {.name = "kernel", .doc = "a list of loop nests: one launch", .max_operands = -1,
     .no_gradient = "graphs are differentiated before scheduling", .no_batching = "graphs are batched before scheduling"},
    loop({.name = "for", .doc = "runs its region for lo, lo + step, … below hi", .effect = Effect::ordered, .result = none_rule}, 2),
    loop({.name = "fold", .doc = "folds its region's value over lo … hi - 1 in the contract's order", .result = fold_rule}, 2),
    loop({.name = "load", .doc = "one element of a buffer", .result = load_rule}, 2),
    loop({.name = "store", .doc = "writes one element of a buffer", .effect = Effect::ordered, .result = store_rule}, 3, 4),
    loop({.name = "scratch", .doc = "memory of the iteration that it stands in", .result = scratch_rule}, 1),
    loop({.name = "product", .doc = "the product of two tiles, or its sum with what is there", .effect = Effect::ordered, .result = product_rule},
         product_operand::count),
    loop({.name = "scatter", .doc = "terms of a block added at their places, one after the other", .effect = Effect::ordered, .result = scatter_rule},
         scatter_operand::count),
    loop({.name = "extent", .doc = "a size as an index", .result = index_rule}, 0),
    loop({.name = "position", .doc = "an i64 scalar as an index", .result = index_rule}, 1),
    loop({.name = "number", .doc = "an index as an i64 scalar", .result = number_rule}, 1),
};
// clang-format on

}  // namespace

std::span<const Row> loop_rows() { return loop_table; }

}  // namespace tenon
