// Precompiled vector routines for the block interpreter: one a scalar function and dtype, compiled for AVX2 and for
// AVX-512, chosen by the machine (jit/machine.h). Both give the same bits.
//
// Buffers are dense arrays of elements (bool: one byte, 0 or 1). No alignment is needed; 64 bytes are fastest. `out`
// may be the same pointer as an operand of the same element size, and may not otherwise overlap one. n may be 0 or of
// any size; nothing past n elements is read or written.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

#include "runtime/cpu.h"
#include "runtime/dtype.h"

namespace tenon {

// What went wrong in some element; the routine goes on and writes 0 there.
enum FaultBit : uint32_t { no_fault = 0, division_by_zero = 1 };
using Faults = uint32_t;

struct Routine {
    using Function = Faults (*)(void* out, const void* a, const void* b, const void* c, int64_t n);

    std::string_view name;
    int arity = 0;
    DType in = DType::f32;  // of the data operands; the first of `where` is bool
    DType out = DType::f32;
    std::array<Function, 8> variants{};  // by bit mask: bit k set when operand k is one element for all n

    Faults operator()(void* to, const void* a, int64_t n) const { return variants[0](to, a, nullptr, nullptr, n); }
    Faults operator()(void* to, const void* a, const void* b, int64_t n, unsigned single = 0) const {
        return variants[single](to, a, b, nullptr, n);
    }
    Faults operator()(void* to, const void* a, const void* b, const void* c, int64_t n, unsigned single = 0) const {
        return variants[single](to, a, b, c, n);
    }
};

// The routine of an elementwise row by its name, for data operands of dtype `in`; null where the row does not admit it.
// Every entry is immutable and lives as long as the program.
const Routine* find_routine(std::string_view op, DType in, InstructionSet);
const Routine* find_cast(DType from, DType to, InstructionSet);  // never null

// Folds in the order of the numeric contract. `x` has elements of `dtype`, `out` is one element (or `columns` of them).
// op: add mul maximum minimum on every number but f16 and bf16 (cast to f32 first: they accumulate there);
// maximum and minimum also on f16, bf16 and bool; logical_and logical_or on bool.
struct Fold {
    // Last axis: chunks of 1,024; element k in lane k mod 32, ascending; lane i with lane i + w for w = 16 … 1; chunk
    // results by the same rule. n ≤ 1,024 is one chunk: a caller that makes 1,024 elements at a time keeps the chunk
    // results and folds them by the same call. n = 0 gives the identity; an empty float sum is +0.0.
    void (*lanes)(void* out, const void* x, int64_t n);
    // Other axes: out[j] = fold over i of x[i·stride + j], j < columns, in order within chunks of 64 rows, chunk
    // results by the same rule. stride in elements. (out = out op row is find_routine(op, dtype) with out as first
    // operand.)
    void (*rows)(void* out, const void* x, int64_t rows, int64_t stride, int64_t columns);
    // What a missing element counts as, as an element of dtype: −0.0 for float add.
    void (*identity)(void* out);
};
const Fold* find_fold(std::string_view op, DType dtype, InstructionSet);  // null where there is none

// Index of the largest (smallest) of n ≥ 1 elements: the first wins, a NaN wins over every number.
using ArgFold = int64_t (*)(const void* x, int64_t n);
ArgFold find_arg_fold(std::string_view op, DType dtype, InstructionSet);  // op: argmax argmin

// Moving elements; `size` is the element's in bytes: 1, 2, 4 or 8. Strides and indices count elements.
void fill(void* out, const void* element, size_t size, int64_t n);
void load_strided(void* out, const void* base, int64_t stride, size_t size, int64_t n);
void store_strided(void* base, int64_t stride, const void* values, size_t size, int64_t n);
void load_indexed(void* out, const void* base, const int64_t* indices, size_t size, int64_t n);
void store_indexed(void* base, const int64_t* indices, const void* values, size_t size,
                   int64_t n);  // ascending: the last wins
void iota(int64_t* out, int64_t start, int64_t step, int64_t n);

}  // namespace tenon
