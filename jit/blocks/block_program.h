// What the block interpreter runs: a stage of a kernel as a flat list of instructions over registers.
//
// Index registers hold one int64 each. Value registers are pointers: to a scalar (one element for all lanes), to a
// block of up to `block_size` elements, or straight into a buffer, so that contiguous loads move nothing. Loops and
// folds are an instruction followed by its preamble (run once when there is a first iteration) and its body.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "ir/fold_order.h"
#include "jit/contract/tile.h"
#include "jit/routines/routines.h"

namespace tenon {

struct Instruction {
    // clang-format off
    enum class Code : uint8_t {
        // values: at[out] = routine(at[a], at[b], at[c]) on all lanes, or on one element
        block, one,
        copy_block,             // at[out][i] = at[a][i]
        fill_block,             // at[out][i] = at[a][0]
        // index registers
        index_add, index_sub, index_mul, index_floor_divide, index_remainder, index_minimum, index_maximum,
        index_from_value,       // index[out] = at[a], an i64
        value_from_index,       // at[out] = index[a]
        // blocks of positions; x = index[a] + i·index[c], lane 0 being at loop variable index[b]: x = base +
        // coefficient·variable
        iota_block,             // at[out][i] = x
        floor_divide_block,     // at[out][i] = x floordiv index[d]
        remainder_block,        // at[out][i] = x mod index[d]
        // memory: buffer a at position p = index[b] (+ index[c] the loop variable, + coefficient index[d] where
        // strided)
        load_here,              // at[out] = &buffer[p]
        load_block, load_strided,
        load_lines,             // the same for several turns at once of the loop around the vector loop, whose neighbours
                                // are neighbours in memory: its variable is index[preamble], which ends at index[body]
        load_indexed,           // buffer[at[b][i]]
        load_one,
        address,                // at[out] = &buffer[p], for the next instruction to write to
        store_block, store_strided, store_indexed, store_one,    // value at[out]
        store_large,            // a block, past the caches where index[d] elements are more than the last one holds
        // loops: variable index[out], from index[a] below index[b]; preamble and body follow
        serial,                 // step index[c]
        vector,                 // in blocks
        fold_lanes,             // variable index[c]; result at[out], value at[d]
        fold_rows,
        product,                // of tiles: ProductPlan
        scatter,                // ScatterPlan
    };
    // clang-format on
    Code code;
    uint8_t size = 0;     // bytes of an element
    uint8_t mask = 0;     // bit k: operand k of a routine is one element; of a fold: its value is
    bool direct = false;  // a fold whose body only computes an address: it folds the memory itself
    int32_t out = 0, a = 0, b = 0, c = 0, d = 0;
    uint32_t preamble = 0, body = 0;  // numbers of instructions that follow
    uint32_t scratch = 0;             // of a fold: the offset of its partial results in the frame; of lines: theirs
    union {
        Routine::Function routine = nullptr;
        const struct FoldPlan* fold;
        const struct ProductPlan* product;
        const struct ScatterPlan* scatter;
        struct {
            int32_t low, high;  // index registers
        } vector;               // of lines: the vector loop
    };
};

struct FoldPlan {
    const Fold* fold = nullptr;
    const Routine* step = nullptr;  // accumulator op row
};

struct ProductPlan {
    contract::TileFunction function = nullptr;
    struct Tile {
        int32_t buffer = 0, at = 0, row = 0;  // at, row: index registers
    } a, b, c;
    int32_t a_column = 0, m = 0, n = 0, k = 0;  // index registers
    bool accumulate = false;
};

struct ScatterPlan {
    contract::ScatterFunction function = nullptr;
    int32_t to = 0, places = 0, terms = 0;  // buffers
    int32_t at = 0, row = 0, m = 0, n = 0;  // index registers
};

// What programs point to, which lives as long as they do.
struct ProgramPlans {
    std::deque<FoldPlan> folds;
    std::deque<ProductPlan> products;
    std::deque<ScatterPlan> scatters;
};

// What a load of lines has read ahead, and where: line r holds what turn first + r wants.
struct LoadedLines {
    static constexpr int64_t most = 16, elements = 8192;  // at a time
    const std::byte* from = nullptr;
    int64_t first = 0, lane = 0, lanes = 0, lines = 0;
};

struct BlockProgram {
    static constexpr int64_t block_size = fold_order::lanes_chunk;  // so that a block of a fold over lanes is a chunk
    static constexpr int fold_levels = 6;  // 64^6 rows, 1024^6 lanes

    struct Register {
        enum Kind : uint8_t { frame, constant, shared, free } kind = free;  // shared: a scalar of the whole kernel
        uint32_t offset = 0;                                                // in bytes
    };
    std::vector<Instruction> entry;     // before the first iteration
    std::vector<Instruction> body;      // one iteration, or the stage that runs once
    bool loop = false, vector = false;  // vector: the stage itself is a vector loop
    int32_t variable = 0, low = 0;      // index registers of a loop
    int64_t step = 1;
    std::vector<int64_t> indices;                       // initial values of the index registers
    std::vector<std::pair<int32_t, uint32_t>> extents;  // index register = extent
    std::vector<Register> registers;
    std::vector<uint64_t> constants;
    uint32_t frame_bytes = 0;  // of scalars and blocks
    std::vector<uint32_t> lines;    // offsets of each LoadedLines, which its elements follow
    int32_t end = -1;  // of a loop that goes on in several calls: the index register of where this one ends
};

}  // namespace tenon
