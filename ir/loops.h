// The loop level: what schedule() produces and what the block interpreter, LLVM and CUDA translate. Emitters translate
// and never decide.
//
// After schedule() the main body holds, in execution order:
//   kernel(t0, t1, …) : tensor or tuple      attr {name}, {updates: k}; one region, described below
//   library rows (matmul, random, take, scatter_add, argmax, cumsum, …) on whole tensors, all contiguous row-major
//   reshape of a contiguous value: renames memory, same bytes, no copy. No other movement row is left.
//   get(tuple, index: k), assert, commit(input, value)
// Tensors at kernel boundaries are contiguous row-major; 0-dim values are tensors of one element. A kernel may have
// results that nobody reads: memory that its nests pass values through.
//
// A kernel's region: params = one buffer per operand (read), then one buffer per result (write). Its body is scalar
// code and folds that run once, then a list of nests: top-level `for` nodes, one after the other, everything of one
// done before the next begins. (Scalar code always precedes the nests; it may store too.) The yield has no operands.
// A result buffer is never read before it is written; a later nest, or a later loop of the same iteration of an outer
// loop, may read what an earlier one wrote; a loop may read the element that the same iteration overwrites.
// A nest's iterations never read an element that another iteration of the same parallel or vector loop writes.
// {updates: k}: result 0 begins as a copy of operand k: the executor copies it before the nests run, or hands operand
// k's memory over if it dies here and is no other operand of this kernel too. Operand k's buffer is not loaded from.
//
// Types: index (i64 arithmetic on positions), scalar{dtype} (one element), buffer{dtype}.
//   for(lo, hi)            attr {kind: "parallel" | "serial" | "vector", step: k}; one region (param: index), no results.
//                          parallel: iterations (blocks of `step` positions) are independent and may go to any thread;
//                          only outermost. serial: in order; those right inside a parallel loop or another such serial
//                          loop are independent too, but for those that hold a product or a scatter. vector: innermost,
//                          step 1, iterations independent: any vector width, any order. With step k > 1 the variable takes
//                          lo, lo + k, …: inner loops run to min(i + k, hi). Among these may be one in steps that divide k.
//                          Tiles are two serial loops of this kind right outside the loops over their elements, which are a
//                          serial and a vector loop.
//   fold(lo, hi)           attr {op: "add" | "mul" | "maximum" | "minimum" | "logical_and" | "logical_or",
//                          order: "lanes" | "rows"}; one region (param: index) yielding the scalar to fold; result:
//                          scalar. lanes: the numeric contract for the last axis (chunks of 1,024, element k in lane k
//                          mod 32, fold by 16, 8, 4, 2, 1; chunk results by the same rule), k counted from lo. Not
//                          inside a vector loop. rows: in ascending order within chunks of 64, chunk results by the
//                          same rule. Only inside a vector loop. Identity: -0.0 for float add (an empty sum is +0.0),
//                          1, -inf/lowest, inf/highest. Folds do not nest. Each turn of the region is run once; over
//                          lanes it may store, to places of its own, what later loops of the same iteration read.
//   load(buffer, position) scalar at element `position` (index).
//   store(buffer, position, scalar), store(buffer, position, scalar, all): of `all` elements (index) that the kernel
//                          writes to the buffer and does not load: where the last cache does not hold so many, an engine
//                          may write past the caches. attr {after_folds}: the iteration has read what it folds before,
//                          and reads on after the store.
//   scratch(elements)      attr {dtype}: a buffer of so many elements (an index made of extents) that holds nothing at
//                          first and belongs to the iteration that it stands in, of a parallel or serial loop. Whoever
//                          runs a stage brings the memory, behind the kernel's buffers (KernelInfo::scratch).
//   product(a, a_at, a_row, a_column, b, b_at, b_row, c, c_at, c_row, m, n, k)
//                          attr {accumulate}: c[i, j] = Σ a[i, p] b[p, j], or added to what is in c; f32 or f64. Element
//                          (i, p) of a stands at a_at + i · a_row + p · a_column, (p, j) of b at b_at + p · b_row + j,
//                          (i, j) of c at c_at + i · c_row + j. Each element is one chain of fma over ascending p that
//                          begins at +0 or with what is there. c overlaps neither a nor b. Outside vector loops and
//                          folds. The function is that of jit/contract/tile.h for every engine.
//   scatter(to, places, terms, at, line, m, n)
//                          to[places[at + i · line + j]] += terms[at + i · line + j] for i < m, j < n: one term after the
//                          other, i and then j ascending, whatever places there are twice. `to` and `terms` are f32 or f64,
//                          `places` i64, `to` neither of them. Outside vector loops and folds. The function is that of
//                          jit/contract/tile.h for every engine.
//   extent                 attr {value: size}: an index that is a constant or an expression over the graph's symbols.
//   position(scalar)       an i64 scalar as index; number(index): an index as i64 scalar.
//   every elementwise row  on scalars (all operands scalars, types equal where the row demands it; cast changes dtype);
//                          add sub mul floor_divide remainder minimum maximum also on index operands.
//   literal nodes          (op `constant`, attr {value}, tensor type of rank 0) may be operands anywhere a scalar may; an
//                          op whose operands are all literals has a rank 0 tensor type and is a scalar all the same.
// Values are used in the region that makes them and in regions inside it.
// f16 and bf16 scalars are rounded after every op. Sums of f16 and bf16 are cast to f32 inside the fold and rounded
// once after it.
#pragma once
#include <cstddef>

namespace tenon {

/// The operands of a `product`.
namespace product_operand {
constexpr size_t a = 0, a_at = 1, a_row = 2, a_column = 3, b = 4, b_at = 5, b_row = 6, c = 7, c_at = 8, c_row = 9,
                 m = 10, n = 11, k = 12, count = 13;
constexpr bool is_buffer(size_t operand) { return operand == a || operand == b || operand == c; }
}  // namespace product_operand

/// The operands of a `scatter`.
namespace scatter_operand {
constexpr size_t to = 0, places = 1, terms = 2, at = 3, line = 4, m = 5, n = 6, count = 7;
constexpr bool is_buffer(size_t operand) { return operand <= terms; }
}  // namespace scatter_operand

}  // namespace tenon
