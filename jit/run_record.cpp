#include "jit/run_record.h"

#include <cmath>
#include <cstring>
#include <map>

#include <fmt/format.h>

namespace tenon {

namespace {

template <class T> bool same_bits(const T& a, const T& b) {
    if constexpr (!std::is_integral_v<T>) {
        if (std::isnan(double(a)) && std::isnan(double(b))) return true;
    }
    return std::memcmp(&a, &b, sizeof(T)) == 0;
}

template <class T> std::string number_text(T value) {
    if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) return fmt::format("{}", float(value));
    else return fmt::format("{}", value);
}

Dims index_of(int64_t element, const Dims& shape) {
    Dims index(shape.begin(), shape.end());
    for (size_t d = shape.size(); d-- > 0; element /= shape[d]) index[d] = element % shape[d];
    return index;
}

}  // namespace

std::vector<Tensor> copy_together(std::span<const Tensor> tensors, const Allocator& allocator) {
    std::map<const Storage*, Ref<Storage>> copied;
    std::vector<Tensor> copies(tensors.begin(), tensors.end());
    for (Tensor& tensor : copies) {
        if (!tensor.defined()) continue;
        Ref<Storage>& copy = copied[tensor.storage.get()];
        if (!copy) {
            copy = allocator.allocate(tensor.storage->bytes);
            if (tensor.storage->bytes > 0) std::memcpy(copy->data, tensor.storage->data, tensor.storage->bytes);
        }
        tensor.storage = copy;
    }
    return copies;
}

std::string describe_difference(const Tensor& was, const Tensor& is) {
    if (was.dtype != is.dtype || was.shape != is.shape)
        return fmt::format("it was {}{} and is {}{}", name_of(was.dtype), shape_to_string(was.shape), name_of(is.dtype),
                           shape_to_string(is.shape));
    if (was.storage == is.storage && was.offset == is.offset && was.strides == is.strides) return {};
    const Tensor a = was.contiguous(), b = is.contiguous();
    if (a.numel() == 0 || std::memcmp(a.bytes(), b.bytes(), a.element_bytes()) == 0) return {};
    return visit_dtype(a.dtype, [&]<class T>() -> std::string {
        const T *const x = a.data<T>(), *const y = b.data<T>();
        for (int64_t k = 0; k < a.numel(); ++k) {
            if (same_bits(x[k], y[k])) continue;
            const std::string where =
                a.rank() == 0 ? "it" : fmt::format("element {}", shape_to_string(index_of(k, a.shape)));
            return fmt::format("{} was {} and is {}", where, number_text(x[k]), number_text(y[k]));
        }
        return {};
    });
}

}  // namespace tenon
