#include "runtime/tensor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>

#include "runtime/diagnostic.h"

namespace tenon {

std::optional<int64_t> try_numel(std::span<const int64_t> shape) {
    int64_t spanned = 1;  // with zero sizes counted as one: strides must fit as well
    bool is_empty = false;
    for (int64_t size : shape) {
        if (size < 0 || __builtin_mul_overflow(spanned, std::max<int64_t>(size, 1), &spanned)) return std::nullopt;
        is_empty |= size == 0;
    }
    return is_empty ? 0 : spanned;
}

int64_t checked_numel(std::span<const int64_t> shape) {
    for (size_t d = 0; d < shape.size(); ++d) {
        if (shape[d] < 0) {
            throw_error("shape", fmt::format("a size cannot be negative, but dimension {} of the shape {} is {}", d,
                                             shape_to_string(shape), shape[d]));
        }
    }
    std::optional<int64_t> count = try_numel(shape);
    if (!count) {
        throw_error("memory", fmt::format("a tensor of shape {} is more than any machine has", shape_to_string(shape)),
                    "check the sizes of its shape");
    }
    return *count;
}

Dims contiguous_strides(std::span<const int64_t> shape) {
    Dims strides(shape.size(), 1);
    for (size_t d = shape.size(); d-- > 1;) strides[d - 1] = strides[d] * std::max<int64_t>(shape[d], 1);
    return strides;
}

Dims broadcast_shapes(std::span<const int64_t> a, std::span<const int64_t> b) {
    auto [shorter, longer] = a.size() < b.size() ? std::pair(a, b) : std::pair(b, a);
    Dims result(longer);
    size_t added = longer.size() - shorter.size();
    for (size_t d = 0; d < shorter.size(); ++d) {
        int64_t x = shorter[d], y = longer[d + added];
        if (x != y && x != 1 && y != 1) {
            throw_error(
                "shape",
                fmt::format("the shapes {} and {} do not broadcast: their sizes in dimension {} from the end are "
                            "{} and {}",
                            shape_to_string(a), shape_to_string(b), shorter.size() - d, a.size() < b.size() ? x : y,
                            a.size() < b.size() ? y : x),
                "sizes broadcast where they are equal or one of them is 1");
        }
        result[d + added] = x == 1 ? y : x;
    }
    return result;
}

std::string shape_to_string(std::span<const int64_t> shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

int64_t normalise_dim(int64_t dim, size_t rank) {
    auto count = static_cast<int64_t>(rank);
    if (dim < -count || dim >= count) {
        throw_error("index",
                    rank == 0 ? fmt::format("a 0-dim tensor has no dimension {}", dim)
                              : fmt::format("dimension {} is out of range for a tensor of rank {}: expected {} to {}",
                                            dim, rank, -count, count - 1));
    }
    return dim < 0 ? dim + count : dim;
}

// Making.

Tensor Tensor::empty(const Allocator& allocator, DType dtype, const Dims& shape) {
    auto count = static_cast<size_t>(checked_numel(shape));
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, size_of(dtype), &bytes)) {
        throw_error("memory", fmt::format("a tensor of shape {} is more than any machine has", shape_to_string(shape)),
                    "check the sizes of its shape");
    }
    return {allocator.allocate(bytes), dtype, shape, contiguous_strides(shape), 0};
}

Tensor Tensor::zeros(const Allocator& allocator, DType dtype, const Dims& shape) {
    Tensor result = empty(allocator, dtype, shape);
    std::memset(result.storage->data, 0, result.storage->bytes);
    return result;
}

Tensor Tensor::full(const Allocator& allocator, DType dtype, const Dims& shape, Scalar value) {
    Tensor result = empty(allocator, dtype, shape);
    fill(result, value);
    return result;
}

Tensor Tensor::scalar(const Allocator& allocator, DType dtype, Scalar value) {
    return full(allocator, dtype, {}, value);
}

// Views.

namespace {

// `shape` with its −1 replaced by what makes it hold `count` elements.
Dims complete_shape(const Dims& shape, const Tensor& of) {
    Dims result = shape;
    int64_t* unknown = nullptr;
    for (int64_t& size : result) {
        if (size != -1) continue;
        if (unknown) {
            throw_error("shape",
                        fmt::format("only one size of a shape can be -1, but {} has several", shape_to_string(shape)));
        }
        unknown = &size;
    }
    if (unknown) *unknown = 1;
    int64_t count = of.numel(), known = checked_numel(result);
    if (unknown && known != 0 && count % known == 0) {
        *unknown = count / known;
        known = count;
    } else if (unknown) {
        throw_error("shape", fmt::format("no size makes the shape {} hold the {} elements of a tensor of shape {}",
                                         shape_to_string(shape), count, shape_to_string(of.shape)));
    }
    if (known != count) {
        throw_error("shape", fmt::format("a tensor of shape {} has {} elements, but the shape {} has {}",
                                         shape_to_string(of.shape), count, shape_to_string(shape), known));
    }
    return result;
}

// Strides that show the elements of `tensor` in `shape`, where there are some: a run of dimensions that are adjacent in
// memory may be cut anew, what lies between runs may not.
std::optional<Dims> view_strides(const Tensor& tensor, const Dims& shape) {
    if (tensor.is_contiguous() || tensor.numel() == 0) return contiguous_strides(shape);
    Dims strides(shape.size(), 0);
    int64_t run = 1, covered = 1, base = tensor.strides.back();
    size_t to = shape.size();
    for (size_t d = tensor.rank(); d-- > 0;) {
        run *= tensor.shape[d];
        bool ends = d == 0 || (tensor.shape[d - 1] != 1 && tensor.strides[d - 1] != run * base);
        if (!ends) continue;
        while (to > 0 && (covered < run || shape[to - 1] == 1)) {
            --to;
            strides[to] = covered * base;
            covered *= shape[to];
        }
        if (covered != run) return std::nullopt;
        if (d > 0) base = tensor.strides[d - 1];
        run = covered = 1;
    }
    return to == 0 ? std::optional(strides) : std::nullopt;
}

}  // namespace

std::optional<Tensor> Tensor::try_view_as(const Dims& new_shape) const {
    Dims complete = complete_shape(new_shape, *this);
    std::optional<Dims> new_strides = view_strides(*this, complete);
    if (!new_strides) return std::nullopt;
    return Tensor{storage, dtype, complete, *new_strides, offset};
}

Tensor Tensor::view_as(const Dims& new_shape) const {
    if (std::optional<Tensor> view = try_view_as(new_shape)) return *std::move(view);
    throw_error("shape",
                fmt::format("a tensor of shape {} and strides {} cannot be viewed as {} without copying it",
                            shape_to_string(shape), shape_to_string(strides), shape_to_string(new_shape)),
                "reshape copies where it has to");
}

Tensor Tensor::permute(const Dims& order) const {
    if (order.size() != rank()) {
        throw_error("shape", fmt::format("permute needs each of the {} dimensions once, but got {}", rank(),
                                         shape_to_string(order)));
    }
    Tensor result = *this;
    SmallVector<uint8_t, 16> seen(rank(), 0);
    for (size_t d = 0; d < rank(); ++d) {
        auto from = static_cast<size_t>(normalise_dim(order[d], rank()));
        if (seen[from]++) {
            throw_error("shape", fmt::format("permute needs each of the {} dimensions once, but {} names {} twice",
                                             rank(), shape_to_string(order), from));
        }
        result.shape[d] = shape[from];
        result.strides[d] = strides[from];
    }
    return result;
}

Tensor Tensor::transpose(int64_t first, int64_t second) const {
    auto a = static_cast<size_t>(normalise_dim(first, rank())), b = static_cast<size_t>(normalise_dim(second, rank()));
    Tensor result = *this;
    std::swap(result.shape[a], result.shape[b]);
    std::swap(result.strides[a], result.strides[b]);
    return result;
}

Tensor Tensor::slice(int64_t dim, int64_t start, int64_t stop, int64_t step) const {
    auto d = static_cast<size_t>(normalise_dim(dim, rank()));
    if (step <= 0) {
        throw_error("index", fmt::format("a view needs a positive step, but the step is {}", step),
                    "a negative step copies: use flip");
    }
    auto clamp = [size = shape[d]](int64_t bound) {
        return std::clamp<int64_t>(bound < 0 ? bound + size : bound, 0, size);
    };
    int64_t first = clamp(start), last = std::max(clamp(stop), first);
    Tensor result = *this;
    result.shape[d] = (last - first) / step + ((last - first) % step != 0);
    if (result.shape[d] > 0) result.offset += first * strides[d];
    // With a step beyond the last element there is but one, so that the product that could overflow is not needed.
    if (result.shape[d] > 1) result.strides[d] *= step;
    return result;
}

Tensor Tensor::select(int64_t dim, int64_t index) const {
    auto d = static_cast<size_t>(normalise_dim(dim, rank()));
    int64_t size = shape[d];
    if (index < -size || index >= size) {
        throw_error("index", size == 0 ? fmt::format("index {} is out of range: dimension {} is empty", index, d)
                                       : fmt::format("index {} is out of range for dimension {}: expected {} to {}",
                                                     index, d, -size, size - 1));
    }
    Tensor result = *this;
    result.offset += (index < 0 ? index + size : index) * strides[d];
    result.shape.erase(result.shape.begin() + d);
    result.strides.erase(result.strides.begin() + d);
    return result;
}

Tensor Tensor::expand(const Dims& new_shape) const {
    if (new_shape.size() < rank()) {
        throw_error("shape", fmt::format("a tensor of shape {} cannot be expanded to the smaller rank of {}",
                                         shape_to_string(shape), shape_to_string(new_shape)));
    }
    size_t added = new_shape.size() - rank();
    Tensor result{storage, dtype, new_shape, Dims(new_shape.size(), 0), offset};
    for (size_t d = 0; d < new_shape.size(); ++d) {
        bool is_new = d < added;
        if (!is_new && (new_shape[d] == -1 || new_shape[d] == shape[d - added])) {
            result.shape[d] = shape[d - added];
            result.strides[d] = strides[d - added];
        } else if (new_shape[d] < 0 || (!is_new && shape[d - added] != 1)) {
            throw_error("shape",
                        fmt::format("a tensor of shape {} cannot be expanded to {}: dimension {} is {}, not {}",
                                    shape_to_string(shape), shape_to_string(new_shape), d,
                                    is_new ? "new" : std::to_string(shape[d - added]), new_shape[d]),
                        "sizes expand where they are 1");
        }
    }
    checked_numel(result.shape);
    return result;
}

Tensor Tensor::squeeze(int64_t dim) const {
    auto d = static_cast<size_t>(normalise_dim(dim, rank()));
    return shape[d] == 1 ? select(dim, 0) : *this;
}

Tensor Tensor::unsqueeze(int64_t dim) const {
    auto d = static_cast<size_t>(normalise_dim(dim, rank() + 1));
    Tensor result = *this;
    int64_t stride = d < rank() ? strides[d] * shape[d] : 1;
    result.shape.insert(result.shape.begin() + d, 1);
    result.strides.insert(result.strides.begin() + d, stride);
    return result;
}

// Copies.

namespace {

Tensor copy_as(const Tensor& tensor, DType dtype) {
    std::optional<Allocator> allocator = tensor.storage->allocator();
    if (!allocator) allocator.emplace(tensor.device());
    Tensor result = Tensor::empty(*allocator, dtype, tensor.shape);
    copy_strided(result, tensor);
    return result;
}

}  // namespace

Tensor Tensor::contiguous() const { return is_contiguous() ? *this : clone(); }

Tensor Tensor::reshape(const Dims& new_shape) const {
    if (std::optional<Tensor> view = try_view_as(new_shape)) return *std::move(view);
    return clone().view_as(new_shape);
}

Tensor Tensor::clone() const { return copy_as(*this, dtype); }

Tensor Tensor::cast(DType to) const { return to == dtype ? *this : copy_as(*this, to); }

// Elements.

namespace {

int64_t element_offset(const Tensor& tensor, std::span<const int64_t> index) {
    assert(index.size() == tensor.rank() && tensor.device().kind == Device::cpu);
    int64_t at = 0;
    for (size_t d = 0; d < index.size(); ++d) {
        assert(index[d] >= 0 && index[d] < tensor.shape[d]);
        at += index[d] * tensor.strides[d];
    }
    return at;
}

}  // namespace

Scalar Tensor::read_scalar(std::span<const int64_t> index) const {
    int64_t at = element_offset(*this, index);
    return visit_dtype(dtype, [&]<class T>() -> Scalar {
        T value = data<T>()[at];
        if constexpr (std::is_same_v<T, bool>) return value;
        else if constexpr (std::is_integral_v<T>) return int64_t{value};
        else
            return static_cast<double>(
                static_cast<std::conditional_t<std::is_same_v<T, double>, double, float>>(value));
    });
}

void Tensor::write_scalar(std::span<const int64_t> index, Scalar value) const {
    int64_t at = element_offset(*this, index);
    visit_dtype(dtype, [&]<class T>() { data<T>()[at] = scalar_as<T>(value); });
}

bool Tensor::overlaps(const Tensor& other) const {
    if (storage != other.storage || numel() == 0 || other.numel() == 0) return false;
    auto range = [](const Tensor& t) {
        int64_t last = t.offset;
        for (size_t d = 0; d < t.rank(); ++d) last += (t.shape[d] - 1) * t.strides[d];
        auto size = static_cast<int64_t>(size_of(t.dtype));
        return std::pair(t.offset * size, (last + 1) * size);
    };
    auto [a_begin, a_end] = range(*this);
    auto [b_begin, b_end] = range(other);
    return a_begin < b_end && b_begin < a_end;
}

}  // namespace tenon
