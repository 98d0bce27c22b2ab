// Sizes, and the ops that give a tensor another shape: views where strides allow it.
#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "frontend/ops/tensor_data.h"
#include "frontend/ops/tensor_ops.h"
#include "frontend/record/capture.h"
#include "runtime/diagnostic.h"

namespace tenon::ops {

// ---- sizes --------------------------------------------------------------------------------------------------------
Size size_of(Dispatcher& d, const Value& value, std::string_view what) {
    if (value.is_int()) return d.constant(value.as_int());
    if (const auto* symbolic = value.try_as<SymbolicObject>()) {
        if (symbolic->is_host_int()) return host_size(d, symbolic->value, true);
        if (!symbolic->is_size()) return d.constant(settled_int(d, value));
        Capture* capture = d.tracer().capturing() ? &d.tracer().capture() : nullptr;
        if (capture) capture->admit_operation();  // before its graph is asked for
        const bool is_present = capture && capture->shares_sizes(symbolic->serial);
        return is_present ? Size(symbolic->value, symbolic->size, symbolic->serial) : d.constant(symbolic->value);
    }
    if (const auto* tensor = value.try_as<TensorObject>();
        tensor && tensor->tensor.numel() == 1 && is_integer(tensor->dtype())) {
        return d.constant(settled_int(d, value));
    }
    throw_error("type", fmt::format("{} must be an int, but it is {}", what, with_article(value.kind())));
}

int64_t int_of(Dispatcher& d, const Value& value, std::string_view what) {
    return is_host_int(value) ? value.as<SymbolicObject>().value : size_of(d, value, what).value;
}

bool is_host_int(const Value& value) {
    const auto* symbolic = value.try_as<SymbolicObject>();
    return symbolic && symbolic->is_host_int();
}

Size host_size(Dispatcher& d, int64_t value, bool shared) {
    if (value <= 1 || !d.tracer().capturing() || d.tracer().capture().tracing()) return d.constant(value);
    return d.tracer().capture().host_size(value, shared);
}

Size host_position(Dispatcher& d, int64_t value) {
    if (!d.tracer().capturing() || d.tracer().capture().tracing()) return Size(value);
    return d.tracer().capture().host_size(value, false);
}

Value to_value(Dispatcher& d, const Size& size) {
    if (size.id.is_inline_constant() || !d.tracer().capturing()) return Value(size.value);
    if (const auto constant = d.context().as_constant(size.id)) return Value(*constant);
    return make_ref<SymbolicObject>(size.value, size.id, d.tracer().capture().serial());
}

static Size checked(int64_t value, bool overflowed, SizeId id) {
    if (overflowed) throw_error("overflow", "a size is too large for 64 bits");
    return {value, id};
}
static uint64_t graph_of(const Size& a, const Size& b) { return std::max(a.serial, b.serial); }
Size multiply(Dispatcher& d, const Size& a, const Size& b) {
    int64_t value;
    const bool overflowed = __builtin_mul_overflow(a.value, b.value, &value);
    if (overflowed || (a.id.is_inline_constant() && b.id.is_inline_constant()))
        return checked(value, overflowed, SizeId(value));
    return {value, d.context().mul(a.id, b.id), graph_of(a, b)};
}
Size add(Dispatcher& d, const Size& a, const Size& b) {
    int64_t value;
    const bool overflowed = __builtin_add_overflow(a.value, b.value, &value);
    if (overflowed || (a.id.is_inline_constant() && b.id.is_inline_constant()))
        return checked(value, overflowed, SizeId(value));
    return {value, d.context().add(a.id, b.id), graph_of(a, b)};
}
Size subtract(Dispatcher& d, const Size& a, const Size& b) {
    const int64_t value = a.value - b.value;
    if (a.id.is_inline_constant() && b.id.is_inline_constant() && value >= 0) return Size(value);
    return {value, d.context().sub(a.id, b.id), graph_of(a, b)};
}

// ---- shapes -------------------------------------------------------------------------------------------------------
TensorRef reshape(Dispatcher& d, const TensorRef& x, Sizes sizes) {
    Size* unknown = nullptr;
    Size known(1);
    for (Size& size : sizes) {
        if (size.value == -1) {
            if (unknown) throw_error("shape", "only one size of a shape can be -1");
            unknown = &size;
        } else if (size.value < 0) {
            throw_error("shape", fmt::format("a size cannot be negative, but one is {}", size.value));
        } else {
            known = multiply(d, known, size);
        }
    }
    const int64_t elements = x->tensor.numel();
    if (unknown ? known.value == 0 || elements % known.value != 0 : known.value != elements) {
        Dims wanted = values_of(sizes);
        throw_error("shape", fmt::format("a tensor of shape {} has {} elements, which the shape {} cannot hold",
                                         shape_to_string(x->shape()), elements, shape_to_string(wanted)));
    }
    if (unknown) {
        Size total(1);
        for (size_t k = 0; k < x->rank(); ++k) total = multiply(d, total, d.size(*x, k));
        if (total.id.is_inline_constant() && known.id.is_inline_constant()) {
            *unknown = Size(elements / known.value);
        } else {
            // A size of x itself where the others cancel, else the quotient.
            *unknown =
                Size(elements / known.value, d.context().floordiv(total.id, known.id), graph_of(total, known));
            Size rest(1);
            for (size_t k = 0; k < x->rank(); ++k) {
                rest = Size(1);
                for (size_t j = 0; j < x->rank(); ++j) {
                    if (j != k) rest = multiply(d, rest, d.size(*x, j));
                }
                if (rest.id == known.id) *unknown = d.size(*x, k);
            }
        }
    }
    const Dims shape = values_of(sizes);
    if (const auto geometry = x->tensor.try_view_as(shape))
        return d.view(op<"reshape">(), *x, d.sizes_attr(sizes), *geometry);
    return d.apply(op<"reshape">(), {x}, d.sizes_attr(sizes));
}

TensorRef expand(Dispatcher& d, const TensorRef& x, Sizes sizes) {
    if (sizes.size() < x->rank()) {
        throw_error("shape", fmt::format("expand needs at least the tensor's {} dimensions, but got {}", x->rank(),
                                         sizes.size()));
    }
    const size_t added = sizes.size() - x->rank();
    for (size_t k = added; k < sizes.size(); ++k) {
        if (sizes[k].value == -1) sizes[k] = d.size(*x, k - added);
    }
    const Dims shape = values_of(sizes);
    if (shape == x->shape()) return x;
    return d.view(op<"expand">(), *x, d.sizes_attr(sizes), x->tensor.expand(shape));
}

TensorRef broadcast_to(Dispatcher& d, const TensorRef& x, const Sizes& sizes) { return expand(d, x, sizes); }

TensorRef permute(Dispatcher& d, const TensorRef& x, const Dims& axes) {
    Dims positive;
    for (int64_t axis : axes) positive.push_back(normalise_dim(axis, x->rank()));
    Tensor geometry = x->tensor.permute(positive);
    return d.view(op<"permute">(), *x, d.attr({{d.names().axes, d.list(std::span<const int64_t>(positive))}}),
                  std::move(geometry));
}

TensorRef transpose(Dispatcher& d, const TensorRef& x, int64_t first, int64_t second) {
    if (x->rank() == 0) {
        check_dim_of_scalar(first);
        check_dim_of_scalar(second);
        return permute(d, x, {});
    }
    Dims axes(x->rank());
    std::iota(axes.begin(), axes.end(), 0);
    std::swap(axes[static_cast<size_t>(normalise_dim(first, x->rank()))],
              axes[static_cast<size_t>(normalise_dim(second, x->rank()))]);
    return permute(d, x, axes);
}

TensorRef unsqueeze(Dispatcher& d, const TensorRef& x, int64_t dim) {
    Sizes sizes = d.sizes(*x);
    sizes.insert(sizes.begin() + normalise_dim(dim, x->rank() + 1), Size(1));
    return reshape(d, x, std::move(sizes));
}

TensorRef squeeze(Dispatcher& d, const TensorRef& x, std::optional<int64_t> dim) {
    if (dim && x->rank() == 0) {
        check_dim_of_scalar(*dim);
        return x;
    }
    Sizes sizes;
    const int64_t only = dim ? normalise_dim(*dim, x->rank()) : -1;
    for (size_t k = 0; k < x->rank(); ++k) {
        const bool gone = x->shape()[k] == 1 && (!dim || static_cast<int64_t>(k) == only);
        if (!gone) sizes.push_back(d.size(*x, k));
    }
    return sizes.size() == x->rank() ? x : reshape(d, x, std::move(sizes));
}

TensorRef flatten(Dispatcher& d, const TensorRef& x, int64_t first, int64_t last) {
    if (x->rank() == 0) {
        check_dim_of_scalar(first);
        check_dim_of_scalar(last);
        return reshape(d, x, {Size(1)});
    }
    const auto from = static_cast<size_t>(normalise_dim(first, x->rank())),
               to = static_cast<size_t>(normalise_dim(last, x->rank()));
    if (from > to)
        throw_error(
            "value",
            fmt::format("flatten needs a first dimension that is not behind the last one, but they are {} and {}",
                        first, last));
    Sizes sizes;
    Size merged(1);
    for (size_t k = 0; k < x->rank(); ++k) {
        if (k >= from && k <= to) merged = multiply(d, merged, d.size(*x, k));
        else sizes.push_back(d.size(*x, k));
        if (k == to) sizes.push_back(merged);
    }
    return reshape(d, x, std::move(sizes));
}

TensorRef slice(Dispatcher& d, const TensorRef& x, std::span<const Slice> slices) {
    Sizes starts, stops;
    Dims steps;
    Tensor geometry = x->tensor;
    bool is_whole = true;
    for (size_t k = 0; k < slices.size(); ++k) {
        const Slice& s = slices[k];
        is_whole &= s.start.value == 0 && s.stop.value == x->shape()[k] && s.step == 1;
        starts.push_back(s.start);
        stops.push_back(s.stop);
        steps.push_back(s.step);
        geometry = geometry.slice(static_cast<int64_t>(k), s.start.value, s.stop.value, s.step);
    }
    if (is_whole) return d.view(op<"identity">(), *x, {}, x->tensor);
    const Dispatcher::Names& n = d.names();
    const AttrId attr = d.attr({{n.starts, d.list(std::span<const Size>(starts))},
                                {n.stops, d.list(std::span<const Size>(stops))},
                                {n.steps, d.list(std::span<const int64_t>(steps))}});
    return d.view(op<"slice">(), *x, attr, std::move(geometry));
}

void settle_short(Dispatcher& d, Slice& s) {
    const int64_t count = (s.stop.value - s.start.value + s.step - 1) / s.step;
    if (count > 1 || s.stop.id == s.start.id) return;
    if (!d.tracer().capturing() || d.context().as_constant(subtract(d, s.stop, s.start).id)) return;
    s.start = Size(s.start.value);
    s.stop = Size(s.stop.value);
}

TensorRef narrow(Dispatcher& d, const TensorRef& x, int64_t dim, Size start, Size stop) {
    std::vector<Slice> slices;
    const auto axis = static_cast<size_t>(normalise_dim(dim, x->rank()));
    for (size_t k = 0; k < x->rank(); ++k)
        slices.push_back(k == axis ? Slice{start, stop} : Slice{Size(0), d.size(*x, k)});
    settle_short(d, slices[axis]);
    return slice(d, x, slices);
}

Size position(Dispatcher& d, const TensorRef& x, size_t dim, const Value& index) {
    const int64_t given = int_of(d, index, "an index"), size = x->shape()[dim];
    if (given < -size || given >= size) {
        throw_error("index", fmt::format("index {} is out of range for dimension {} of size {}", given, dim, size));
    }
    const int64_t at = given < 0 ? given + size : given;
    if (!d.tracer().capturing() || !index.is_symbolic()) return Size(at);
    if (is_host_int(index))
        return given < 0 ? subtract(d, d.size(*x, dim), host_position(d, -given)) : host_position(d, given);
    const Size symbolic = size_of(d, index, "an index");
    if (d.context().as_constant(symbolic.id)) return Size(at);
    return given < 0 ? add(d, d.size(*x, dim), symbolic) : symbolic;
}

TensorRef select(Dispatcher& d, const TensorRef& x, int64_t dim, const Size& at) {
    return squeeze(d, narrow(d, x, dim, at, add(d, at, Size(1))), dim);
}

TensorRef flip(Dispatcher& d, const TensorRef& x, const Dims& axes) {
    Dims positive;
    for (int64_t axis : axes) positive.push_back(normalise_dim(axis, x->rank()));
    for (size_t k = 1; k < positive.size(); ++k) {
        if (std::find(positive.begin(), positive.begin() + k, positive[k]) != positive.begin() + k)
            throw_error("value", fmt::format("flip names dimension {} twice", positive[k]));
    }
    return d.apply(op<"flip">(), {x}, d.attr({{d.names().axes, d.list(std::span<const int64_t>(positive))}}));
}

TensorRef detach(Dispatcher& d, const TensorRef& x) { return d.view(op<"detach">(), *x, {}, x->tensor); }

TensorRef clone(Dispatcher& d, const TensorRef& x) { return d.apply(op<"identity">(), {x}); }

}  // namespace tenon::ops
