// Inputs of a graph: normal numbers, conditions of both kinds; integers are 2.
#pragma once
#include <random>
#include <vector>

#include "ir/graph.h"
#include "runtime/tensor.h"

namespace tenon {

// Its sizes are constants.
inline std::vector<Tensor> random_inputs(const Allocator& allocator, const Graph& g, unsigned seed = 7) {
    std::mt19937 generator(seed);
    std::normal_distribution<float> normal;
    std::vector<Tensor> made;
    for (NodeId p : g.params()) {
        Dims shape;
        for (SizeId s : g.type(p).sizes) shape.push_back(*g.context->as_constant(s));
        std::vector<float> values(size_t(checked_numel(shape)));
        for (float& v : values) v = normal(generator);
        const DType dtype = g.type(p).dtype;
        if (dtype == DType::f32) {
            made.push_back(Tensor::from<float>(allocator, values, shape));
            continue;
        }
        made.push_back(Tensor::empty(allocator, dtype, shape));
        for (size_t k = 0; k < values.size(); ++k)
            if (dtype == DType::boolean) made.back().data<bool>()[k] = values[k] > 0;
            else made.back().data<int64_t>()[k] = 2;
    }
    return made;
}

}  // namespace tenon
