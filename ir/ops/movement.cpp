// Movement: the same elements elsewhere. Each row is an index map from a position of the result to one of the operand,
// so fused movement costs nothing; `update` is the one way to write through them.
#include <algorithm>
#include <cassert>
#include <utility>

#include "ir/differentiate/batching.h"
#include "ir/differentiate/gradient.h"
#include "ir/index_map.h"
#include "ir/ops/tables.h"
#include "ir/size_facts.h"

namespace tenon {

namespace {

TypeId expand_rule(Infer& i) {
    require_tensor(i, 0);
    const Type& t = i.type(0);
    const SizeList sizes = i.attributes().sizes("sizes");
    if (sizes.size() < t.rank())
        i.fail("shape", "expand needs at least the tensor's own " + std::to_string(t.rank()) + " dimensions, but got " +
                            std::to_string(sizes.size()));
    for (size_t d = 0; d < t.rank(); ++d) {
        const SizeId from = t.sizes[d], to = sizes[sizes.size() - t.rank() + d];
        if (from != SizeId(1) && !i.equal(from, to))
            i.fail("shape", "expand repeats dimensions of size 1, but dimension " + std::to_string(d) + " is " +
                                i.show(from) + " and should become " + i.show(to));
    }
    return i.context.tensor(t.dtype, sizes, t.device);
}

TypeId permute_rule(Infer& i) {
    require_tensor(i, 0);
    const Type& t = i.type(0);
    const Dims axes = i.attributes().integers("axes");
    SizeList sizes;
    SmallVector<bool, 8> seen(t.rank());
    if (axes.size() != t.rank())
        i.fail("shape", "permute of a tensor of rank " + std::to_string(t.rank()) + " needs as many axes, but got " +
                            std::to_string(axes.size()));
    for (int64_t axis : axes) {
        if (axis < 0 || size_t(axis) >= t.rank() || seen[size_t(axis)])
            i.fail("shape", "permute needs each axis once, but got " + std::to_string(axis),
                   "for example permute(x, [1, 0])");
        seen[size_t(axis)] = true;
        sizes.push_back(t.sizes[size_t(axis)]);
    }
    return i.context.tensor(t.dtype, sizes, t.device);
}

TypeId reshape_rule(Infer& i) {
    require_tensor(i, 0);
    const Type& t = i.type(0);
    const SizeList sizes = i.attributes().sizes("sizes");
    const SizeId from = product(i.context, t.sizes), to = product(i.context, sizes);
    if (!i.equal(from, to)) {
        std::string shape;
        for (SizeId s : sizes) shape += (shape.empty() ? "" : ", ") + i.show(s);
        i.fail("shape",
               "reshape keeps the number of elements, but " + i.show(i.operands[0]) + " has " + i.show(from) +
                   " and [" + shape + "] has " + i.show(to),
               "one size may be -1: it is worked out from the others");
    }
    return i.context.tensor(t.dtype, sizes, t.device);
}

// The sizes of what starts, stops and steps show of a tensor of these sizes. Starts and stops are normalised
// (0 ≤ start ≤ stop ≤ size), steps are 1 or more.
SizeList sliced(Infer& i, std::span<const SizeId> whole) {
    const Attributes a = i.attributes();
    const auto starts = a.sizes("starts"), stops = a.sizes("stops");
    const auto steps = a.integers("steps");
    if (starts.size() != whole.size() || stops.size() != whole.size() || steps.size() != whole.size())
        i.fail("shape", std::string(i.op) + " needs one start, stop and step for each of " +
                            std::to_string(whole.size()) + " dimensions");
    SizeList sizes;
    for (size_t d = 0; d < whole.size(); ++d) {
        if (steps[d] < 1)
            i.fail("value", std::string(i.op) + " steps are 1 or more, but one is " + std::to_string(steps[d]));
        const auto low = i.context.as_constant(starts[d]), high = i.context.as_constant(stops[d]),
                   size = i.context.as_constant(whole[d]);
        if (low && high && size && !(0 <= *low && *low <= *high && *high <= *size))
            i.fail("index", std::string(i.op) + " " + std::to_string(*low) + ":" + std::to_string(*high) +
                                " leaves dimension " + std::to_string(d) + " of size " + std::to_string(*size));
        const SizeId extent = i.context.sub(stops[d], starts[d]);
        sizes.push_back(steps[d] == 1 ? extent
                                      : i.context.floordiv(i.context.add(extent, i.context.constant(steps[d] - 1)),
                                                           i.context.constant(steps[d])));
    }
    return sizes;
}

TypeId slice_rule(Infer& i) {
    require_tensor(i, 0);
    const Type& t = i.type(0);
    return i.context.tensor(t.dtype, sliced(i, t.sizes), t.device);
}

TypeId pad_rule(Infer& i) {
    require_tensor(i, 0);
    const Type& t = i.type(0);
    if (!admits(row(i.row).dtypes, t.dtype)) i.fail("dtype", "pad needs numbers, but got " + i.show(i.operands[0]));
    const SizeList whole = i.attributes().sizes("sizes");
    if (const SizeList place = sliced(i, whole); !same_sizes(i, place, t.sizes))
        i.fail("shape", "pad needs a tensor as large as its place, " + i.show(i.context.tensor(t.dtype, place)) +
                            ", but it is " + i.show(i.operands[0]));
    return i.context.tensor(t.dtype, whole, t.device);
}

// Where the diagonal begins along its two axes.
std::pair<int64_t, int64_t> diagonal_start(const Attributes& a) {
    const int64_t offset = a.integer("offset");
    return {std::max<int64_t>(-offset, 0), std::max<int64_t>(offset, 0)};
}

TypeId diagonal_rule(Infer& i) {
    require_tensor(i, 0);
    const Type& t = i.type(0);
    const Dims axes = i.attributes().integers("axes");
    if (axes.size() != 2 || axes[0] == axes[1] || std::min(axes[0], axes[1]) < 0 ||
        size_t(std::max(axes[0], axes[1])) >= t.rank())
        i.fail("shape", "diagonal needs two dimensions of its operand, which is " + i.show(i.operands[0]));
    const auto [down, right] = diagonal_start(i.attributes());
    SizeList sizes;
    for (size_t d = 0; d < t.rank(); ++d)
        if (int64_t(d) != axes[0] && int64_t(d) != axes[1]) sizes.push_back(t.sizes[d]);
    const SizeId rows = i.context.sub(t.sizes[size_t(axes[0])], i.context.constant(down)),
                 columns = i.context.sub(t.sizes[size_t(axes[1])], i.context.constant(right));
    const bool whole = down + right == 0 && i.equal(rows, columns);
    sizes.push_back(whole ? rows : i.context.max(i.context.min(rows, columns), SizeId(0)));
    return i.context.tensor(t.dtype, sizes, t.device);
}

TypeId flip_rule(Infer& i) {
    require_tensor(i, 0);
    for (int64_t axis : i.attributes().integers("axes")) normalised_axis(i, axis, i.type(0).rank());
    return i.operands[0];
}

TypeId full_rule(Infer& i) {
    const Type& t = i.type(0);
    if (t.rank() != 0) i.fail("shape", "full repeats one number, but its operand is " + i.show(i.operands[0]));
    return i.context.tensor(t.dtype, i.attributes().sizes("sizes"), t.device);
}

TypeId iota_rule(Infer& i) { return i.context.tensor(i.attributes().dtype("dtype"), i.attributes().sizes("sizes")); }

TypeId size_rule(Infer& i) {
    i.attributes().size("value");
    return i.context.tensor(i.attributes().dtype("dtype"), {});
}

TypeId cat_rule(Infer& i) {
    for (size_t k = 0; k < i.operands.size(); ++k) require_tensor(i, k);
    const Type& first = i.type(0);
    const size_t axis = size_t(normalised_axis(i, i.attributes().integer("axis"), first.rank()));
    std::vector<SizeId> sizes = first.sizes;
    for (size_t k = 1; k < i.operands.size(); ++k) {
        const Type& t = i.type(k);
        if (t.rank() != first.rank() || t.dtype != first.dtype)
            i.fail(t.dtype != first.dtype ? "dtype" : "shape",
                   "cat needs tensors of one rank and dtype, but they are " + i.show(i.operands[0]) + " and " +
                       i.show(i.operands[k]));
        for (size_t d = 0; d < sizes.size(); ++d) {
            if (d == axis) sizes[d] = i.context.add(sizes[d], t.sizes[d]);
            else if (!i.equal(sizes[d], t.sizes[d]))
                i.fail("shape", "cat along dimension " + std::to_string(axis) +
                                    " needs the other sizes equal, but dimension " + std::to_string(d) + " is " +
                                    i.show(sizes[d]) + " and " + i.show(t.sizes[d]));
        }
    }
    return i.context.tensor(first.dtype, sizes, first.device);
}

TypeId update_rule(Infer& i) {
    for (size_t k = 0; k < 3; ++k) require_tensor(i, k);
    const Type &base = i.type(0), &view = i.type(1), &value = i.type(2);
    if (base.dtype != value.dtype || !same_sizes(i, view.sizes, value.sizes))
        i.fail("shape", "update of " + i.show(i.operands[1]) + " needs a value of that type, but it is " +
                            i.show(i.operands[2]));
    return i.operands[0];
}

TypeId with_history_rule(Infer& i) {
    for (size_t k = 0; k < 2; ++k) require_tensor(i, k);
    const Type &value = i.type(0), &history = i.type(1);
    if (value.dtype != history.dtype || !same_sizes(i, value.sizes, history.sizes))
        i.fail("shape", "with_history needs two values of one type, but they are " + i.show(i.operands[0]) + " and " +
                            i.show(i.operands[1]));
    return i.operands[0];
}

// ---- index maps: result position -> operand position ---------------------------------------------------------------
void expand_index(IndexMap& m) {
    const Type& from = m.operand();
    const size_t extra = m.rank() - from.rank();
    for (size_t d = 0; d < from.rank(); ++d)
        m.set(d,
              from.sizes[d] == SizeId(1) && m.result().sizes[d + extra] != SizeId(1) ? m.constant(0) : m.at(d + extra));
}
void permute_index(IndexMap& m) {
    const auto axes = m.attributes().integers("axes");
    for (size_t d = 0; d < axes.size(); ++d) m.set(size_t(axes[d]), m.at(d));
}
void reshape_index(IndexMap& m) { m.set_linear(m.linear()); }
void slice_index(IndexMap& m) {
    const auto starts = m.attributes().sizes("starts");
    const auto steps = m.attributes().integers("steps");
    for (size_t d = 0; d < steps.size(); ++d) m.set(d, m.add(m.size(starts[d]), m.mul(m.at(d), m.constant(steps[d]))));
}
void flip_index(IndexMap& m) {
    std::vector<bool> flipped(m.rank());
    for (int64_t axis : m.attributes().integers("axes"))
        flipped[size_t(axis < 0 ? axis + int64_t(m.rank()) : axis)] = true;
    for (size_t d = 0; d < m.rank(); ++d)
        m.set(d, flipped[d] ? m.sub(m.size(m.context().sub(m.result().sizes[d], SizeId(1))), m.at(d)) : m.at(d));
}
void diagonal_index(IndexMap& m) {
    const Dims axes = m.attributes().integers("axes");
    const auto [down, right] = diagonal_start(m.attributes());
    const IndexMap::Position along = m.at(m.rank() - 1);
    m.set(size_t(axes[0]), m.add(along, m.constant(down)));
    m.set(size_t(axes[1]), m.add(along, m.constant(right)));
    for (size_t d = 0, from = 0; d < m.operand().rank(); ++d)
        if (int64_t(d) != axes[0] && int64_t(d) != axes[1]) m.set(d, m.at(from++));
}
void same_index(IndexMap& m) {
    for (size_t d = 0; d < m.rank(); ++d) m.set(d, m.at(d));
}

// ---- movement of movement, movement that is none, movement of strides ----------------------------------------------
AttrId last_sizes(Context&, AttrId, AttrId outer) { return outer; }
AttrId permute_twice(Context& context, AttrId inner, AttrId outer) {
    const Dims first = Attributes(context, inner).integers("axes");
    AttrList axes;
    for (int64_t axis : Attributes(context, outer).integers("axes")) axes.push_back(first[size_t(axis)]);
    return context.attr({{context.name("axes"), AttrValue(std::move(axes))}});
}
bool permutes_nothing(const Movement& m) {
    const Dims axes = m.attributes().integers("axes");
    return std::is_sorted(axes.begin(), axes.end());
}
bool slices_everything(const Movement& m) {
    const Attributes a = m.attributes();
    const auto starts = a.sizes("starts"), stops = a.sizes("stops");
    const auto steps = a.integers("steps");
    for (size_t d = 0; d < steps.size(); ++d)
        if (starts[d] != SizeId(0) || stops[d] != m.operand.sizes[d] || steps[d] != 1) return false;
    return true;
}
bool flips_nothing(const Movement& m) { return m.attributes().integers("axes").empty(); }

Dims constants(const Attributes& a, std::string_view key) {
    Dims values;
    for (SizeId size : a.sizes(key)) {
        assert(size.is_inline_constant());
        values.push_back(size.bits);
    }
    return values;
}
Tensor expand_view(const Tensor& x, const Attributes& a) { return x.expand(constants(a, "sizes")); }
Tensor reshape_view(const Tensor& x, const Attributes& a) { return x.view_as(constants(a, "sizes")); }
Tensor permute_view(const Tensor& x, const Attributes& a) {
    Dims axes;
    for (int64_t axis : a.integers("axes")) axes.push_back(axis);
    return x.permute(axes);
}
Tensor slice_view(const Tensor& x, const Attributes& a) {
    const Dims starts = constants(a, "starts"), stops = constants(a, "stops");
    const Dims steps = a.integers("steps");
    Tensor result = x;
    for (size_t d = 0; d < steps.size(); ++d) result = result.slice(int64_t(d), starts[d], stops[d], steps[d]);
    return result;
}
Tensor diagonal_view(const Tensor& x, const Attributes& a) {
    const Dims axes = a.integers("axes");
    const auto [down, right] = diagonal_start(a);
    const size_t first = size_t(axes[0]), second = size_t(axes[1]);
    Tensor result = x;
    result.shape.clear();
    result.strides.clear();
    for (size_t d = 0; d < x.rank(); ++d) {
        if (d == first || d == second) continue;
        result.shape.push_back(x.shape[d]);
        result.strides.push_back(x.strides[d]);
    }
    const int64_t count = std::max<int64_t>(std::min(x.shape[first] - down, x.shape[second] - right), 0);
    result.shape.push_back(count);
    result.strides.push_back(x.strides[first] + x.strides[second]);
    if (count > 0) result.offset += down * x.strides[first] + right * x.strides[second];
    return result;
}
Tensor same_view(const Tensor& x, const Attributes&) { return x; }

// ---- gradients ----------------------------------------------------------------------------------------------------
void permute_gradient(Gradient& d) {
    const auto axes = d.attributes().integers("axes");
    AttrList inverse(axes.size());
    for (size_t k = 0; k < axes.size(); ++k) inverse[size_t(axes[k])] = int64_t(k);
    d.x(0) += apply(op<"permute">(), {d.g}, d.attr({{"axes", inverse}}));
}
// The cotangent, added to +0.0 where it was read from. A sum with such terms is what one buffer comes to that begins at +0.0,
// when each is added inside its slice alone (ir/fusion/prepare.cpp): adding +0.0 outside changes nothing there.
void slice_gradient(Gradient& d) {
    const Attributes a = d.attributes();
    const std::vector<SizeId>& whole = d.type(0).sizes;
    d.x(0) += apply(op<"pad">(), {d.g},
                    d.attr({{"starts", *a.find("starts")},
                            {"stops", *a.find("stops")},
                            {"steps", *a.find("steps")},
                            {"sizes", AttrList(whole.begin(), whole.end())}}));
}
void pad_gradient(Gradient& d) {
    const Attributes a = d.attributes();
    d.x(0) += apply(op<"slice">(), {d.g},
                    d.attr({{"starts", *a.find("starts")}, {"stops", *a.find("stops")}, {"steps", *a.find("steps")}}));
}
void cat_gradient(Gradient& d) {
    Context& context = d.context();
    const Type result = d.result_type();
    const int64_t named = d.attributes().integer("axis");
    const size_t axis = size_t(named < 0 ? named + int64_t(result.rank()) : named), count = d.operand_count();
    SizeId start(0);
    for (size_t k = 0; k < count; ++k) {
        const SizeId stop = context.add(start, d.type(k).sizes[axis]);
        AttrList starts, stops, steps;
        for (size_t j = 0; j < result.rank(); ++j) {
            starts.push_back(j == axis ? start : SizeId(0));
            stops.push_back(j == axis ? stop : result.sizes[j]);
            steps.push_back(int64_t(1));
        }
        d.x(k) += apply(op<"slice">(), {d.g}, d.attr({{"starts", starts}, {"stops", stops}, {"steps", steps}}));
        start = stop;
    }
}
void diagonal_gradient(Gradient& d) {  // zeros, with the cotangent on the diagonal
    const Term zeros = d.zero_like(0);
    d.x(0) += apply(op<"update">(), {zeros, d.replay(zeros), d.g});
}
void update_gradient(Gradient& d) {
    d.x(0) += apply(op<"update">(), {d.g, d.replay_view(1, 0, d.g), d.zero_like(2)});
    d.x(2) += d.replay_view(1, 0, d.g);
}

// ---- batching -----------------------------------------------------------------------------------------------------
NodeId expand_batching(Batching& b) {
    const SizeList sizes = b.attributes().sizes("sizes");
    return b.expand(b.aligned(0, sizes.size()), b.batch_of(sizes));
}
NodeId permute_batching(Batching& b) {
    AttrList axes{int64_t(0)};
    for (int64_t axis : b.attributes().integers("axes")) axes.push_back(axis + 1);
    return b.permute(b.operand(0), std::move(axes));
}
NodeId diagonal_batching(Batching& b) {
    AttrList axes;
    for (int64_t axis : b.attributes().integers("axes")) axes.push_back(axis + 1);
    return b.again({b.operand(0)}, b.with("axes", axes));
}
NodeId reshape_batching(Batching& b) { return b.reshape(b.operand(0), b.batch_of(b.attributes().sizes("sizes"))); }
NodeId slice_batching(Batching& b) {  // every example of the batch, of each the slice
    const Attributes a = b.attributes();
    AttrList starts{SizeId(0)}, steps{int64_t(1)};
    for (SizeId start : a.sizes("starts")) starts.push_back(start);
    for (int64_t step : a.integers("steps")) steps.push_back(step);
    const AttrValue stops = b.batch_of(a.sizes("stops"));
    if (!a.has("sizes"))
        return b.again({b.operand(0)}, b.attr({{"starts", starts}, {"stops", stops}, {"steps", steps}}));
    return b.again(
        {b.operand(0)},
        b.attr({{"starts", starts}, {"stops", stops}, {"steps", steps}, {"sizes", b.batch_of(a.sizes("sizes"))}}));
}
NodeId same_batching(Batching& b) { return b.again({b.operand(0)}, b.attr()); }
NodeId with_history_batching(Batching& b) { return b.again({b.whole(0), b.whole(1)}, b.attr()); }
NodeId full_batching(Batching& b) {  // a number an example
    const SizeList sizes = b.attributes().sizes("sizes");
    return b.expand(b.aligned(0, sizes.size()), b.batch_of(sizes));
}
NodeId update_batching(Batching& b) {
    const NodeId base = b.whole(0);
    return b.again({base, b.replay_view(1, 0, base), b.whole(2)}, b.attr());
}

constexpr Row movement(Row r) {
    r.min_operands = r.max_operands = 1;
    r.lowering = Lowering::movement;
    return r;
}
constexpr Row with_history(Row r) {  // moves its first operand
    r.min_operands = r.max_operands = 2;
    return r;
}
constexpr Row source(Row r) {  // elements out of nothing
    r.lowering = Lowering::loops;
    r.no_gradient = "it has no operands";
    r.no_batching = "it has no operands: it is one value for all examples";
    return r;
}

// clang-format off
const Row movement_table[] = {
    movement({.name = "expand", .doc = "repeats dimensions of size 1 and adds leading ones", .result = expand_rule, .index = expand_index,
              .compose = last_sizes, .view = expand_view, .repeats = true,
              .gradient = [](Gradient& d) { d.x(0) += d.g; }, .batching = expand_batching}),
    movement({.name = "permute", .doc = "dimensions in another order", .result = permute_rule, .index = permute_index,
              .is_still = permutes_nothing, .compose = permute_twice, .view = permute_view, .gradient = permute_gradient,
              .batching = permute_batching}),
    movement({.name = "reshape", .doc = "the same elements in row-major order under another shape", .result = reshape_rule, .index = reshape_index,
              .compose = last_sizes, .view = reshape_view, .memory = MemoryUse::names,
              .gradient = [](Gradient& d) { d.x(0) += d.reshape_to(d.g, d.type(0).sizes); }, .batching = reshape_batching}),
    movement({.name = "slice", .doc = "elements start, start + step, … before stop of each dimension", .result = slice_rule, .index = slice_index,
              .is_still = slices_everything, .view = slice_view,
              .gradient = slice_gradient, .batching = slice_batching}),
    movement({.name = "diagonal", .doc = "x[…, i, …, i + offset, …] of two axes, over i, which is the last dimension", .result = diagonal_rule,
              .index = diagonal_index, .view = diagonal_view, .gradient = diagonal_gradient, .batching = diagonal_batching}),
    movement({.name = "flip", .doc = "dimensions backwards", .result = flip_rule, .index = flip_index,
              .is_still = flips_nothing,
              .gradient = [](Gradient& d) { d.x(0) += d.replay(d.g); }, .batching = batch_along_axes}),
    movement({.name = "identity", .doc = "the same value under another name", .result = same_as_first, .index = same_index,
              .view = same_view, .memory = MemoryUse::names,
              .gradient = [](Gradient& d) { d.x(0) += d.g; }, .batching = same_batching}),
    movement({.name = "detach", .doc = "the same value, through which no gradient flows", .result = same_as_first, .index = same_index,
              .view = same_view, .memory = MemoryUse::names,
              .no_gradient = "it is there to stop gradients", .stops_gradient = true, .batching = same_batching}),
    with_history(movement({.name = "with_history", .doc = "the first value; gradients flow to the second, whose history it has", .result = with_history_rule,
                           .index = same_index, .view = same_view, .memory = MemoryUse::names,
                           .gradient = [](Gradient& d) { d.x(1) += d.g; }, .history_of = 1, .batching = with_history_batching})),
    {.name = "full", .doc = "one number in every place", .min_operands = 1, .max_operands = 1, .result = full_rule, .lowering = Lowering::loops, .source = Source::operand,
     .gradient = [](Gradient& d) { d.x(0) += d.g; }, .batching = full_batching},
    source({.name = "iota", .doc = "0, 1, 2, … along the last dimension", .result = iota_rule, .source = Source::position}),
    source({.name = "size", .doc = "a size as a number", .result = size_rule, .source = Source::size}),
    {.name = "cat", .doc = "tensors one after the other along a dimension", .min_operands = 1, .max_operands = -1, .result = cat_rule,
     .lowering = Lowering::loops, .memory = MemoryUse::gathers, .has_absent_parts = true, .gradient = cat_gradient, .batching = batch_whole},
    {.name = "pad", .doc = "zeros of `sizes`, with the tensor added to the slice from starts to stops by steps", .min_operands = 1,
     .max_operands = 1, .dtypes = DTypes::numeric, .result = pad_rule, .lowering = Lowering::loops, .memory = MemoryUse::adds, .gradient = pad_gradient, .batching = slice_batching},
    {.name = "update", .doc = "base with the elements that the view (movement ops from base) shows replaced by value", .min_operands = 3,
     .max_operands = 3, .result = update_rule, .lowering = Lowering::loops, .memory = MemoryUse::replaces, .gradient = update_gradient, .batching = update_batching},
};
// clang-format on

}  // namespace

std::span<const Row> movement_rows() { return movement_table; }

}  // namespace tenon
