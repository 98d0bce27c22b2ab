// `x[i]` and `x[i] = e`: a basic index (ints, slices, `...`, none) is a view, index tensors and masks copy.
#include <algorithm>
#include <cassert>
#include <cstring>

#include <fmt/format.h>

#include "frontend/ops/tensor_data.h"
#include "frontend/ops/tensor_ops.h"
#include "runtime/diagnostic.h"

namespace tenon::ops {

namespace {

struct Advanced {  // an index tensor or mask, and the dimension of the basic result that it indexes
    size_t dim;
    TensorRef index;
    bool is_mask = false;
};

// What an index comes to: slices of every dimension, then dimensions dropped and added, then index tensors.
struct Plan {
    std::vector<Slice> slices;
    Dims flipped;  // dimensions read backwards, after the slices
    Sizes sizes;   // after dropping and adding
    bool reshapes = false;
    std::vector<Advanced> advanced;
};

size_t dimensions_taken(Dispatcher& d, const Value& item) {
    if (item.is_none() || item.is(Kind::ellipsis)) return 0;
    if (const auto* tensor = item.try_as<TensorObject>(); tensor && tensor->dtype() == DType::boolean)
        return tensor->rank();
    (void)d;
    return 1;
}

// A bound of a slice forwards, between 0 and the size. Which side of these it lies on is decided; where it lies between
// them a symbolic one stays one.
Size bound(Dispatcher& d, const Value& value, const Size& size, const Size& otherwise) {
    if (value.is_none() || value.is_unset()) return otherwise;
    const int64_t given = int_of(d, value, "a bound of a slice");
    const int64_t at = given < 0 ? given + size.value : given;
    if (at < 0) return Size(0);
    if (at >= size.value) return size;
    if (is_host_int(value)) return given < 0 ? subtract(d, size, host_position(d, -given)) : host_position(d, given);
    const Size bound = size_of(d, value, "a bound of a slice");
    return given < 0 ? add(d, size, bound) : bound;
}

Slice slice_of(Dispatcher& d, const SliceObject& s, const Size& size, bool& backwards) {
    // No dimension is as long as the longest step; what computes with sizes and steps cannot overflow then.
    constexpr int64_t longest = int64_t{1} << 40;
    const int64_t step = s.step.is_none() || s.step.is_unset()
                             ? 1
                             : std::clamp(int_of(d, s.step, "the step of a slice"), -longest, longest);
    if (step == 0) throw_error("value", "the step of a slice cannot be 0");
    backwards = step < 0;
    if (!backwards) {
        Slice made{bound(d, s.start, size, Size(0)), size, step};
        if (is_host_int(s.start) && is_host_int(s.stop)) {
            // Both move; how far they are apart often does not.
            const int64_t given = int_of(d, s.stop, "a bound of a slice"),
                          stop = given < 0 ? given + size.value : given;
            if (stop < size.value)
                made.stop = add(d, made.start, host_size(d, std::max<int64_t>(0, stop - made.start.value)));
        } else {
            made.stop = bound(d, s.stop, size, size);
        }
        if (made.stop.value < made.start.value) made.stop = made.start;
        settle_short(d, made);
        return made;
    }
    // Backwards from `first` to above `last`: the same elements ascending, flipped afterwards.
    auto host_bound = [&](const Value& v, int64_t otherwise) {
        if (v.is_none() || v.is_unset()) return otherwise;
        int64_t at = int_of(d, v, "a bound of a slice");
        if (at < 0) at += size.value;
        return std::clamp<int64_t>(at, -1, size.value - 1);
    };
    const int64_t first = host_bound(s.start, size.value - 1), last = host_bound(s.stop, -1);
    if (first <= last) return {Size(0), Size(0), 1};
    const int64_t count = (first - last + -step - 1) / -step;
    return {Size(first - (count - 1) * -step), Size(first + 1), -step};
}

Plan plan_index(Dispatcher& d, const TensorRef& x, const Value& i) {
    std::vector<Value> items;
    if (const auto* tuple = i.try_as<TupleObject>()) items = tuple->items;
    else items.push_back(i);
    for (Value& item : items) {  // a list of ints or bools is an index tensor
        if (const auto* number = item.try_as<SymbolicObject>(); number && !number->is_size())
            item = settled(d, item);
        if (!item.is<ListObject>()) continue;
        const bool is_empty = item.as<ListObject>().items.empty();
        item = make_tensor(d, item, is_empty ? std::optional(DType::i64) : std::nullopt);
    }
    size_t taken = 0, ellipses = 0;
    for (const Value& item : items) {
        taken += dimensions_taken(d, item);
        ellipses += item.is(Kind::ellipsis);
    }
    if (ellipses > 1) throw_error("index", "an index can have one `...` only");
    if (taken > x->rank()) {
        throw_error("index", fmt::format("{} indices are too many for a tensor of rank {} ({})", taken, x->rank(),
                                         describe_type(*x)));
    }
    if (ellipses == 0) items.push_back(Value::ellipsis());
    Plan plan;
    size_t dim = 0;
    for (const Value& item : items) {
        switch (item.kind()) {
            case Kind::none:
                plan.sizes.push_back(Size(1));
                plan.reshapes = true;
                break;
            case Kind::ellipsis:
                for (size_t rest = x->rank() - taken; rest-- > 0; ++dim) {
                    plan.slices.push_back({Size(0), d.size(*x, dim)});
                    plan.sizes.push_back(plan.slices.back().stop);
                }
                break;
            case Kind::slice: {
                bool backwards = false;
                const Slice s = slice_of(d, item.as<SliceObject>(), d.size(*x, dim), backwards);
                if (backwards) plan.flipped.push_back(static_cast<int64_t>(dim));
                plan.slices.push_back(s);
                Size extent = subtract(d, s.stop, s.start);
                if (s.step != 1) {
                    const int64_t count = (extent.value + s.step - 1) / s.step;
                    extent = extent.id.is_inline_constant()
                                 ? Size(count)
                                 : Size(count,
                                        d.context().floordiv(
                                            d.context().add(extent.id, d.context().constant(s.step - 1)),
                                            d.context().constant(s.step)),
                                        extent.serial);
                }
                plan.sizes.push_back(extent);
                ++dim;
                break;
            }
            case Kind::integer:
            case Kind::symbolic: {
                const Size at = position(d, x, dim, item);
                plan.slices.push_back({at, add(d, at, Size(1))});
                plan.reshapes = true;
                ++dim;
                break;
            }
            case Kind::tensor: {
                const TensorRef index = item.ref<TensorObject>();
                const size_t count = dimensions_taken(d, item);
                if (is_float(index->dtype())) {
                    throw_error("dtype",
                                fmt::format("an index tensor holds ints or bools, but it is {}", describe_type(*index)),
                                "cast it: `i.to(i64)`");
                }
                plan.advanced.push_back({plan.sizes.size(), index});
                for (size_t k = 0; k < count; ++k, ++dim) {
                    plan.slices.push_back({Size(0), d.size(*x, dim)});
                    plan.sizes.push_back(plan.slices.back().stop);
                }
                break;
            }
            default:
                throw_error(
                    "type",
                    fmt::format("a tensor is indexed by ints, slices, `...`, none, lists and tensors, not by {}",
                                with_article(item.kind())));
        }
    }
    return plan;
}

TensorRef basic(Dispatcher& d, const TensorRef& x, const Plan& plan) {
    TensorRef y = slice(d, x, plan.slices);
    if (!plan.flipped.empty()) y = flip(d, y, plan.flipped);
    return plan.reshapes ? reshape(d, y, plan.sizes) : y;
}

// One index tensor over one dimension that stands for all of them: masks become positions, several index tensors a
// linear one. Returns the tensor to take from, with the indexed dimensions merged at `dim`.
struct Merged {
    TensorRef x;
    TensorRef index;
    int64_t dim;
};

TensorRef merge_dims(Dispatcher& d, const TensorRef& x, size_t first, size_t count) {
    if (count == 1) return x;
    if (count == 0) return unsqueeze(d, x, static_cast<int64_t>(first));
    return flatten(d, x, static_cast<int64_t>(first), static_cast<int64_t>(first + count - 1));
}

// Positions along a dimension, counted from the front. They are read out of the list of all, which refuses what is out
// of range: once several dimensions are merged nobody could tell.
TensorRef checked_positions(Dispatcher& d, const TensorRef& index, const Size& extent, size_t dim) {
    Sizes sizes(dim + 1, Size(1));
    sizes[dim] = extent;
    const TensorRef all = reshape(d, iota(d, extent, DType::i64), sizes);
    return reshape(d, take(d, all, index, static_cast<int64_t>(dim)), d.sizes(*index));
}

Merged merge(Dispatcher& d, TensorRef x, std::vector<Advanced> advanced) {
    for (size_t k = 0; k < advanced.size(); ++k) {  // masks first: each takes its dimensions as one
        Advanced& a = advanced[k];
        if (a.index->dtype() != DType::boolean) continue;
        const size_t count = a.index->rank();
        for (size_t j = 0; j < count; ++j) {
            if (a.index->shape()[j] != x->shape()[a.dim + j]) {
                throw_error("index", fmt::format("a mask of shape {} does not fit the indexed dimensions of {}",
                                                 shape_to_string(a.index->shape()), describe_type(*x)));
            }
        }
        x = merge_dims(d, x, a.dim, count);
        a.is_mask = true;
        a.index = true_positions(d, count == 1 ? a.index : reshape(d, a.index, {d.constant(-1)}));
        for (size_t j = k + 1; j < advanced.size(); ++j) advanced[j].dim = advanced[j].dim + 1 - count;
    }
    if (advanced.size() == 1) return {x, advanced[0].index, static_cast<int64_t>(advanced[0].dim)};
    bool adjacent = true;
    for (size_t k = 1; k < advanced.size(); ++k) adjacent &= advanced[k].dim == advanced[k - 1].dim + 1;
    size_t first = advanced[0].dim;
    if (!adjacent) {  // NumPy's rule: the dimensions of the result come first
        Dims order;
        for (const Advanced& a : advanced) order.push_back(static_cast<int64_t>(a.dim));
        for (size_t k = 0; k < x->rank(); ++k) {
            if (std::find(order.begin(), order.end(), static_cast<int64_t>(k)) == order.end())
                order.push_back(static_cast<int64_t>(k));
        }
        x = permute(d, x, order);
        first = 0;
    }
    TensorRef linear;
    for (size_t k = 0; k < advanced.size(); ++k) {
        const size_t dim = first + k;
        const Size extent = d.size(*x, dim);
        Term n = count(d, x, Dims{static_cast<int64_t>(dim)}, DType::i64);
        if (!n.tensor) n = Term(Scalar(extent.value), true);
        const TensorRef at =
            advanced[k].is_mask ? advanced[k].index : checked_positions(d, advanced[k].index, extent, advanced[k].dim);
        linear = linear ? elementwise(d, op<"add">(), {elementwise(d, op<"mul">(), {linear, n}), at}) : at;
    }
    return {merge_dims(d, x, first, advanced.size()), linear, static_cast<int64_t>(first)};
}

}  // namespace

TensorRef index(Dispatcher& d, const TensorRef& x, const Value& i) {
    const Plan plan = plan_index(d, x, i);
    TensorRef y = basic(d, x, plan);
    if (plan.advanced.empty()) return y;
    const Merged merged = merge(d, y, plan.advanced);
    return take(d, merged.x, merged.index, merged.dim);
}

void set_index(Dispatcher& d, const TensorRef& x, const Value& i, const Term& given) {
    const Term value = fitting(d, given, x->dtype());
    const Plan plan = plan_index(d, x, i);
    if (!plan.flipped.empty() && plan.advanced.empty()) {  // written in ascending order, with the value flipped
        Plan ascending = plan;
        ascending.flipped = {};
        const TensorRef y = basic(d, x, ascending);
        TensorRef now = value.tensor ? expand(d, cast(d, value.tensor, x->dtype()), d.sizes(*y))
                                     : full(d, value, x->dtype(), d.sizes(*y));
        assign(d, y, Term(flip(d, now, plan.flipped)));
        return;
    }
    const TensorRef y = basic(d, x, plan);
    if (plan.advanced.empty()) return assign(d, y, value);
    if (plan.advanced.size() == 1 && plan.advanced[0].index->dtype() == DType::boolean &&
        (!value.tensor || value.tensor->rank() == 0)) {
        // A mask with one value: no element moves.
        const Advanced& mask = plan.advanced[0];
        Sizes sizes = d.sizes(*mask.index);
        for (size_t k = mask.dim + mask.index->rank(); k < y->rank(); ++k) sizes.push_back(Size(1));
        const TensorRef spread = reshape(d, mask.index, sizes);
        TensorRef cast_to;
        const Arg to = as_arg(d, value, x->dtype(), cast_to);
        const TensorRef now = d.apply(op<"where">(), {Arg(spread), to, Arg(y)});
        return d.write(*y, *now);
    }
    const Merged merged = merge(d, y, plan.advanced);
    // Shapes that the merge changed are views of y where strides allow it, which a write needs.
    TensorRef shown = take(d, merged.x, merged.index, merged.dim);
    const TensorRef to = value.tensor ? expand(d, cast(d, value.tensor, x->dtype()), d.sizes(*shown))
                                      : full(d, value, x->dtype(), d.sizes(*shown));
    const TensorRef now = put(d, merged.x, merged.index, to, merged.dim);
    d.write(*merged.x, *now);
    if (merged.x.get() == y.get()) return;
    if (!d.tracer().capturing() && merged.x->tensor.storage != y->tensor.storage) {
        throw_error("index", "this tensor's memory cannot be written through such an index",
                    "write to `x.contiguous()`");
    }
}

}  // namespace tenon::ops
