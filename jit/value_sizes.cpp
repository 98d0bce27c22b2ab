#include "jit/value_sizes.h"

#include <algorithm>
#include <functional>

#include "runtime/integer.h"

namespace tenon {

size_t bytes_of(const Graph& g, TypeId type, std::span<const int64_t> symbols) {
    const Type& t = (*g.context)[type];
    int64_t count = int64_t(size_of(t.dtype));
    for (SizeId size : t.sizes) count = multiply_saturated(count, g.context->evaluate(size, symbols));
    return size_t(count);
}

bool sizes_are_as_promised(const Graph& g, std::span<const int64_t> symbols) {
    return std::all_of(symbols.begin(), symbols.end(), [](int64_t size) { return size >= 0; }) &&
           std::all_of(g.equalities.begin(), g.equalities.end(), [&](const SizeEquality& e) {
               return g.context->evaluate(e.left, symbols) == g.context->evaluate(e.right, symbols);
           });
}

Tensor borrowed(std::byte* elements, const Tensor& other) {
    Tensor dense = other;
    dense.storage = make_ref<Storage>(elements, other.element_bytes(), Device{}, std::function<void()>());
    dense.strides = contiguous_strides(other.shape);
    dense.offset = 0;
    return dense;
}

}  // namespace tenon
