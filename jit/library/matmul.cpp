// Matrix products: which matrices are multiplied, and in what. f16 and bf16 are widened to f32 and rounded once; integers wrap.
#include <algorithm>
#include <cstring>
#include <optional>

#include "jit/contract/product.h"
#include "jit/contract/strided_target.h"
#include "jit/library/rows.h"
#include "runtime/interrupt.h"

namespace tenon {

namespace {

using contract::Lines, contract::Means, contract::StridedSource, contract::StridedTarget;

// Which matrices: counts of elements to the next one along each dimension of the batch, for each operand.
struct Batch {
    int64_t count = 1;
    Dims sizes, a, b;
};

template <class T>
struct ComputedIn {
    using Type = T;
};
template <>
struct ComputedIn<Half> {
    using Type = float;
};
template <>
struct ComputedIn<BFloat16> {
    using Type = float;
};
template <class T>
    requires std::is_integral_v<T>
struct ComputedIn<T> {  // a narrower result keeps the low bits
    using Type = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;
};

constexpr int64_t narrow = 4;  // columns

// Tall and narrow ones are computed as their transpose, so that rows of a fill the vectors. (A product of elements has no order.)
bool is_turned(const MatrixShape& s) { return s.n <= narrow && s.m > s.n; }

template <class E>
Lines<E> columns_of(const MatrixShape& s, const E* b) {
    return {b, s.transpose_b ? s.k : 1, s.transpose_b ? 1 : s.n};
}

// What is added to the product, where the product's tiles can do it: element (i, j) at data[i · line + j].
struct Added {
    const void* data = nullptr;
    int64_t line = 0;
    Dims strides;  // to the next matrix along each dimension of the batch
};

// `panels`: of b, packed before; or null.
template <class E>
void multiply_elements(const MatrixShape& s, const Batch& batch, const E* a, const E* b, E* c, const Added& added,
                       const std::byte* panels, const Means& means) {
    using T = typename ComputedIn<E>::Type;
    const Lines<E> rows{a, s.transpose_a ? 1 : s.k, s.transpose_a ? s.m : 1};
    const StridedSource<E, T> left(rows, batch.sizes, batch.a);
    StridedSource<E, T> right(columns_of(s, b), batch.sizes, batch.b);
    if (panels) right.is_packed(reinterpret_cast<const T*>(panels), contract::panel_width<T>(means.instructions));
    if (is_turned(s)) {
        const StridedTarget<E, T> to(c, s.m * s.n, 1, s.n, means.instructions);
        contract::multiply<T>({batch.count, s.n, s.k, s.m, right, left, to}, means);
    } else {
        StridedTarget<E, T> to(c, s.m * s.n, s.n, 1, means.instructions);
        if constexpr (sizeof(E) == sizeof(T))
            if (added.data) to.adds(static_cast<const T*>(added.data), added.line, batch.sizes, added.strides);
        contract::multiply<T>({batch.count, s.m, s.k, s.n, left, right, to}, means);
    }
}

void multiply(DType dtype, const MatrixShape& s, const Batch& batch, const void* a, const void* b, void* c,
              const Added& added, const std::byte* panels, const Means& means) {
    visit_dtype(dtype, [&]<class E>() {
        if constexpr (!std::is_same_v<E, bool>)
            multiply_elements(s, batch, static_cast<const E*>(a), static_cast<const E*>(b), static_cast<E*>(c), added,
                              panels, means);
    });
}

struct Matrices {
    MatrixShape shape;
    Batch batch;
};

int64_t last(const TensorView& v, size_t from_right) { return v.shape[v.shape.size() - from_right]; }

// How far the next matrix of an operand is along each dimension of the batch; 0 where it is broadcast.
Dims batch_strides(const TensorView& v, size_t batch_rank) {
    Dims strides(batch_rank, 0);
    if (v.shape.size() < 2) return strides;
    int64_t stride = last(v, 1) * last(v, 2);
    for (size_t d = v.shape.size() - 2; d-- > 0; stride *= v.shape[d])
        if (v.shape[d] != 1) strides[batch_rank - (v.shape.size() - 2) + d] = stride;
    return strides;
}

Matrices matrices_of(const LibraryCall& call) {
    const TensorView &a = call.operands[0], &b = call.operands[1], &c = call.result;
    const size_t rank = c.shape.size(), batch_rank = rank - 2;
    MatrixShape s{last(c, 2), last(a, call.plan.transpose_a ? 2 : 1), last(c, 1), call.plan.transpose_a,
                  call.plan.transpose_b};
    Batch batch{1, Dims(c.shape.begin(), c.shape.begin() + batch_rank), batch_strides(a, batch_rank),
                batch_strides(b, batch_rank)};
    for (int64_t size : batch.sizes) batch.count *= size;
    // One matrix for the whole batch on the right: the rows of all matrices are one product.
    if (batch.count > 1 && !s.transpose_a &&
        std::all_of(batch.b.begin(), batch.b.end(), [](int64_t x) { return x == 0; }) &&
        a.numel() == batch.count * s.m * s.k) {
        s.m *= batch.count;
        batch = Batch{};
    }
    return {s, batch};
}

// None where rows of the result are no rows of it, or the product is not computed in its own dtype.
Added added_in_tiles(const LibraryCall& call, const Matrices& matrices) {
    const TensorView& v = call.operands[2];
    if (size_of(v.dtype) < 4 || is_turned(matrices.shape) || v.shape.empty() || last(v, 1) != matrices.shape.n)
        return {};
    const bool one_row = v.shape.size() < 2 || last(v, 2) == 1;
    Added added{v.data, one_row ? 0 : matrices.shape.n, {}};
    if (!matrices.batch.sizes.empty() || call.result.shape.size() == 2)
        added.strides = batch_strides(v, matrices.batch.sizes.size());
    else if (v.numel() != (one_row ? matrices.shape.n : call.result.numel())) return {};  // all rows are one product's
    return added;
}

void add(const TensorView& result, const TensorView& added) {
    const size_t rank = result.shape.size(), missing = rank - added.shape.size();
    Dims strides(rank, 0);
    for (int64_t d = int64_t(rank), stride = 1; d-- > int64_t(missing); stride *= added.shape[size_t(d) - missing])
        if (added.shape[size_t(d) - missing] != 1) strides[size_t(d)] = stride;
    const int64_t columns = result.shape[rank - 1], step = strides[rank - 1];
    const Dims lines(result.shape.begin(), result.shape.end() - 1);
    visit_dtype(result.dtype, [&]<class E>() {
        if constexpr (!std::is_same_v<E, bool>) {
            using T = typename ComputedIn<E>::Type;
            E* to = result.as<E>();
            for (int64_t line = 0, count = columns > 0 ? result.numel() / columns : 0; line < count; ++line) {
                const E* const from = added.as<const E>() + contract::strided_offset(line, lines, strides);
                for (int64_t j = 0; j < columns; ++j) to[j] = E(T(to[j]) + T(from[j * step]));
                to += columns;
            }
        }
    });
}

// One matrix on the right, of which so few rows read each element that packing it counts; the fewest read one that lies as
// panels do faster where it is.
Preparation find_panels(const LibraryCall& call) {
    constexpr int64_t most_rows = 256, fewest_rows = 3, least_bytes = 16 << 10;
    const Matrices matrices = matrices_of(call);
    const MatrixShape& s = matrices.shape;
    const DType dtype = call.result.dtype;
    if (matrices.batch.count != 1 || s.m == 0 || s.m > most_rows || is_turned(s)) return {};
    if (s.n * s.k * int64_t(size_of(dtype)) < least_bytes) return {};
    if (s.m <= fewest_rows && !s.transpose_b && size_of(dtype) >= 4) return {};
    Preparation panels{.operand = 1};
    visit_dtype(dtype, [&]<class E>() {
        if constexpr (!std::is_same_v<E, bool>) {
            using T = typename ComputedIn<E>::Type;
            const int64_t width = contract::panel_width<T>(call.instructions);
            if (s.n < width) return;
            panels.bytes = size_t((s.n + width - 1) / width * width * s.k) * sizeof(T);
            panels.layout = {s.n, s.k, s.transpose_b, 256 * width + int64_t(dtype)};
        }
    });
    return panels;
}

void pack_panels(const LibraryCall& call, std::byte* form) {
    const MatrixShape s = matrices_of(call).shape;
    visit_dtype(call.result.dtype, [&]<class E>() {
        if constexpr (!std::is_same_v<E, bool>) {
            using T = typename ComputedIn<E>::Type;
            const Lines<E> columns = columns_of(s, call.operands[1].as<const E>());
            const int64_t width = contract::panel_width<T>(call.instructions), together = 8 * width;
            call.pool.parallel_for((s.n + together - 1) / together, [&](int64_t group) {
                check_interrupt();
                const int64_t first = group * together;
                contract::pack_lines(columns.at(first, 0), std::min(together, s.n - first), s.k, width,
                                     reinterpret_cast<T*>(form) + first * s.k);
            });
        }
    });
}

}  // namespace

const PreparingFunctions library::packed_matmul{find_panels, pack_panels};

void multiply_matrices(DType dtype, const MatrixShape& s, const void* a, const void* b, void* c, const Means& means) {
    multiply(dtype, s, Batch{}, a, b, c, {}, nullptr, means);
}

void library::matmul(const LibraryCall& call) {
    const Matrices matrices = matrices_of(call);
    const bool adds = call.operands.size() > 2;
    const Added added = adds ? added_in_tiles(call, matrices) : Added{};
    const bool is_apart = adds && !added.data && call.operands[2].data == call.result.data;
    std::optional<Workspace> kept;
    TensorView addend = adds ? call.operands[2] : TensorView{};
    if (is_apart) {
        const size_t bytes = size_t(addend.numel()) * size_of(addend.dtype);
        kept.emplace(call.workspaces);
        addend.data = reinterpret_cast<std::byte*>(kept->reserve(bytes));
        std::memcpy(addend.data, call.operands[2].data, bytes);
    }
    multiply(call.result.dtype, matrices.shape, matrices.batch, call.operands[0].data, call.operands[1].data,
             call.result.data, added, call.prepared, {call.instructions, call.pool, call.workspaces});
    if (adds && !added.data) add(call.result, addend);
}

}  // namespace tenon
