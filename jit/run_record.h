// What a run of a graph leaves behind, and where two runs of what should be the same graph differ.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/diagnostic.h"
#include "runtime/tensor.h"

namespace tenon {

struct RunRecord {
    std::vector<Tensor> results;        ///< none where the run failed
    std::vector<Tensor> inputs;         ///< as the run left them
    std::optional<Diagnostic> failure;  ///< how it ended otherwise
};

/// Copies, row-major or not as the originals; tensors that share memory share it again.
std::vector<Tensor> copy_together(std::span<const Tensor> tensors, const Allocator& allocator);

/// "element [1, 2] was 2.5 and is 2.75" where two tensors of one dtype and shape differ first, bit for bit, all NaNs
/// being equal; what differs of dtype or shape; empty where nothing does.
std::string describe_difference(const Tensor& was, const Tensor& is);

}  // namespace tenon
