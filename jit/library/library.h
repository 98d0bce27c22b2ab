// Rows whose lowering is `library`: plain functions on contiguous row-major tensors, one for every engine, so that bits
// agree. Work is cut into tiles by sizes, dtype and CPU class only, never by the number of threads.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "ir/graph.h"
#include "jit/contract/product.h"
#include "runtime/small_vector.h"
#include "runtime/thread_pool.h"

namespace tenon {

struct TensorView {  // contiguous
    std::byte* data = nullptr;
    DType dtype = DType::f32;
    Dims shape;
    int64_t numel() const {
        int64_t count = 1;
        for (int64_t size : shape) count *= size;
        return count;
    }
    template <class T>
    T* as() const {
        return reinterpret_cast<T*>(data);
    }
};

struct LibraryCall;
using LibraryFunction = void (*)(const LibraryCall&);

/// What a function makes, once, of an operand that several calls read alike: it reads that form faster.
struct Preparation {
    size_t operand = 0;
    size_t bytes = 0;                 ///< of the form; none where the call would gain nothing
    std::array<int64_t, 4> layout{};  ///< forms of the same elements and of one layout are the same
};
struct PreparingFunctions {
    Preparation (*find)(const LibraryCall&);  ///< from dtypes and shapes alone
    void (*make)(const LibraryCall&, std::byte* form);
};

/// A node's function with its attributes read.
struct LibraryPlan {
    LibraryFunction function = nullptr;
    const PreparingFunctions* preparing = nullptr;  ///< null where nothing is worth it
    int64_t axis = 0;  ///< not negative
    bool transpose_a = false, transpose_b = false, descending = false, reverse = false;
    double start = 0;  ///< of a recurrence
    struct Window {
        Dims stride, padding, dilation;
    } window;               ///< of a convolution, by dimension of space
};

struct LibraryCall {
    const LibraryPlan& plan;
    std::span<const TensorView> operands;
    std::span<const TensorView>
        results;  ///< overlap no operand but the row's `in_place_operand`; one that nobody reads has no data
    InstructionSet instructions;
    ThreadPool& pool;
    WorkspacePool& workspaces;
    const std::byte* prepared = nullptr;    ///< the form of the operand that `preparing` names, where there is one
    const TensorView& result = results[0];  ///< of a row that has one
};

/// Null function where the row has none.
LibraryPlan plan_library_call(const Graph&, NodeId);

/// One matrix product, for tests and benchmarks: c[m, n] = a[m, k] b[k, n].
struct MatrixShape {
    int64_t m = 0, k = 0, n = 0;
    bool transpose_a = false, transpose_b = false;
};
void multiply_matrices(DType dtype, const MatrixShape& shape, const void* a, const void* b, void* c,
                       const contract::Means& means);

}  // namespace tenon
