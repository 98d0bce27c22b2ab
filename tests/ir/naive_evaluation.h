// Two slow and simple evaluators for tests of passes: of tensor-level graphs, node by node on whole arrays, and of the
// loops that schedule makes of them. They share nothing with the passes, and neither aims at the numeric contract's
// order.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "ir/graph.h"

namespace tenon::naive {

struct Array {
    std::vector<int64_t> shape;
    std::vector<double> data;
    bool operator==(const Array&) const = default;
};

int64_t numel(std::span<const int64_t> shape);
Array of_shape(std::vector<int64_t> shape);

// The results of a tensor-level graph (fusions too), each f32 value rounded to f32.
std::vector<Array> evaluate(const Graph&, std::span<const Array> inputs);

// The results of a scheduled graph. Independent iterations run backwards. Throws std::runtime_error at what ir/loops.h
// forbids: reading an element before it is written, a position outside its buffer.
std::vector<Array> run_loops(const Graph&, std::span<const Array> inputs);

}  // namespace tenon::naive
