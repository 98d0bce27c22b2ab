// Strided tensors: a view (dtype, shape, strides, offset) onto a storage that views share.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/allocator.h"
#include "runtime/device.h"
#include "runtime/dtype.h"
#include "runtime/ref.h"
#include "runtime/small_vector.h"

namespace tenon {

class Storage;
/// Who will read what some memory holds now, whatever others write, and therefore copies it before they do.
class StorageReader {
public:
    /// Called once, before the write; the memory has forgotten this reader.
    virtual void before_write(const Storage& storage) = 0;

protected:
    ~StorageReader() = default;
};

/// Memory that tensors share. `version` counts the writes; it is raised by whoever writes on a script's behalf.
class Storage final : public RefCounted {
public:
    /// Foreign memory: `deleter` (may be empty) runs when the last owner is gone.
    Storage(std::byte* data, size_t bytes, Device device, std::function<void()> deleter);
    ~Storage() override;

    std::byte* const data;
    const size_t bytes;
    const Device device;
    uint32_t version = 0;

    /// To be called before such a write, or before what may write: tells the readers.
    void begin_write();
    void add_reader(StorageReader& reader) { readers_.push_back(&reader); }
    void remove_reader(StorageReader& reader) { std::erase(readers_, &reader); }

    /// Where more memory of this kind comes from; foreign memory has none.
    std::optional<Allocator> allocator() const;

private:
    friend class MemoryPool;
    Storage(std::byte* data, size_t bytes, size_t capacity, Device device, Ref<MemoryPool> pool);

    size_t capacity_ = 0;   // what the pool set aside: the size class
    Ref<MemoryPool> pool_;  // null for foreign memory
    std::function<void()> deleter_;
    std::vector<StorageReader*> readers_;
};

/// One element read on the host.
using Scalar = std::variant<bool, int64_t, double>;

/// The number of elements; none for a negative size or a count that does not fit 63 bits (zero sizes counted as one).
std::optional<int64_t> try_numel(std::span<const int64_t> shape);
/// The number of elements. Throws Error "shape" for a negative size, "memory" when the count does not fit 63 bits.
int64_t checked_numel(std::span<const int64_t> shape);
/// Strides of a row-major tensor, in elements.
Dims contiguous_strides(std::span<const int64_t> shape);
/// The shape two operands broadcast to (NumPy's rule). Throws Error "shape".
Dims broadcast_shapes(std::span<const int64_t> a, std::span<const int64_t> b);
/// "[2, 3]"
std::string shape_to_string(std::span<const int64_t> shape);

struct Tensor {
    Ref<Storage> storage;
    DType dtype = DType::f32;
    Dims shape, strides;  ///< strides in elements; 0 where a size is broadcast
    int64_t offset = 0;   ///< of the first element, in elements

    /// Uninitialised, row-major. Errors: see checked_numel and Allocator::allocate.
    static Tensor empty(const Allocator& allocator, DType dtype, const Dims& shape);
    static Tensor zeros(const Allocator& allocator, DType dtype, const Dims& shape);
    static Tensor full(const Allocator& allocator, DType dtype, const Dims& shape, Scalar value);
    /// A 0-dim tensor.
    static Tensor scalar(const Allocator& allocator, DType dtype, Scalar value);
    /// A copy of `values`, row-major; `values.size()` is the number of elements of `shape`.
    template <class T> static Tensor from(const Allocator& allocator, std::span<const T> values, const Dims& shape);

    bool defined() const { return static_cast<bool>(storage); }
    size_t rank() const { return shape.size(); }
    int64_t numel() const {
        int64_t count = 1;
        for (int64_t size : shape) count *= size;
        return count;
    }
    /// Bytes of its elements, each counted once however often it is broadcast.
    size_t element_bytes() const { return static_cast<size_t>(numel()) * size_of(dtype); }
    Device device() const { return storage->device; }
    bool is_contiguous() const {
        int64_t expected = 1;
        for (size_t d = shape.size(); d-- > 0;) {
            if (shape[d] == 0) return true;
            if (shape[d] != 1 && strides[d] != expected) return false;
            expected *= shape[d];
        }
        return true;
    }

    /// The first element's address.
    std::byte* bytes() const { return storage->data + offset * static_cast<int64_t>(size_of(dtype)); }
    template <class T> T* data() const {
        assert(dtype_of<std::remove_const_t<T>> == dtype);
        return reinterpret_cast<T*>(bytes());
    }

    // Views: they share the storage. Dimensions may be negative, counted from the end; errors are of kind "index" or
    // "shape".
    /// The same elements in another shape; one size may be −1. Throws where that needs a copy (see reshape).
    Tensor view_as(const Dims& new_shape) const;
    std::optional<Tensor> try_view_as(const Dims& new_shape) const;
    Tensor permute(const Dims& order) const;
    Tensor transpose(int64_t first, int64_t second) const;
    /// Elements start, start + step, … below stop of a dimension; step > 0; bounds count from the end when negative and
    /// are clamped, as in NumPy.
    Tensor slice(int64_t dim, int64_t start, int64_t stop, int64_t step = 1) const;
    /// One index of a dimension, which goes away.
    Tensor select(int64_t dim, int64_t index) const;
    /// Sizes of 1 stretched, dimensions added in front; −1 keeps a size.
    Tensor expand(const Dims& new_shape) const;
    Tensor squeeze(int64_t dim) const;
    Tensor unsqueeze(int64_t dim) const;

    // Copies where needed. Memory comes from the allocator of this tensor's storage.
    /// Itself where it is row-major already.
    Tensor contiguous() const;
    /// A view where possible, otherwise a view of a copy.
    Tensor reshape(const Dims& new_shape) const;
    /// A row-major copy.
    Tensor clone() const;
    /// Itself where the dtype is the same already.
    Tensor cast(DType to) const;

    /// The element at `index` (one int a dimension, in range, not negative); CPU only.
    Scalar read_scalar(std::span<const int64_t> index = {}) const;
    template <class... Index>
        requires(sizeof...(Index) > 0 && (std::is_integral_v<Index> && ...))
    Scalar read_scalar(Index... index) const {
        const int64_t indices[] = {static_cast<int64_t>(index)...};
        return read_scalar(std::span<const int64_t>(indices));
    }
    void write_scalar(std::span<const int64_t> index, Scalar value) const;

    /// True where both may touch the same bytes.
    bool overlaps(const Tensor& other) const;
};

/// What a file of several tensors holds, in its order.
using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

/// Where `dim` counts from the end it is made positive. Throws Error "index".
int64_t normalise_dim(int64_t dim, size_t rank);

/// dst[i] = convert(src[i]) for shapes that are equal, whatever the strides. Overlapping operands are copied first.
/// CPU only, on the calling thread; versions are the caller's.
void copy_strided(const Tensor& dst, const Tensor& src);

/// dst[i] = convert(value).
void fill(const Tensor& dst, Scalar value);

/// `value` as an element of type T, by the rules of convert.
template <class T> T scalar_as(Scalar value) {
    return std::visit([](auto v) { return convert<T>(v); }, value);
}

template <class T> Tensor Tensor::from(const Allocator& allocator, std::span<const T> values, const Dims& shape) {
    Tensor result = empty(allocator, dtype_of<std::remove_const_t<T>>, shape);
    assert(static_cast<int64_t>(values.size()) == result.numel());
    std::copy(values.begin(), values.end(), result.template data<std::remove_const_t<T>>());
    return result;
}

}  // namespace tenon
