// Sums of products over dimensions that have names. einsum, tensordot and their kin are said in these, and these in rows:
// permuted views into one batched matmul, or, where no operand has a dimension of its own, products and their sum.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "frontend/ops/tensor_ops.h"
#include "runtime/function_ref.h"

namespace tenon::ops {

/// The name of each dimension of a tensor, any number. One that stands twice in an operand means its diagonal.
using Labels = std::vector<int>;

struct Labelled {
    TensorRef tensor;
    Labels labels;
};

/// Which operands are multiplied when: positions in the list of what is left, from which they go and at whose end their
/// product comes.
using Path = std::vector<std::vector<size_t>>;

/// Throws Error "shape" where one name has two sizes, other than 1: `show` makes a text of a name. Then every name is
/// read once an operand (a diagonal), and what one operand has with size 1 and another has not, is taken away.
void unify(Dispatcher&, std::span<Labelled> operands, FunctionRef<std::string(int)> show);

/// The product of unified operands, summed over every name that `result` does not have; its dimensions are in the order
/// of `result`, each once. An empty path means from left to right; what it leaves is multiplied so too. Operands have one
/// dtype, in which integers wrap; sums of f16 and bf16 are f32, rounded once a product.
TensorRef contract(Dispatcher&, std::vector<Labelled> operands, const Labels& result, const Path& path = {});

/// The path with the fewest products for these sizes: of up to six operands the best one, of more the cheapest pair at
/// each step. Of equals the one that comes first.
Path cheapest_path(std::span<const Labelled> operands, const Labels& result);

/// x[…, i, …, i + offset, …] over i, which becomes the last dimension, as a view.
TensorRef diagonal(Dispatcher&, const TensorRef& x, int64_t offset, int64_t first, int64_t second);

}  // namespace tenon::ops
