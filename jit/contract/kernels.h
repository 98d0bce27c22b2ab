// Micro-kernels: some rows times some vectors of columns, held in registers, compiled for each instruction set. Each element is
// one chain over ascending k, of fma for f32 and f64 and of wrapping arithmetic for integers, so its bits depend on nothing else.
#pragma once

#include <cstdint>

#include "runtime/cpu.h"

namespace tenon::contract {

/// What products are computed in: f16 and bf16 in f32, integers modulo 2³² or 2⁶⁴.
#define TENON_CONTRACT_TYPES(each) each(float) each(double) each(uint32_t) each(uint64_t)

/// So many rows of b are asked for before they are read.
constexpr int64_t rows_ahead = 16;

/// The part of a product that a micro-kernel computes, or adds to: c[i, j] (+)= Σ a[i, p] b[p, j].
template <class T>
struct MicroTile {
    int64_t k = 0;
    const T* a = nullptr;  ///< element (i, p) at a[i · a_row + p · a_column]
    int64_t a_row = 0, a_column = 0;
    const T* b = nullptr;  ///< element (p, j) at b[p · b_row + j]
    int64_t b_row = 0;
    const int64_t* b_rows = nullptr;  ///< of `apart`: element (p, j) at b[b_rows[p] + j]; `rows_ahead` more may be read
    T* c = nullptr;  ///< element (i, j) at c[i · c_row + j]
    int64_t c_row = 0;
    int64_t last = 0;        ///< columns in the last vector: 1 … lanes
    bool continues = false;  ///< the chains go on from what is in c, else they begin at +0
    const T* added =
        nullptr;  ///< if any: element (i, j), at added[i · added_row + j], is added to the chain when it is done
    int64_t added_row = 0;
    T* packed = nullptr;     ///< where `packing_tile` leaves the panel of b, row by row
};

/// The micro-kernels of one instruction set.
template <class T>
struct MicroKernels {
    using Function = void (*)(const MicroTile<T>&);
    static constexpr int64_t most_rows = 12, most_vectors = 2;

    int64_t lanes;  ///< of a vector
    int64_t rows;   ///< of a tile at most; its columns are `most_vectors` vectors
    Function tile[most_vectors]
                 [most_rows];  ///< by vectors and rows, each less 1; b is read `lanes` at a time, so far as `last` says
    Function packing_tile[most_rows];  ///< for all columns, by rows
    Function apart[most_vectors][most_rows];  ///< as `tile`, of rows of b that lie by themselves; floats only
    /// For few rows, which use b once: tiles as wide as there are registers, of whole vectors. By rows less 1.
    struct Wide {
        int64_t vectors;
        Function tile;
    };
    int64_t few_rows;
    Wide wide[3];

    int64_t columns() const { return most_vectors * lanes; }
};

template <class T>
const MicroKernels<T>& micro_kernels(InstructionSet);

}  // namespace tenon::contract
