// Element by element, between any two layouts and dtypes.
#include <algorithm>
#include <cassert>
#include <cstring>

#include "runtime/interrupt.h"
#include "runtime/tensor.h"

namespace tenon {

namespace {

struct Axis {
    int64_t size, to, from;  // strides in elements
};

using Axes = SmallVector<Axis, 8>;

// The fewest axes that visit the same pairs of elements: outermost the one with the largest step in the destination,
// size 1 dropped, neighbours merged where both sides run on.
Axes loop_axes(const Tensor& dst, const Tensor& src) {
    Axes sorted;
    for (size_t d = 0; d < dst.rank(); ++d) {
        if (dst.shape[d] != 1) sorted.push_back({dst.shape[d], dst.strides[d], src.strides[d]});
    }
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const Axis& a, const Axis& b) { return a.to != b.to ? a.to > b.to : a.from > b.from; });
    Axes merged;
    for (const Axis& inner : sorted) {
        if (!merged.empty()) {
            Axis& outer = merged.back();
            if (outer.to == inner.to * inner.size && outer.from == inner.from * inner.size) {
                outer = {outer.size * inner.size, inner.to, inner.from};
                continue;
            }
        }
        merged.push_back(inner);
    }
    if (merged.empty()) merged.push_back({1, 1, 1});
    return merged;
}

template <class To, class From> void copy_row(To* to, const From* from, Axis axis) {
    if (axis.to == 1 && axis.from == 1) {
        if constexpr (std::is_same_v<To, From>) {
            std::memcpy(to, from, static_cast<size_t>(axis.size) * sizeof(To));
        } else {
            for (int64_t i = 0; i < axis.size; ++i) to[i] = convert<To>(from[i]);
        }
    } else if (axis.from == 0) {
        To value = convert<To>(*from);
        if (axis.to == 1) {
            std::fill_n(to, axis.size, value);
        } else {
            for (int64_t i = 0; i < axis.size; ++i) to[i * axis.to] = value;
        }
    } else {
        for (int64_t i = 0; i < axis.size; ++i) to[i * axis.to] = convert<To>(from[i * axis.from]);
    }
}

// Two axes; where the source runs along the outer one (a transposition), in squares that stay in the cache.
template <class To, class From> void copy_plane(To* to, const From* from, Axis outer, Axis inner) {
    constexpr int64_t side = 32;
    if (outer.from == 0 || outer.from >= inner.from || inner.size < side) {
        for (int64_t i = 0; i < outer.size; ++i) {
            check_interrupt();
            copy_row(to + i * outer.to, from + i * outer.from, inner);
        }
        return;
    }
    for (int64_t i = 0; i < outer.size; i += side) {
        check_interrupt();
        for (int64_t j = 0; j < inner.size; j += side) {
            Axis square{std::min(side, inner.size - j), inner.to, inner.from};
            for (int64_t k = i; k < std::min(i + side, outer.size); ++k) {
                copy_row(to + k * outer.to + j * inner.to, from + k * outer.from + j * inner.from, square);
            }
        }
    }
}

template <class To, class From> void copy_axes(To* to, const From* from, std::span<const Axis> axes) {
    if (axes.size() == 1) return copy_row(to, from, axes[0]);
    if (axes.size() == 2) return copy_plane(to, from, axes[0], axes[1]);
    for (int64_t i = 0; i < axes[0].size; ++i) copy_axes(to + i * axes[0].to, from + i * axes[0].from, axes.subspan(1));
}

}  // namespace

void copy_strided(const Tensor& dst, const Tensor& src) {
    assert(dst.shape == src.shape && dst.device().kind == Device::cpu && src.device().kind == Device::cpu);
    if (dst.numel() == 0) return;
    if (dst.overlaps(src)) {
        if (dst.dtype == src.dtype && dst.offset == src.offset && dst.strides == src.strides) return;
        return copy_strided(dst, src.clone());
    }
    Axes axes = loop_axes(dst, src);
    visit_dtype(dst.dtype, [&]<class To>() {
        visit_dtype(src.dtype, [&]<class From>() {
            copy_axes(dst.data<To>(), src.data<const From>(), std::span<const Axis>(axes));
        });
    });
}

void fill(const Tensor& dst, Scalar value) {
    if (dst.numel() == 0) return;
    assert(dst.device().kind == Device::cpu);
    Axes axes = loop_axes(dst, dst);
    for (Axis& axis : axes) axis.from = 0;
    visit_dtype(dst.dtype, [&]<class T>() {
        T element = scalar_as<T>(value);
        copy_axes(dst.data<T>(), static_cast<const T*>(&element), std::span<const Axis>(axes));
    });
}

}  // namespace tenon
