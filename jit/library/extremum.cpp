// The largest and the smallest along an axis, and where they are: argmax and argmin give the position, max_along and
// min_along both. Of equals it is the first, and a NaN is before all numbers.
#include <algorithm>
#include <cstring>
#include <limits>

#include "jit/library/rows.h"
#include "jit/routines/routines.h"
#include "runtime/interrupt.h"

namespace tenon::library {

namespace {

struct Results {  // what is not wanted is null
    const TensorView* values;
    const TensorView* positions;
};

// The axis is the last one: a routine goes through each row.
void along_rows(const LibraryCall& call, const AxisView& view, const ArgFold& fold, const Results& to, int64_t begin,
                int64_t end) {
    const TensorView& x = call.operands[0];
    const size_t size = size_of(x.dtype);
    for (int64_t i = begin; i < end; ++i) {
        check_interrupt();
        const std::byte* const row = x.data + size_t(i * view.size) * size;
        const int64_t found = fold(row, view.size);
        if (to.positions) to.positions->as<int64_t>()[i] = found;
        if (to.values) std::memcpy(to.values->data + size_t(i) * size, row + size_t(found) * size, size);
    }
}

constexpr int64_t columns_together = 256;

// Elements are compared as these.
template <class T>
using Compared = std::conditional_t<std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>, float,
                                    std::conditional_t<std::is_same_v<T, bool>, uint8_t, T>>;

// Columns begin … end, at most so many, of the matrix x: a vector of them at a time. `Index` is as wide as an element,
// where positions fit.
template <class T, class Index, bool largest>
void along_columns(const T* x, const AxisView& view, int64_t begin, int64_t end, T* values, int64_t* positions) {
    using C = Compared<T>;
    C best[columns_together];
    Index at[columns_together];
    const int64_t count = end - begin;
    for (int64_t j = 0; j < count; ++j) {
        best[j] = C(x[begin + j]);
        at[j] = 0;
    }
    for (int64_t k = 1; k < view.size; ++k) {
        const T* const row = x + k * view.inner + begin;
        for (int64_t j = 0; j < count; ++j) {
            const C value = C(row[j]), so_far = best[j];
            const bool further = largest ? value > so_far : value < so_far;
            const bool before = further | ((value != value) & (so_far == so_far));
            best[j] = before ? value : so_far;
            at[j] = before ? Index(k) : at[j];
        }
    }
    for (int64_t j = 0; j < count; ++j) {
        if (values) values[j] = T(best[j]);
        if (positions) positions[j] = int64_t(at[j]);
    }
}

template <bool largest>
void extremum(const LibraryCall& call, std::string_view op, const Results& to) {
    const TensorView& x = call.operands[0];
    const AxisView view(x.shape, call.plan.axis);
    if (view.outer == 0 || view.inner == 0) return;
    constexpr int64_t tile_elements = 1 << 15;
    if (view.inner == 1) {
        const ArgFold fold = find_arg_fold(op, x.dtype, call.instructions);
        const int64_t rows = std::max<int64_t>(tile_elements / std::max<int64_t>(view.size, 1), 1);
        return call.pool.parallel_for((view.outer + rows - 1) / rows, [&](int64_t tile) {
            along_rows(call, view, fold, to, tile * rows, std::min(view.outer, (tile + 1) * rows));
        });
    }
    const int64_t blocks = (view.inner + columns_together - 1) / columns_together;
    visit_dtype(x.dtype, [&]<class T>() {
        using Narrow = std::conditional_t<sizeof(Compared<T>) == 8, int64_t, int32_t>;
        const bool narrow = view.size <= std::numeric_limits<int32_t>::max();
        const auto go = narrow ? along_columns<T, Narrow, largest> : along_columns<T, int64_t, largest>;
        const int64_t per_tile = std::max<int64_t>(
            tile_elements / std::max<int64_t>(std::min(columns_together, view.inner) * view.size, 1), 1);
        const int64_t parts = view.outer * blocks;
        call.pool.parallel_for((parts + per_tile - 1) / per_tile, [&](int64_t tile) {
            for (int64_t part = tile * per_tile; part < std::min(parts, (tile + 1) * per_tile); ++part) {
                check_interrupt();
                const int64_t i = part / blocks, begin = part % blocks * columns_together,
                              result = i * view.inner + begin;
                go(x.as<T>() + i * view.size * view.inner, view, begin, std::min(view.inner, begin + columns_together),
                   to.values ? to.values->as<T>() + result : nullptr,
                   to.positions ? to.positions->as<int64_t>() + result : nullptr);
            }
        });
    });
}

Results both(const LibraryCall& call) {
    const auto wanted = [&](size_t k) { return call.results[k].data ? &call.results[k] : nullptr; };
    return {wanted(0), wanted(1)};
}

}  // namespace

void argmax(const LibraryCall& call) { extremum<true>(call, "argmax", {nullptr, &call.result}); }
void argmin(const LibraryCall& call) { extremum<false>(call, "argmin", {nullptr, &call.result}); }
void max_along(const LibraryCall& call) { extremum<true>(call, "argmax", both(call)); }
void min_along(const LibraryCall& call) { extremum<false>(call, "argmin", both(call)); }

}  // namespace tenon::library
