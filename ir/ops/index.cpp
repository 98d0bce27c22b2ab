// Reading and writing at positions that are data. Each is a library row; a gather's gradient is a scatter and back.
#include "ir/gradient.h"
#include "ir/ops/tables.h"

namespace tenon {

namespace {

void require_positions(Infer& i, size_t operand) {
    if (!is_integer(i.type(operand).dtype))
        i.fail("dtype", std::string(i.op) + " needs integer positions, but they are " + i.show(i.operands[operand]),
               "cast them with `x.to(i64)`");
}

std::vector<SizeId> taken_sizes(Infer& i, const Type& x, const Type& index, size_t axis) {
    (void)i;
    std::vector<SizeId> sizes(x.sizes.begin(), x.sizes.begin() + ptrdiff_t(axis));
    sizes.insert(sizes.end(), index.sizes.begin(), index.sizes.end());
    sizes.insert(sizes.end(), x.sizes.begin() + ptrdiff_t(axis) + 1, x.sizes.end());
    return sizes;
}

TypeId take_rule(Infer& i) {
    require_tensor(i, 0);
    require_tensor(i, 1);
    require_positions(i, 1);
    const Type& x = i.type(0);
    const size_t axis = size_t(normalised_axis(i, i.attributes().integer("axis"), x.rank()));
    return i.context.tensor(x.dtype, taken_sizes(i, x, i.type(1), axis), x.device);
}

TypeId take_add_rule(Infer& i) {
    for (size_t k = 0; k < 3; ++k) require_tensor(i, k);
    require_positions(i, 1);
    const Type &base = i.type(0), &value = i.type(2);
    const size_t axis = size_t(normalised_axis(i, i.attributes().integer("axis"), base.rank()));
    const std::vector<SizeId> wanted = taken_sizes(i, base, i.type(1), axis);
    bool fits = wanted.size() == value.rank() && base.dtype == value.dtype;
    for (size_t d = 0; fits && d < wanted.size(); ++d) fits = i.equal(wanted[d], value.sizes[d]);
    if (!fits)
        i.fail("shape", "take_add needs a value of the shape that take would give (" +
                            i.show(i.context.tensor(base.dtype, wanted)) + "), but it is " + i.show(i.operands[2]));
    return i.operands[0];
}

void require_within(Infer& i, const Type& outer, size_t axis, size_t operand) {
    const Type& index = i.type(operand);
    if (index.rank() != outer.rank())
        i.fail("shape", std::string(i.op) + " needs positions of the tensor's own rank " +
                            std::to_string(outer.rank()) + ", but they are " + i.show(i.operands[operand]));
    for (size_t d = 0; d < outer.rank(); ++d) {
        const auto have = i.context.as_constant(outer.sizes[d]), want = i.context.as_constant(index.sizes[d]);
        if (d != axis && have && want && *want > *have)
            i.fail("shape", std::string(i.op) + " reads past dimension " + std::to_string(d) + ": it is " +
                                std::to_string(*have) + ", the positions have " + std::to_string(*want));
    }
}

TypeId gather_rule(Infer& i) {
    require_tensor(i, 0);
    require_tensor(i, 1);
    require_positions(i, 1);
    const Type& x = i.type(0);
    require_within(i, x, size_t(normalised_axis(i, i.attributes().integer("axis"), x.rank())), 1);
    return i.context.tensor(x.dtype, i.type(1).sizes, x.device);
}

TypeId scatter_add_rule(Infer& i) {
    for (size_t k = 0; k < 3; ++k) require_tensor(i, k);
    require_positions(i, 1);
    const Type &base = i.type(0), &index = i.type(1), &source = i.type(2);
    require_within(i, base, size_t(normalised_axis(i, i.attributes().integer("axis"), base.rank())), 1);
    bool fits = index.rank() == source.rank() && base.dtype == source.dtype;
    for (size_t d = 0; fits && d < index.rank(); ++d) fits = i.equal(index.sizes[d], source.sizes[d]);
    if (!fits)
        i.fail("shape", "scatter_add needs one source element a position, but they are " + i.show(i.operands[2]) +
                            " and " + i.show(i.operands[1]));
    return i.operands[0];
}

TypeId argsort_rule(Infer& i) {
    require_tensor(i, 0);
    const Type& t = i.type(0);
    normalised_axis(i, i.attributes().integer("axis"), t.rank());
    return i.context.tensor(DType::i64, t.sizes, t.device);
}

constexpr Row library(std::string_view name, std::string_view doc, int operands, ResultRule result,
                      GradientRule gradient, std::string_view why_none = {}) {
    return {name,        doc,    Level::tensor, Effect::none, int8_t(operands),  int8_t(operands),
            DTypes::all, result, gradient,      why_none,     Lowering::library, nullptr,
            {},          0,      false};
}

// clang-format off
const Row rows[] = {
    failing(library("take", "slices of x along an axis at the positions of index: x[:, index] for axis 1", 2, take_rule, [](Gradient& d) {
        d.x(0) += apply(op<"take_add">(), {d.zero_like(0), d.b, d.g}, d.node_attr());
    })),
    failing(library("take_add", "base with slices of value added at the positions of index, in ascending order", 3, take_add_rule, [](Gradient& d) {
        d.x(0) += d.g;
        d.x(2) += apply(op<"take">(), {d.g, d.b}, d.node_attr());
    })),
    failing(library("gather", "for each element of index, the element of x that lies at it along an axis", 2, gather_rule, [](Gradient& d) {
        d.x(0) += apply(op<"scatter_add">(), {d.zero_like(0), d.b, d.g}, d.node_attr());
    })),
    failing(library("scatter_add", "base with each source element added at its position along an axis, in ascending order", 3, scatter_add_rule,
            [](Gradient& d) {
                d.x(0) += d.g;
                d.x(2) += apply(op<"gather">(), {d.g, d.b}, d.node_attr());
            })),
    library("argsort", "positions that sort x along an axis, stable; NaN counts as largest", 1, argsort_rule, nullptr,
            "its result is positions; gather with them to sort"),
};
// clang-format on

}  // namespace

std::span<const Row> index_rows() { return rows; }

}  // namespace tenon
