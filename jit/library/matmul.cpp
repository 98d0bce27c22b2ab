// Matrix products: which matrices are multiplied, and in what. f16 and bf16 are widened to f32 and rounded once; integers wrap.
#include <algorithm>

#include "jit/contract/product.h"
#include "jit/contract/strided_target.h"
#include "jit/library/rows.h"

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

template <class E>
void multiply_elements(const MatrixShape& s, const Batch& batch, const E* a, const E* b, E* c, const Means& means) {
    using T = typename ComputedIn<E>::Type;
    constexpr int64_t narrow = 4;
    const Lines<E> rows{a, s.transpose_a ? 1 : s.k, s.transpose_a ? s.m : 1},
        columns{b, s.transpose_b ? s.k : 1, s.transpose_b ? 1 : s.n};
    const StridedSource<E, T> left(rows, batch.sizes, batch.a), right(columns, batch.sizes, batch.b);
    if (s.n <= narrow && s.m > s.n) {
        // Tall and narrow: as its transpose, so that rows of a fill the vectors. (A product of elements has no order.)
        const StridedTarget<E, T> to(c, s.m * s.n, 1, s.n, means.instructions);
        contract::multiply<T>({batch.count, s.n, s.k, s.m, right, left, to}, means);
    } else {
        const StridedTarget<E, T> to(c, s.m * s.n, s.n, 1, means.instructions);
        contract::multiply<T>({batch.count, s.m, s.k, s.n, left, right, to}, means);
    }
}

void multiply(DType dtype, const MatrixShape& s, const Batch& batch, const void* a, const void* b, void* c,
              const Means& means) {
    visit_dtype(dtype, [&]<class E>() {
        if constexpr (!std::is_same_v<E, bool>)
            multiply_elements(s, batch, static_cast<const E*>(a), static_cast<const E*>(b), static_cast<E*>(c), means);
    });
}

}  // namespace

void multiply_matrices(DType dtype, const MatrixShape& s, const void* a, const void* b, void* c, const Means& means) {
    multiply(dtype, s, Batch{}, a, b, c, means);
}

void library::matmul(const LibraryCall& call) {
    const TensorView &a = call.operands[0], &b = call.operands[1], &c = call.result;
    const size_t rank = c.shape.size(), batch_rank = rank - 2;
    const auto last = [](const TensorView& v, size_t from_right) { return v.shape[v.shape.size() - from_right]; };
    MatrixShape s{last(c, 2), last(a, call.plan.transpose_a ? 2 : 1), last(c, 1), call.plan.transpose_a,
                  call.plan.transpose_b};
    Batch batch{1, Dims(c.shape.begin(), c.shape.begin() + batch_rank), Dims(batch_rank, 0), Dims(batch_rank, 0)};
    for (int64_t size : batch.sizes) batch.count *= size;
    const auto strides = [&](const TensorView& v, Dims& out) {  // of its matrices; 0 where it is broadcast
        int64_t stride = last(v, 1) * last(v, 2);
        for (size_t d = v.shape.size() - 2; d-- > 0; stride *= v.shape[d])
            if (v.shape[d] != 1) out[batch_rank - (v.shape.size() - 2) + d] = stride;
    };
    strides(a, batch.a);
    strides(b, batch.b);
    // One matrix for the whole batch on the right: the rows of all matrices are one product.
    if (batch.count > 1 && !s.transpose_a &&
        std::all_of(batch.b.begin(), batch.b.end(), [](int64_t x) { return x == 0; }) &&
        a.numel() == batch.count * s.m * s.k) {
        s.m *= batch.count;
        batch = Batch{};
    }
    multiply(c.dtype, s, batch, a.data, b.data, c.data, {call.instructions, call.pool, call.workspaces});
}

}  // namespace tenon
