// Reductions: fold elements along axes by a scalar op, in the order of the numeric contract.
#include <algorithm>

#include "ir/gradient.h"
#include "ir/ops/tables.h"

namespace tenon {

namespace {

std::vector<size_t> reduced_axes(Infer& i) {
    std::vector<size_t> axes;
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
    const Row& r = row(find_op(i.op));
    if (!admits(r.dtypes, t.dtype))
        i.fail("dtype",
               std::string(i.op) + " needs " + std::string(describe(r.dtypes)) + ", but got " + i.show(i.operands[0]));
    const std::vector<size_t> axes = reduced_axes(i);
    const bool keep = i.attributes().flag("keepdim");
    const bool has_identity = r.name != "max" && r.name != "min";
    std::vector<SizeId> sizes;
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

void prod_gradient(Gradient& d) {
    // y/a where nothing is 0; where exactly one element is, only it has a gradient: the product of the others.
    const AttrId axes = d.reduction_attr();
    const Term is_zero = apply(op<"equal">(), {d.a, 0});
    const Term zeros = spread(d, apply(op<"sum">(), {apply(op<"where">(), {is_zero, d.number(1, 0), 0})}, axes));
    const Term others = spread(d, apply(op<"prod">(), {apply(op<"where">(), {is_zero, 1, d.a})}, axes));
    const Term alone = apply(op<"logical_and">(), {is_zero, apply(op<"equal">(), {zeros, 1})});
    const Term slope =
        apply(op<"where">(),
              {alone, others, apply(op<"where">(), {apply(op<"equal">(), {zeros, 0}), spread(d, d.y) / d.a, 0})});
    d.x(0) += spread(d, d.g) * slope;
}

void extremum_gradient(Gradient& d) {  // shared evenly among the elements that attain it
    const Term attains = d.cast(apply(op<"equal">(), {d.a, spread(d, d.y)}), d.type(0).dtype);
    const Term count = apply(op<"sum">(), {attains}, d.reduction_attr());
    d.x(0) += attains * spread(d, d.g / d.reshape_to(count, d.result_type().sizes));
}

constexpr Row reduction(std::string_view name, std::string_view doc, DTypes dtypes, std::string_view fold, double ulp,
                        GradientRule gradient, std::string_view why_none = {}) {
    return {name,     doc,      Level::tensor,    Effect::none, 1,    1,   dtypes, reduced,
            gradient, why_none, Lowering::reduce, nullptr,      fold, ulp, false};
}
constexpr Row extremum_index(std::string_view name, std::string_view doc) {
    return {name,
            doc,
            Level::tensor,
            Effect::none,
            1,
            1,
            DTypes::all,
            index_of_extremum,
            nullptr,
            "its result is a position",
            Lowering::library,
            nullptr,
            {},
            0,
            false};
}

// clang-format off
const Row rows[] = {
    reduction("sum", "sum over axes", DTypes::numeric, "add", 0, sum_gradient),
    reduction("prod", "product over axes", DTypes::numeric, "mul", 0, prod_gradient),
    reduction("max", "largest over axes, NaN passes", DTypes::all, "maximum", 0, extremum_gradient),
    reduction("min", "smallest over axes, NaN passes", DTypes::all, "minimum", 0, extremum_gradient),
    reduction("any", "is one of them true", DTypes::boolean, "logical_or", 0, nullptr, "its result is bool"),
    reduction("all", "are all of them true", DTypes::boolean, "logical_and", 0, nullptr, "its result is bool"),
    extremum_index("argmax", "position of the first largest along an axis, NaN counts as largest"),
    extremum_index("argmin", "position of the first smallest along an axis, NaN counts as smallest"),
    {"cumsum", "running sum along an axis", Level::tensor, Effect::none, 1, 1, DTypes::numeric, scan,
     [](Gradient& d) {    // the running sum from the other end
         const AttrId axes = d.attr({{"axes", AttrList{d.attributes().integer("axis")}}});
         const Term backwards = apply(op<"flip">(), {d.g}, axes);
         d.x(0) += apply(op<"flip">(), {apply(op<"cumsum">(), {backwards}, d.node_attr())}, axes);
     },
     {}, Lowering::library, nullptr, {}, 0, false},
};
// clang-format on

}  // namespace

std::span<const Row> reduce_rows() { return rows; }

}  // namespace tenon
