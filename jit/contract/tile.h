// Products of tiles, for the loops of kernels (ir/loops.h, `product`): operands are read where they lie, nothing is packed.
#pragma once

#include <cstdint>

#include "runtime/cpu.h"
#include "runtime/dtype.h"

namespace tenon::contract {

/// c[i, j] = Σ a[i, p] b[p, j] for i < m, j < n, p < k, or added to what is in c where `accumulate` is not 0. Element (i, p) of
/// a stands at i · a_row + p · a_column, (p, j) of b at p · b_row + j, (i, j) of c at i · c_row + j. Each element is one chain
/// of fma over ascending p, which begins at +0 or with what is in c: its bits depend on no tile and no instruction set.
using TileFunction = void (*)(const void* a, int64_t a_row, int64_t a_column, const void* b, int64_t b_row, void* c,
                              int64_t c_row, int64_t m, int64_t n, int64_t k, int64_t accumulate);

/// Null where there is none: for other dtypes than f32 and f64.
TileFunction find_tile_function(DType, InstructionSet);

/// to[places[i · row + j]] += terms[i · row + j] for i < m, j < n, one term after the other, i and then j ascending.
using ScatterFunction = void (*)(void* to, const int64_t* places, const void* terms, int64_t row, int64_t m, int64_t n);

/// Null where there is none: for other dtypes than f32 and f64.
ScatterFunction find_scatter_function(DType);

}  // namespace tenon::contract
