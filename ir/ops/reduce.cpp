// Reductions: fold elements along axes by a scalar op, in the order of the numeric contract.
#include <algorithm>
#include <utility>

#include "ir/differentiate/batching.h"
#include "ir/differentiate/gradient.h"
#include "ir/ops/tables.h"

namespace tenon {

namespace {

SmallVector<size_t, 6> reduced_axes(Infer& i) {
    SmallVector<size_t, 6> axes;
    for (int64_t a : i.attributes().integers("axes")) axes.push_back(size_t(normalised_axis(i, a, i.type(0).rank())));
    std::sort(axes.begin(), axes.end());
    for (size_t k = 1; k < axes.size(); ++k)
        if (axes[k] == axes[k - 1])
            i.fail("value", std::string(i.op) + " names dimension " + std::to_string(axes[k]) + " twice");
    return axes;
}

TypeId reduced(Infer& i) {
    require_tensor(i, 0);
    const Type& t = i.type(0);
    const Row& r = row(i.row);
    if (!admits(r.dtypes, t.dtype))
        i.fail("dtype",
               std::string(i.op) + " needs " + std::string(describe(r.dtypes)) + ", but got " + i.show(i.operands[0]));
    const SmallVector<size_t, 6> axes = reduced_axes(i);
    const bool keep = i.attributes().flag("keepdim");
    const bool has_identity = r.name != "max" && r.name != "min";
    SizeList sizes;
    for (size_t d = 0; d < t.rank(); ++d) {
        const bool gone = std::binary_search(axes.begin(), axes.end(), d);
        if (gone && !has_identity && t.sizes[d] == SizeId(0))
            i.fail("value",
                   std::string(i.op) + " of no elements has no value (dimension " + std::to_string(d) + " is empty)");
        if (!gone) sizes.push_back(t.sizes[d]);
        else if (keep) sizes.push_back(SizeId(1));
    }
    return i.context.tensor(t.dtype, sizes, t.device);
}

TypeId index_of_extremum(Infer& i) {
    require_tensor(i, 0);
    const Type& t = i.type(0);
    const size_t axis = size_t(normalised_axis(i, i.attributes().integer("axis"), t.rank()));
    if (t.sizes[axis] == SizeId(0)) i.fail("value", std::string(i.op) + " of no elements has no value");
    std::vector<SizeId> sizes;
    for (size_t d = 0; d < t.rank(); ++d) {
        if (d != axis) sizes.push_back(t.sizes[d]);
        else if (i.attributes().flag("keepdim")) sizes.push_back(SizeId(1));
    }
    return i.context.tensor(DType::i64, sizes, t.device);
}

TypeId extremum_and_index(Infer& i) {
    const TypeId positions = index_of_extremum(i);
    const TypeId values = i.context.tensor(i.type(0).dtype, i.context[positions].sizes, i.type(0).device);
    const TypeId both[] = {values, positions};
    return i.context.tuple(both);
}

TypeId recurrence_rule(Infer& i) {
    require_tensor(i, 0);
    const Type& a = i.type(0);
    normalised_axis(i, i.attributes().integer("axis"), a.rank());
    if (!admits(DTypes::floats, a.dtype))
        i.fail("dtype", std::string(i.op) + " needs a float, but got " + i.show(i.operands[0]));
    if (i.operands.size() < 2) return i.operands[0];
    require_tensor(i, 1);
    const Type& b = i.type(1);
    if (a.dtype != b.dtype || !same_sizes(i, a.sizes, b.sizes))
        i.fail("shape", std::string(i.op) + " needs factors and terms of one type, but they are " +
                            i.show(i.operands[0]) + " and " + i.show(i.operands[1]));
    return i.operands[0];
}

TypeId scan(Infer& i) {
    require_tensor(i, 0);
    normalised_axis(i, i.attributes().integer("axis"), i.type(0).rank());
    if (i.type(0).dtype == DType::boolean) i.fail("dtype", std::string(i.op) + " needs a number dtype, but got bool");
    return i.operands[0];
}

// y or g with the reduced axes back as size 1, repeated to the operand's shape.
Term spread(Gradient& d, const Term& t) {
    std::vector<SizeId> sizes = d.type(0).sizes;
    for (int64_t a : d.attributes().integers("axes")) sizes[size_t(a < 0 ? a + int64_t(sizes.size()) : a)] = SizeId(1);
    return d.expand_to(d.reshape_to(t, sizes), 0);
}

void sum_gradient(Gradient& d) { d.x(0) += spread(d, d.g); }

// The slope at an element is the product of the others: of those before it and of those after it. Nothing is divided, so
// that zeros need no case of their own, at any order.
void prod_gradient(Gradient& d) {
    const std::vector<SizeId>& sizes = d.type(0).sizes;
    std::vector<bool> reduced(sizes.size());
    for (int64_t a : d.attributes().integers("axes")) reduced[size_t(a < 0 ? a + int64_t(sizes.size()) : a)] = true;
    // The axes that are reduced go last, as one; and back.
    AttrList there, back(sizes.size());
    std::vector<SizeId> moved, flat;
    SizeId count(1);
    for (bool last : {false, true})
        for (size_t k = 0; k < sizes.size(); ++k) {
            if (reduced[k] != last) continue;
            back[k] = int64_t(there.size());
            there.push_back(int64_t(k));
            moved.push_back(sizes[k]);
            if (last) count = d.context().mul(count, sizes[k]);
            else flat.push_back(sizes[k]);
        }
    const auto axis = int64_t(flat.size());
    flat.push_back(count);
    const Term rows = d.reshape_to(apply(op<"permute">(), {d.a}, d.attr({{"axes", there}})), flat);
    const auto product = [&](bool after) {
        return apply(op<"recurrence">(), {rows}, d.attr({{"axis", axis}, {"reverse", after}, {"start", 1.0}}));
    };
    const Term others = d.reshape_to(product(false) * product(true), moved);
    d.x(0) += spread(d, d.g) * apply(op<"permute">(), {others}, d.attr({{"axes", back}}));
}

// h₀ = start, hₖ₊₁ = aₖ hₖ + bₖ. The cotangents s of hₖ₊₁ obey the same from the other end: sₖ = gₖ₊₁ + aₖ₊₁ sₖ₊₁; then
// da = s h and db = s.
void recurrence_gradient(Gradient& d) {
    const Attributes a = d.attributes();
    const Term s = apply(op<"recurrence">(), {d.a, d.g},
                         d.attr({{"axis", a.integer("axis")}, {"reverse", !a.flag("reverse")}, {"start", 0.0}}));
    d.x(0) += s * d.y;
    if (d.operand_count() > 1) d.x(1) += s;
}

// Shared evenly among the elements that attain it. f16 and bf16 hold no large counts, f32 does.
void extremum_gradient(Gradient& d) {
    const DType dtype = d.type(0).dtype, wide = dtype == DType::f64 ? dtype : DType::f32;
    const auto as = [&](const Term& t, DType from, DType to) { return from == to ? t : d.cast(t, to); };
    const Term attains = apply(op<"equal">(), {d.a, spread(d, d.y)});
    const Term count = apply(op<"sum">(), {d.cast(attains, wide)}, d.reduction_attr());
    const Term share = as(d.g, dtype, wide) / d.reshape_to(count, d.result_type().sizes);
    d.x(0) += d.cast(attains, dtype) * spread(d, as(share, wide, dtype));
}

// The axis of a composite along one, as reductions name it.
AttrId along_axis(Context& c, const Attributes& a) {
    return c.attr({{c.name("axes"), AttrValue(AttrList{a.integer("axis")})}, {c.name("keepdim"), AttrValue(true)}});
}
struct Shifted {  // x − max x along the axis, and the sum of its exponentials
    NodeId shifted, exponentials, sum;
    Shifted(Builder& b, NodeId x, const Attributes& a) {
        const AttrId along = along_axis(b.context(), a);
        shifted = b.emit(op<"sub">(), {x, b.emit(op<"max">(), {x}, along)});
        exponentials = b.emit(op<"exp">(), {shifted});
        sum = b.emit(op<"sum">(), {exponentials}, along);
    }
};
NodeId softmax_expansion(Builder& b, std::span<const NodeId> operands, const Attributes& a) {
    const Shifted s(b, operands[0], a);
    return b.emit(op<"div">(), {s.exponentials, s.sum});
}
NodeId log_softmax_expansion(Builder& b, std::span<const NodeId> operands, const Attributes& a) {
    const Shifted s(b, operands[0], a);
    return b.emit(op<"sub">(), {s.shifted, b.emit(op<"log">(), {s.sum})});
}
// Both from the result alone: dx = y g − y Σ y g, and g − exp(y) Σ g.
void softmax_gradient(Gradient& d) {
    const Term weighted = d.y * d.g;
    d.x(0) += weighted - d.y * apply(op<"sum">(), {weighted}, along_axis(d.context(), d.attributes()));
}
void log_softmax_gradient(Gradient& d) {
    d.x(0) += d.g - apply(op<"exp">(), {d.y}) * apply(op<"sum">(), {d.g}, along_axis(d.context(), d.attributes()));
}

// Of the value: to the one element at its position.
void extremum_along_gradient(Gradient& d) {
    if (!d.has_cotangent(0)) return;
    std::vector<SizeId> sizes = d.type(0).sizes, along(sizes.size(), SizeId(1));
    const int64_t named = d.attributes().integer("axis");
    const size_t axis = size_t(named < 0 ? named + int64_t(sizes.size()) : named);
    along[axis] = std::exchange(sizes[axis], SizeId(1));
    const auto spread_along = [&](const Term& t) { return d.expand_to(d.reshape_to(t, sizes), 0); };
    const Term places = d.expand_to(d.reshape_to(d.positions(along[axis]), along), 0);
    d.x(0) += apply(op<"where">(),
                    {apply(op<"equal">(), {places, spread_along(d.result(1))}), spread_along(d.cotangent(0)), 0});
}

constexpr Row reduction(Row r) {
    r.min_operands = r.max_operands = 1;
    r.result = reduced;
    r.lowering = Lowering::reduce;
    r.batching = batch_along_axes;
    return r;
}
constexpr Row extremum_index(Row r) {
    r.min_operands = r.max_operands = 1;
    r.result = index_of_extremum;
    r.lowering = Lowering::library;
    r.no_gradient = "its result is a position";
    r.batching = batch_along_axis;
    return r;
}

constexpr Row composite_along(Row r) {
    r.min_operands = r.max_operands = 1;
    r.dtypes = DTypes::wide_floats;
    r.result = scan;
    r.lowering = Lowering::composite;
    r.batching = batch_along_axis;
    return r;
}
constexpr Row extremum_along(Row r) {
    r.min_operands = r.max_operands = 1;
    r.result = extremum_and_index;
    r.lowering = Lowering::library;
    r.gradient = extremum_along_gradient;
    r.batching = batch_along_axis;
    return r;
}

// clang-format off
const Row reduce_table[] = {
    reduction({.name = "sum", .doc = "sum over axes", .dtypes = DTypes::numeric, .fold = "add", .accumulates = true, .gradient = sum_gradient}),
    reduction({.name = "prod", .doc = "product over axes", .dtypes = DTypes::numeric, .fold = "mul", .accumulates = true, .gradient = prod_gradient}),
    reduction({.name = "max", .doc = "largest over axes, NaN passes", .fold = "maximum", .gradient = extremum_gradient}),
    reduction({.name = "min", .doc = "smallest over axes, NaN passes", .fold = "minimum", .gradient = extremum_gradient}),
    reduction({.name = "any", .doc = "is one of them true", .dtypes = DTypes::boolean, .fold = "logical_or", .no_gradient = "its result is bool"}),
    reduction({.name = "all", .doc = "are all of them true", .dtypes = DTypes::boolean, .fold = "logical_and", .no_gradient = "its result is bool"}),
    extremum_index({.name = "argmax", .doc = "position of the first largest along an axis, NaN counts as largest"}),
    extremum_index({.name = "argmin", .doc = "position of the first smallest along an axis, NaN counts as smallest"}),
    extremum_along({.name = "max_along", .doc = "largest along an axis, and the position of the first of these, as argmax says"}),
    extremum_along({.name = "min_along", .doc = "smallest along an axis, and the position of the first of these, as argmin says"}),
    composite_along({.name = "softmax", .doc = "exp(x - max x) / sum exp(x - max x) along an axis", .expansion = softmax_expansion, .gradient = softmax_gradient}),
    composite_along({.name = "log_softmax", .doc = "x - max x - log sum exp(x - max x) along an axis", .expansion = log_softmax_expansion, .gradient = log_softmax_gradient}),
    {.name = "cumsum", .doc = "running sum along an axis", .min_operands = 1, .max_operands = 1, .dtypes = DTypes::numeric, .result = scan,
     .lowering = Lowering::library, .gradient = [](Gradient& d) {    // the running sum from the other end
        const AttrId axes = d.attr({{"axes", AttrList{d.attributes().integer("axis")}}});
        const Term backwards = apply(op<"flip">(), {d.g}, axes);
        d.x(0) += apply(op<"flip">(), {apply(op<"cumsum">(), {backwards}, d.node_attr())}, axes);
    }, .batching = batch_along_axis},
    {.name = "recurrence", .doc = "h with h[0] = start, h[k + 1] = a[k] h[k] + b[k] along an axis, from the other end where reverse; without b: products of the elements before",
     .min_operands = 1, .max_operands = 2, .dtypes = DTypes::floats, .result = recurrence_rule, .lowering = Lowering::library,
     .gradient = recurrence_gradient, .batching = batch_whole},
};
// clang-format on

}  // namespace

std::span<const Row> reduce_rows() { return reduce_table; }

}  // namespace tenon
