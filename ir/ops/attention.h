// What the rows of attention share with the loops that they write.
#pragma once
#include <string_view>
#include <vector>

#include "ir/build/loop_writer.h"
#include "ir/row.h"

namespace tenon::attention {

// The order of sums: rows of scores are taken in so many queries and so many keys at a time. It is part of what the rows mean.
constexpr int64_t queries_together = 64, keys_together = 128;

// Operands of `attention`, and of `attention_gradient`; the mask, where there is one, is the last of each.
constexpr size_t q = 0, k = 1, v = 2, mask = 3;
constexpr size_t sums = 3, inner = 4, cotangent = 5, gradient_mask = 6;

// What the result rules have in common: sizes that fit each other, or an error that tells which do not.
struct Heads {
    std::vector<SizeId> leading;
    SizeId queries, keys, values;

    std::vector<SizeId> with(std::initializer_list<SizeId> last) const {
        std::vector<SizeId> sizes = leading;
        sizes.insert(sizes.end(), last);
        return sizes;
    }
};
Heads heads_of(Infer&);
std::vector<TypeId> result_types(Infer&, const Heads&);  // what is attended to, and the logarithms of the sums
void require_gradient_operands(Infer&, const Heads&);    // sums, inner products and cotangents

void write_attention(LoopWriter&);
void write_attention_gradient(LoopWriter&);
void write_flex_attention(LoopWriter&);
void write_flex_attention_gradient(LoopWriter&);

}  // namespace tenon::attention
