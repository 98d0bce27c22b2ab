#include "frontend/ops/tensor_data.h"

#include <algorithm>
#include <cassert>
#include <vector>

#include <fmt/format.h>

#include "frontend/ops/tensor_ops.h"
#include "frontend/record/tracer.h"
#include "runtime/diagnostic.h"

namespace tenon::ops {

namespace {

constexpr size_t deepest = 64;  // lists within lists: more dimensions than any tensor of data has

// Walks nested lists once for the shape and the dtype, once for the elements.
struct Shape {
    Dims sizes;
    bool any_real = false, any_integer = false, any_tensor = false, any_known_later = false;
};

void measure(const Value& value, size_t depth, Shape& shape, bool first) {
    if (const Values* items = items_of(value)) {
        if (depth == deepest)
            throw_error("shape", fmt::format("the lists of a tensor are nested more than {} deep", deepest),
                        "does a list hold itself?");
        const auto size = static_cast<int64_t>(items->size());
        if (first && depth == shape.sizes.size()) {
            shape.sizes.push_back(size);
        } else if (depth >= shape.sizes.size() || shape.sizes[depth] != size) {
            throw_error("shape", "the lists of a tensor must have equal lengths at each level",
                        depth < shape.sizes.size()
                            ? fmt::format("at level {} one has {} items, another {}", depth, shape.sizes[depth], size)
                            : "");
        }
        for (size_t k = 0; k < items->size(); ++k) measure((*items)[k], depth + 1, shape, first && k == 0);
        return;
    }
    if (!first && depth != shape.sizes.size()) {
        throw_error("shape", "the lists of a tensor must have equal lengths at each level",
                    "here a number stands beside a list");
    }
    switch (value.kind()) {
        case Kind::boolean: return;
        case Kind::integer: shape.any_integer = true; return;
        case Kind::symbolic: shape.any_integer = shape.any_known_later = true; return;
        case Kind::real: shape.any_real = true; return;
        case Kind::tensor: shape.any_tensor = true; return;
        default: break;
    }
    throw_error("type", fmt::format("a tensor is made of numbers, but this list holds {}", with_article(value.kind())));
}

template <class T>
void fill_from(const Value& value, T*& to) {
    if (const Values* items = items_of(value)) {
        for (const Value& item : *items) fill_from(item, to);
        return;
    }
    switch (value.kind()) {
        case Kind::boolean: *to++ = convert<T>(value.as_bool()); break;
        case Kind::integer:
            require_fits(value.as_int(), dtype_of<T>);
            *to++ = convert<T>(value.as_int());
            break;
        default:
            require_fits(value.as_real(), dtype_of<T>);
            *to++ = convert<T>(value.as_real());
            break;
    }
}

TensorRef stacked(Dispatcher& d, const Value& value, std::optional<DType> dtype) {
    if (const Values* items = items_of(value)) {
        std::vector<TensorRef> parts;
        for (const Value& item : *items) parts.push_back(stacked(d, item, dtype));
        return stack(d, parts, 0);
    }
    if (value.is_tensor()) return dtype ? cast(d, value.ref<TensorObject>(), *dtype) : value.ref<TensorObject>();
    const Term term = term_of(d, value, false, "an item");
    return full(d, term, dtype.value_or(term.dtype()), {});
}

Value number_at(const Tensor& tensor, std::span<const int64_t> index) {
    return std::visit([](auto v) { return Value(v); }, tensor.read_scalar(index));
}

Value list_of(const Tensor& tensor, Dims& index) {
    if (index.size() == tensor.rank()) return number_at(tensor, index);
    Values items;
    const int64_t size = tensor.shape[index.size()];
    items.reserve(static_cast<size_t>(size));
    for (int64_t k = 0; k < size; ++k) {
        index.push_back(k);
        items.push_back(list_of(tensor, index));
        index.pop_back();
    }
    return make_list(std::move(items));
}

}  // namespace

TensorRef make_tensor(Dispatcher& d, const Value& value, std::optional<DType> dtype) {
    Shape shape;
    measure(value, 0, shape, true);
    if (shape.any_tensor || shape.any_known_later) {
        const TensorRef made = stacked(d, value, dtype);
        return value.is_tensor() ? clone(d, detach(d, made)) : made;
    }
    const DType natural = shape.any_real                               ? DType::f32
                          : shape.any_integer                          ? DType::i64
                          : items_of(value) && shape.sizes.back() == 0 ? DType::f32
                                                                       : DType::boolean;
    Tensor made = Tensor::empty(d.tracer().allocator(), dtype.value_or(natural), shape.sizes);
    if (made.numel() > 0) {
        visit_dtype(made.dtype, [&]<class T>() {
            T* to = made.data<T>();
            fill_from(value, to);
        });
    }
    return make_ref<TensorObject>(std::move(made));
}

Value to_list(Dispatcher& d, TensorObject& x) {
    Dims index;
    return list_of(d.elements(x, "tolist() reads a tensor's elements"), index);
}

Value to_number(Dispatcher& d, TensorObject& x) {
    if (x.tensor.numel() != 1) {
        throw_error("value",
                    fmt::format("a tensor of {} elements is not one number ({})", x.tensor.numel(), describe_type(x)),
                    "reduce it first, for example with sum() or mean()");
    }
    const Tensor& tensor = d.elements(x, "the value of a tensor is asked for");
    return number_at(tensor, Dims(tensor.rank(), 0));
}

Value settled(Dispatcher& d, const Value& value) {
    const auto* number = value.try_as<SymbolicObject>();
    if (!number) return value;
    return number->is_size() ? Value(number->value) : to_number(d, *number->element);
}

int64_t settled_int(Dispatcher& d, const Value& value) {
    const Value number = settled(d, value);
    if (number.is_int()) return number.as_int();
    throw_error("type", fmt::format("an int is expected here, but this is {}", with_article(number.kind())),
                "int(x) converts it");
}

TensorRef true_positions(Dispatcher& d, const TensorRef& mask) {
    const Tensor tensor = d.elements(*mask, "how many elements a mask takes depends on its values").contiguous();
    std::vector<int64_t> positions;
    const bool* flags = tensor.data<bool>();
    for (int64_t k = 0; k < tensor.numel(); ++k) {
        if (flags[k]) positions.push_back(k);
    }
    return make_ref<TensorObject>(
        Tensor::from<int64_t>(d.tracer().allocator(), positions, Dims{static_cast<int64_t>(positions.size())}));
}

TensorRef nonzero(Dispatcher& d, const TensorRef& x) {
    const Tensor flags =
        d.elements(*x, "how many elements are not 0 depends on their values").cast(DType::boolean).contiguous();
    const bool* flag = flags.data<bool>();
    const Dims strides = contiguous_strides(flags.shape);
    std::vector<int64_t> positions;
    for (int64_t k = 0; k < flags.numel(); ++k) {
        if (!flag[k]) continue;
        for (size_t dim = 0; dim < flags.rank(); ++dim) positions.push_back(k / strides[dim] % flags.shape[dim]);
    }
    const auto rank = static_cast<int64_t>(flags.rank());
    const int64_t count =
        rank == 0 ? std::count(flag, flag + flags.numel(), true) : static_cast<int64_t>(positions.size()) / rank;
    return make_ref<TensorObject>(Tensor::from<int64_t>(d.tracer().allocator(), positions, Dims{count, rank}));
}

namespace {

// The last occurrence of each position, and which elements along the dimension have one.
struct Placed {
    TensorRef hit;     // bool, x's size along the dimension, 1 along all others
    TensorRef to;      // positions from the front, i64[n]
    TensorRef source;  // the slices of value that go there; −0 where a later one replaces it
};

Sizes along(size_t rank, int64_t dim, const Size& size) {
    Sizes sizes(rank, Size(1));
    sizes[static_cast<size_t>(dim)] = size;
    return sizes;
}

// Positions that are known.
Placed placed(Dispatcher& d, const TensorRef& x, const Tensor& positions, const TensorRef& value, int64_t dim) {
    const int64_t extent = x->shape()[static_cast<size_t>(dim)];
    std::vector<int64_t> last(static_cast<size_t>(extent), -1);
    const int64_t* at = positions.data<int64_t>();
    for (int64_t k = 0; k < positions.numel(); ++k) {
        const int64_t position = at[k] < 0 ? at[k] + extent : at[k];
        if (position < 0 || position >= extent) {
            throw_error("index",
                        fmt::format("index {} is out of range for dimension {} of size {}", at[k], dim, extent));
        }
        last[static_cast<size_t>(position)] = k;
    }
    std::vector<int64_t> targets, sources;
    for (int64_t k = 0; k < extent; ++k) {
        if (last[static_cast<size_t>(k)] < 0) continue;
        targets.push_back(k);
        sources.push_back(last[static_cast<size_t>(k)]);
    }
    const Allocator& allocator = d.tracer().allocator();
    const Dims count{static_cast<int64_t>(targets.size())};
    auto hit = make_ref<TensorObject>(Tensor::zeros(allocator, DType::boolean, Dims{extent}));
    for (int64_t target : targets) hit->tensor.data<bool>()[target] = true;
    const auto from = make_ref<TensorObject>(Tensor::from<int64_t>(allocator, sources, count));
    return {reshape(d, hit, along(x->rank(), dim, Size(extent))),
            make_ref<TensorObject>(Tensor::from<int64_t>(allocator, targets, count)), take(d, value, from, dim)};
}

// Positions that the graph under capture computes: in the order of a stable sort the last occurrence of a position ends
// its run.
Placed placed(Dispatcher& d, const TensorRef& x, const TensorRef& positions, const TensorRef& value, int64_t dim) {
    const Size count = d.size(*positions, 0), extent = d.size(*x, static_cast<size_t>(dim));
    const AttrId axis = d.attr({{d.names().axis, AttrValue(dim)}});
    const TensorRef ones = full(d, Term::literal(int64_t{1}), DType::i32, along(x->rank(), dim, count));
    const TensorRef zeros = full(d, Term::literal(int64_t{0}), DType::i32, along(x->rank(), dim, extent));
    const TensorRef hit = elementwise(
        d, op<"greater">(), {d.apply(op<"take_add">(), {zeros, positions, ones}, axis), Term::literal(int64_t{0})});
    TensorRef to = positions_from_front(d, x, positions, dim);
    const TensorRef order = d.apply(op<"argsort">(), {to}, d.attr({{d.names().axis, AttrValue(int64_t{0})}}));
    to = take(d, to, order, 0);
    const TensorRef is_last = reshape(d, ends_of_runs(d, to, 0), along(x->rank(), dim, count));
    const TensorRef nothing = scalar(d, Scalar(-0.0), x->dtype());
    return {hit, to, where(d, is_last, Term(take(d, value, order, dim)), Term(nothing))};
}

}  // namespace

TensorRef put(Dispatcher& d, const TensorRef& x, const TensorRef& index, const TensorRef& value, int64_t dim) {
    if (index->tensor.numel() == 0) return clone(d, x);
    // The value's dimensions of the index as one, in the index's order.
    const TensorRef flat = index->rank() == 1   ? value
                           : index->rank() == 0 ? unsqueeze(d, value, dim)
                                                : flatten(d, value, dim, dim + static_cast<int64_t>(index->rank()) - 1);
    const bool is_pending = d.tracer().capturing() && d.tracer().capture().is_pending(*index);
    const Placed at =
        is_pending ? placed(d, x, reshape(d, cast(d, index, DType::i64), {d.constant(-1)}), flat, dim)
                   : placed(d, x, d.elements(*index, "an assignment by an index tensor").cast(DType::i64).contiguous(),
                            flat, dim);
    // What is replaced is −0 before: the value that is added onto it is itself to the bit.
    const TensorRef kept = where(d, at.hit, Term(scalar(d, Scalar(-0.0), x->dtype())), Term(x));
    return d.apply(op<"take_add">(), {kept, at.to, at.source}, d.attr({{d.names().axis, AttrValue(dim)}}));
}

}  // namespace tenon::ops
