// Reading and writing at positions that are data. Each is a library row; a gather's gradient is a scatter and back.
#include "ir/differentiate/batching.h"
#include "ir/differentiate/gradient.h"
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
    if (base.dtype != value.dtype || !same_sizes(i, wanted, value.sizes))
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
    if (base.dtype != source.dtype || !same_sizes(i, index.sizes, source.sizes))
        i.fail("shape", "scatter_add needs one source element a position, but they are " + i.show(i.operands[2]) +
                            " and " + i.show(i.operands[1]));
    return i.operands[0];
}

TypeId argsort_rule(Infer& i) {
    require_tensor(i, 0);
    const Type& t = i.type(0);
    const size_t axis = size_t(normalised_axis(i, i.attributes().integer("axis"), t.rank()));
    std::vector<SizeId> sizes = t.sizes;
    if (i.attributes().has("count")) {  // only the first so many
        const int64_t count = i.attributes().integer("count");
        const auto size = i.context.as_constant(sizes[axis]);
        if (count < 0 || (size && count > *size))
            i.fail("value", std::string(i.op) + " cannot give the first " + std::to_string(count) + " of dimension " +
                                std::to_string(axis) + " of " + i.show(i.operands[0]));
        sizes[axis] = i.context.constant(count);
    }
    return i.context.tensor(DType::i64, sizes, t.device);
}

TypeId sort_rule(Infer& i) {  // the values, and where they were
    const TypeId positions = argsort_rule(i);
    const TypeId values = i.context.tensor(i.type(0).dtype, i.context[positions].sizes, i.type(0).device);
    const TypeId both[] = {values, positions};
    return i.context.tuple(both);
}
void sort_gradient(Gradient& d) {  // of the values: each goes back where it was
    if (!d.has_cotangent(0)) return;
    const AttrId along = d.attr({{"axis", *d.attributes().find("axis")}});
    d.x(0) += apply(op<"scatter_add">(), {d.zero_like(0), d.result(1), d.cotangent(0)}, along);
}

// ---- batching -----------------------------------------------------------------------------------------------------
// Positions of slices that differ between the examples become positions of elements: x as [batch, before, axis, after],
// the positions as [batch, before, positions, after].
struct Slices {
    explicit Slices(Batching& batching) : b(batching), axis(size_t(b.axis_of_batch() - 1)) {
        const std::vector<SizeId> x = b.type(0).sizes, index = b.type(1).sizes;
        before = product(std::span(x).first(axis));
        after = product(std::span(x).subspan(axis + 1));
        count = product(index);
        extent = x[axis];
    }
    SizeId product(std::span<const SizeId> sizes) const {
        SizeId n(1);
        for (SizeId s : sizes) n = b.context().mul(n, s);
        return n;
    }
    NodeId elements(size_t operand, SizeId along) const {
        return b.reshape(b.whole(operand), {b.size(), before, along, after});
    }
    NodeId positions() const {
        const NodeId apart = b.reshape(b.operand(1), {b.size(), SizeId(1), count, SizeId(1)});
        return b.expand(apart, {b.size(), before, count, after});
    }
    AttrId along() const { return b.attr({{"axis", int64_t(2)}}); }
    NodeId result(NodeId elements) const { return b.reshape(elements, b.batch_of(b.result_type().sizes)); }

    Batching& b;
    size_t axis;
    SizeId before, after, count, extent;
};

NodeId take_batching(Batching& b) {
    if (!b.batched(1)) return b.again({b.operand(0), b.operand(1)}, b.with("axis", b.axis_of_batch()));
    if (!b.batched(0)) {  // the batch stands where the positions do: it is moved to the front
        const NodeId taken = b.again({b.operand(0), b.operand(1)}, b.attr());
        const int64_t axis = b.axis_of_batch() - 1;
        AttrList axes{axis};
        for (size_t d = 0; d < b.type_of(taken).rank(); ++d)
            if (int64_t(d) != axis) axes.push_back(int64_t(d));
        return b.permute(taken, std::move(axes));
    }
    const Slices s(b);
    return s.result(b.emit(op<"gather">(), {s.elements(0, s.extent), s.positions()}, s.along()));
}

NodeId take_add_batching(Batching& b) {
    if (!b.batched(1)) return b.again({b.whole(0), b.operand(1), b.whole(2)}, b.with("axis", b.axis_of_batch()));
    const Slices s(b);
    return s.result(
        b.emit(op<"scatter_add">(), {s.elements(0, s.extent), s.positions(), s.elements(2, s.count)}, s.along()));
}

constexpr Row library(Row r, int operands) {
    r.min_operands = r.max_operands = int8_t(operands);
    r.lowering = Lowering::library;
    return r;
}

// clang-format off
const Row index_table[] = {
    library({.name = "take", .doc = "slices of x along an axis at the positions of index: x[:, index] for axis 1", .result = take_rule, .may_fail = true,
             .gradient = [](Gradient& d) {
        d.x(0) += apply(op<"take_add">(), {d.zero_like(0), d.b, d.g}, d.node_attr());
    }, .batching = take_batching}, 2),
    library({.name = "take_add", .doc = "base with slices of value added at the positions of index, in ascending order",
             .result = take_add_rule, .may_fail = true, .gradient = [](Gradient& d) {
        d.x(0) += d.g;
        d.x(2) += apply(op<"take">(), {d.g, d.b}, d.node_attr());
    }, .batching = take_add_batching}, 3),
    library({.name = "gather", .doc = "for each element of index, the element of x that lies at it along an axis", .result = gather_rule, .may_fail = true,
             .gradient = [](Gradient& d) {
        d.x(0) += apply(op<"scatter_add">(), {d.zero_like(0), d.b, d.g}, d.node_attr());
    }, .batching = batch_whole}, 2),
    library({.name = "scatter_add", .doc = "base with each source element added at its position along an axis, in ascending order",
             .result = scatter_add_rule, .may_fail = true, .gradient = [](Gradient& d) {
        d.x(0) += d.g;
        d.x(2) += apply(op<"gather">(), {d.g, d.b}, d.node_attr());
    }, .batching = batch_whole}, 3),
    library({.name = "argsort", .doc = "positions that sort x along an axis, stable, the first `count` of them; NaN counts as largest", .result = argsort_rule,
             .no_gradient = "its result is positions; sort gives the values too", .batching = batch_along_axis}, 1),
    library({.name = "sort", .doc = "x sorted along an axis, or its first `count` so, and where they were, as argsort says", .result = sort_rule,
             .gradient = sort_gradient, .batching = batch_along_axis}, 1),
};
// clang-format on

}  // namespace

std::span<const Row> index_rows() { return index_table; }

}  // namespace tenon
