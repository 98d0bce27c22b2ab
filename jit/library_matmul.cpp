// Matrix products. Each element is one chain of fma over ascending k, so its bits depend on nothing else; but where there is
// AVX-512, large products of f32 go to oneDNN's sgemm, called for one tile on one thread. f16 and bf16 are widened to f32 and
// rounded once; integers wrap.
#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "jit/contract/packed_product.h"
#include "jit/library_rows.h"
#include "jit/machine.h"
#include "jit/routines/routines.h"
#include "runtime/cpu.h"
#include "runtime/interrupt.h"

namespace tenon {

namespace {

using contract::Matrix, contract::MicroKernel, contract::micro_kernel, contract::micro_kernels, contract::micro_rows,
    contract::Operands, contract::Vector;

// ---- oneDNN -------------------------------------------------------------------------------------------------------

class OneDnn {
public:
    using Sgemm = int (*)(char, char, int64_t, int64_t, int64_t, float, const float*, int64_t, const float*, int64_t,
                          float, float*, int64_t);

    // Loaded when first used; never unloaded, since OpenMP does not survive that.
    static const OneDnn& get() {
        static const OneDnn loaded;
        return loaded;
    }
    explicit operator bool() const { return sgemm_ != nullptr; }
    void multiply(const MatrixShape& s, const float* a, int64_t lda, const float* b, int64_t ldb, float* c,
                  int64_t ldc) const {
        if (limit_threads_) limit_threads_(1);  // of this thread: the pool is ours, OpenMP's own would be a second one
        sgemm_(s.transpose_a ? 'T' : 'N', s.transpose_b ? 'T' : 'N', s.m, s.n, s.k, 1.0f, a, lda, b, ldb, 0.0f, c, ldc);
    }

private:
    OneDnn() {
        void* const library = dlopen("libdnnl.so.2", RTLD_NOW | RTLD_LOCAL);
        if (!library) {
            std::fputs("note: libdnnl.so.2 is not installed, so large matrix products are slower\n", stderr);
            return;
        }
        sgemm_ = reinterpret_cast<Sgemm>(dlsym(library, "dnnl_sgemm"));
        limit_threads_ = reinterpret_cast<void (*)(int)>(dlsym(library, "omp_set_num_threads"));
    }

    Sgemm sgemm_ = nullptr;
    void (*limit_threads_)(int) = nullptr;
};

// ---- our own kernel -----------------------------------------------------------------------------------------------

// The tile's part of c, in panels of two vectors of columns. A panel of b is packed where its rows do not lie in memory
// as rows, or are so far apart that using them again is dear.
template <class T>
void row_product(int64_t m, int64_t k, int64_t n, const Matrix<T>& a, const T* b, int64_t ldb, bool transpose_b, T* c,
                 int64_t ldc, WorkspacePool& workspaces) {
    constexpr int64_t lanes = Vector<T>::lanes, width = contract::panel_columns<T>;
    constexpr int64_t far_apart = 1024, wide = 8 * lanes;
    const bool packs = transpose_b || (ldb >= far_apart && m > 4 * micro_rows);
    const Matrix<T> right{b, transpose_b ? 1 : ldb, transpose_b ? ldb : 1};
    const WorkspacePool::Loan workspace(workspaces);
    T* const packed = packs ? reinterpret_cast<T*>(workspace->reserve(size_t(k * width) * sizeof(T))) : nullptr;
    int64_t j = 0;
    if (m <= 2 &&
        !packs)  // few rows use memory once, so they take as much of each of its lines as there are registers for
        for (; j + wide <= n; j += wide)
            for (int64_t i = 0; i < m; ++i)
                micro_kernel<T, 1, 8, false, Operands::as_they_lie>(k, a.at(i, 0), b + j, ldb, c + i * ldc + j, ldc,
                                                                    Vector<T>::first(0), false);
    for (; j < n; j += width) {
        check_interrupt();
        const int64_t columns = std::min(width, n - j);
        if (packs) contract::pack_panel(right.at(0, j), k, columns, packed);
        const T* const panel = packs ? packed : b + j;
        const int64_t stride = packs ? width : ldb;
        const MicroKernel<T>* const kernels = micro_kernels<T, Operands::as_they_lie>(columns);
        const auto mask = Vector<T>::first(columns % lanes);
        for (int64_t i = 0; i < m; i += micro_rows) {
            kernels[std::min(micro_rows, m - i) - 1](k, a.at(i, 0), panel, stride, c + i * ldc + j, ldc, mask, false);
        }
    }
}

constexpr int64_t worth_packing = 32;  // of each extent

template <class T>
void own_product(const MatrixShape& s, const T* a, int64_t lda, const T* b, int64_t ldb, T* c, int64_t ldc,
                 WorkspacePool& workspaces) {
    constexpr int64_t narrow = 4;
    if (s.n <= narrow && s.m > narrow && ldc == s.n) {
        // A tall and narrow product as its transpose: rows of a fill the vectors. (fma is the same for a·b and b·a.)
        const Matrix<T> left{b, s.transpose_b ? ldb : 1, s.transpose_b ? 1 : ldb};
        if (s.n == 1) return row_product(1, s.k, s.m, left, a, lda, !s.transpose_a, c, s.m, workspaces);
        const WorkspacePool::Loan workspace(workspaces);
        T* const transposed = reinterpret_cast<T*>(workspace->reserve(size_t(s.m * s.n) * sizeof(T)));
        row_product(s.n, s.k, s.m, left, a, lda, !s.transpose_a, transposed, s.m, workspaces);
        for (int64_t i = 0; i < s.m; ++i)
            for (int64_t j = 0; j < s.n; ++j) c[i * ldc + j] = transposed[j * s.m + i];
        return;
    }
    const Matrix<T> left{a, s.transpose_a ? 1 : lda, s.transpose_a ? lda : 1};
    if (s.m >= worth_packing && s.n >= worth_packing && s.k >= worth_packing) {
        using B = contract::Blocks<T>;
        const WorkspacePool::Loan workspace(workspaces);
        const int64_t in_a = B::a_elements(s.m, s.k), in_b = B::b_elements(s.k, s.n);
        T* const packed = reinterpret_cast<T*>(workspace->reserve(size_t(in_a + in_b) * sizeof(T)));
        const Matrix<T> right{b, s.transpose_b ? 1 : ldb, s.transpose_b ? ldb : 1};
        return contract::packed_product(s.m, s.k, s.n, left, right, c, ldc, packed, packed + in_a);
    }
    row_product(s.m, s.k, s.n, left, b, ldb, s.transpose_b, c, ldc, workspaces);
}

template <class T>
void integer_product(const MatrixShape& s, const T* a, int64_t lda, const T* b, int64_t ldb, T* c, int64_t ldc) {
    using Wide = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;  // wraps; a narrower result keeps the low bits
    for (int64_t i = 0; i < s.m; ++i)
        for (int64_t j = 0; j < s.n; ++j) {
            check_interrupt();
            Wide sum = 0;
            for (int64_t p = 0; p < s.k; ++p)
                sum += Wide(s.transpose_a ? a[p * lda + i] : a[i * lda + p]) *
                       Wide(s.transpose_b ? b[j * ldb + p] : b[p * ldb + j]);
            c[i * ldc + j] = T(sum);
        }
}

// ---- tiles --------------------------------------------------------------------------------------------------------

struct Tiles {
    int64_t rows, columns;  // of one tile
    int64_t down, across;   // how many
};

// Tiles are halved, the longer side first, until one is a fraction of a millisecond's work or there are enough of them and no
// one takes longer than an interrupt may have to wait.
Tiles choose_tiles(const MatrixShape& s, int64_t enough) {
    constexpr int64_t worth_a_tile = 4 << 20, longest = int64_t{4} << 30, smallest = 96;
    Tiles t{std::max<int64_t>(s.m, 1), std::max<int64_t>(s.n, 1), 1, 1};
    const auto half = [](int64_t size, int64_t multiple) {
        return ((size + 1) / 2 + multiple - 1) / multiple * multiple;
    };
    const auto work = [&] { return 2.0 * double(t.rows) * double(t.columns) * double(s.k); };
    while (work() > worth_a_tile && (t.down * t.across < enough || work() > longest) &&
           std::max(t.rows, t.columns) >= smallest) {
        if (t.columns >= t.rows) t.columns = half(t.columns, 16);
        else t.rows = half(t.rows, 6);
        t.down = (s.m + t.rows - 1) / t.rows;
        t.across = (s.n + t.columns - 1) / t.columns;
    }
    return t;
}

// Our own kernel is as fast as oneDNN but for large products where there is AVX-512, which it does not use.
constexpr int64_t own_up_to = 256 * 256 * 256;
bool has_avx512() {
    static const bool has = cpu_info().cpu_class() == "x86-64-v4";
    return has;
}

template <class T>
bool is_for_onednn(const MatrixShape& s) {
    return std::is_same_v<T, float> && s.m * s.n * s.k > own_up_to && has_avx512() && OneDnn::get();
}

template <class T>
void one_tile(const MatrixShape& whole, const MatrixShape& s, const T* a, const T* b, T* c, int64_t row, int64_t column,
              WorkspacePool& workspaces) {
    const int64_t lda = whole.transpose_a ? whole.m : whole.k, ldb = whole.transpose_b ? whole.k : whole.n,
                  ldc = whole.n;
    const T* const left = a + row * (whole.transpose_a ? 1 : lda);
    const T* const right = b + column * (whole.transpose_b ? ldb : 1);
    T* const to = c + row * ldc + column;
    if constexpr (std::is_integral_v<T>) {
        integer_product(s, left, lda, right, ldb, to, ldc);
    } else {
        if constexpr (std::is_same_v<T, float>)
            if (is_for_onednn<T>(whole)) return OneDnn::get().multiply(s, left, lda, right, ldb, to, ldc);
        own_product(s, left, lda, right, ldb, to, ldc, workspaces);
    }
}

struct Batch {  // which matrices are multiplied: counts of elements to the k-th one of each operand
    int64_t count = 1;
    Dims sizes, a, b;
    int64_t offset(int64_t k, const Dims& strides) const {
        int64_t total = 0;
        for (size_t d = sizes.size(); d-- > 0; k /= sizes[d]) total += k % sizes[d] * strides[d];
        return total;
    }
};

template <class T>
void multiply_all(const MatrixShape& s, const Batch& batch, const T* a, const T* b, T* c, ThreadPool& pool,
                  WorkspacePool& workspaces) {
    if (s.m == 0 || s.n == 0 || batch.count == 0) return;
    if (s.k == 0) {
        std::fill(c, c + batch.count * s.m * s.n, T(0));
        return;
    }
    const bool by_onednn = is_for_onednn<T>(s);  // whose bits may depend on the tile
    const int64_t a_thread = (4 + batch.count - 1) / batch.count;
    const Tiles t = choose_tiles(s, by_onednn ? 16 : pool.threads() == 1 ? 1 : pool.threads() * a_thread);
    const int64_t per_matrix = t.down * t.across;
    const auto tile = [&](int64_t k) {
        const int64_t matrix = k / per_matrix, row = k % per_matrix / t.across * t.rows,
                      column = k % t.across * t.columns;
        MatrixShape part = s;
        part.m = std::min(t.rows, s.m - row);
        part.n = std::min(t.columns, s.n - column);
        one_tile(s, part, a + batch.offset(matrix, batch.a), b + batch.offset(matrix, batch.b), c + matrix * s.m * s.n,
                 row, column, workspaces);
    };
    const int64_t tiles = batch.count * per_matrix;
    constexpr int64_t worth_threads = 1 << 20;
    if (tiles == 1 || 2 * batch.count * s.m * s.n * s.k < worth_threads)
        for (int64_t k = 0; k < tiles; ++k) tile(k);
    else pool.parallel_for(tiles, tile);
}

// Widened to f32 as a whole, multiplied, rounded once.
template <class T>
void multiply_narrow(const MatrixShape& s, const Batch& batch, const T* a, int64_t a_count, const T* b, int64_t b_count,
                     T* c, ThreadPool& pool, WorkspacePool& workspaces) {
    const int64_t c_count = batch.count * s.m * s.n;
    const WorkspacePool::Loan workspace(workspaces);
    float* const wide_a =
        reinterpret_cast<float*>(workspace->reserve(size_t(a_count + b_count + c_count) * sizeof(float)));
    float *const wide_b = wide_a + a_count, *const wide_c = wide_b + b_count;
    (*find_cast(dtype_of<T>, DType::f32))(wide_a, a, a_count);
    (*find_cast(dtype_of<T>, DType::f32))(wide_b, b, b_count);
    multiply_all(s, batch, wide_a, wide_b, wide_c, pool, workspaces);
    (*find_cast(DType::f32, dtype_of<T>))(c, wide_c, c_count);
}

void multiply(DType dtype, const MatrixShape& s, const Batch& batch, const void* a, int64_t a_count, const void* b,
              int64_t b_count, void* c, ThreadPool& pool, WorkspacePool& workspaces) {
    visit_dtype(dtype, [&]<class T>() {
        const T *const left = static_cast<const T*>(a), *const right = static_cast<const T*>(b);
        T* const to = static_cast<T*>(c);
        if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>)
            multiply_narrow(s, batch, left, a_count, right, b_count, to, pool, workspaces);
        else if constexpr (!std::is_same_v<T, bool>) multiply_all(s, batch, left, right, to, pool, workspaces);
    });
}

}  // namespace

void multiply_matrices(DType dtype, const MatrixShape& s, const void* a, const void* b, void* c, ThreadPool& pool,
                       WorkspacePool& workspaces) {
    multiply(dtype, s, Batch{}, a, s.m * s.k, b, s.k * s.n, c, pool, workspaces);
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
    multiply(c.dtype, s, batch, a.data, a.numel(), b.data, b.numel(), c.data, call.pool, call.workspaces);
}

}  // namespace tenon
