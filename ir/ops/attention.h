// What the rows of attention share with the loops that they write.
#pragma once
#include "ir/build/loop_writer.h"

namespace tenon::attention {

// The order of sums: rows of scores are taken in so many queries and so many keys at a time. It is part of what the rows mean.
constexpr int64_t queries_together = 64, keys_together = 128;

// Operands of `attention`, and of `attention_gradient`; the mask, where there is one, is the last of each.
constexpr size_t q = 0, k = 1, v = 2, mask = 3;
constexpr size_t sums = 3, inner = 4, cotangent = 5, gradient_mask = 6;

void write_attention(LoopWriter&);
void write_attention_gradient(LoopWriter&);

}  // namespace tenon::attention
