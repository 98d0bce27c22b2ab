#include "jit/contract/tile.h"

#include <algorithm>

#include "jit/contract/kernels.h"

namespace tenon::contract {

namespace {

// Along the columns of b first: what a panel of it holds stays in the first cache while the rows of a pass by.
template <class T, InstructionSet set>
void multiply_tile(const void* a, int64_t a_row, int64_t a_column, const void* b, int64_t b_row, void* c, int64_t c_row,
                   int64_t m, int64_t n, int64_t k, int64_t accumulate) {
    static const MicroKernels<T>& kernels = micro_kernels<T>(set);
    MicroTile<T> tile;
    tile.k = k;
    tile.a_row = a_row, tile.a_column = a_column, tile.b_row = b_row, tile.c_row = c_row;
    tile.continues = accumulate != 0;
    for (int64_t j = 0; j < n; j += kernels.columns()) {
        const int64_t columns = std::min(kernels.columns(), n - j), vectors = (columns - 1) / kernels.lanes + 1;
        tile.b = static_cast<const T*>(b) + j;
        tile.last = columns - (vectors - 1) * kernels.lanes;
        for (int64_t i = 0; i < m; i += kernels.rows) {
            tile.a = static_cast<const T*>(a) + i * a_row;
            tile.c = static_cast<T*>(c) + i * c_row + j;
            kernels.tile[vectors - 1][std::min(kernels.rows, m - i) - 1](tile);
        }
    }
}

template <class T>
TileFunction of_set(InstructionSet set) {
    return set == InstructionSet::avx512 ? multiply_tile<T, InstructionSet::avx512>
                                         : multiply_tile<T, InstructionSet::avx2>;
}

}  // namespace

template <class T>
static void scatter(void* to, const int64_t* places, const void* terms, int64_t row, int64_t m, int64_t n) {
    T* const sums = static_cast<T*>(to);
    for (int64_t i = 0; i < m; ++i)
        for (int64_t j = 0; j < n; ++j) sums[places[i * row + j]] += static_cast<const T*>(terms)[i * row + j];
}

ScatterFunction find_scatter_function(DType dtype) {
    return dtype == DType::f32 ? scatter<float> : dtype == DType::f64 ? scatter<double> : nullptr;
}

TileFunction find_tile_function(DType dtype, InstructionSet set) {
    switch (dtype) {
        case DType::f32: return of_set<float>(set);
        case DType::f64: return of_set<double>(set);
        default: return nullptr;
    }
}

}  // namespace tenon::contract
