// The order in which reductions fold, whatever engine, threads or tiles: the numeric contract's numbers. Along the last
// axis element k of a chunk goes to lane k mod 32, then lanes are combined by halves; along other axes rows are folded
// one after the other within a chunk. Results of chunks are folded likewise. (No includes: CUDA's text has it too.)
#pragma once

namespace tenon::fold_order {

constexpr int lanes = 32, lanes_chunk = 1024, rows_chunk = 64;

}  // namespace tenon::fold_order
