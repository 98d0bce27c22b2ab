// The families of rows. Row order is family order, then the order within a table.
#pragma once
#include <span>

#include "ir/row.h"

namespace tenon {

std::span<const Row> elementwise_rows();
std::span<const Row> movement_rows();
std::span<const Row> reduce_rows();
std::span<const Row> contract_rows();
std::span<const Row> convolution_rows();
std::span<const Row> attention_rows();
std::span<const Row> flex_attention_rows();
std::span<const Row> index_rows();
std::span<const Row> random_rows();
std::span<const Row> control_rows();
std::span<const Row> region_rows();
std::span<const Row> own_gradient_rows();
std::span<const Row> effect_rows();
std::span<const Row> loop_rows();

// Result rules that several families share.
TypeId same_as_first(Infer&);
void require_tensor(Infer&, size_t operand);
bool same_sizes(const Infer&, std::span<const SizeId>, std::span<const SizeId>);
int64_t normalised_axis(Infer&, int64_t axis, size_t rank);  // −1 is the last; errors name the rank
SizeId broadcast_size(Infer&, SizeId, SizeId, size_t dimension_from_right);

}  // namespace tenon
