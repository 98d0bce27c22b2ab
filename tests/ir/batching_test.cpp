// What the graph of a batch looks like: shared values stay shared, metadata and names stay.
#include <gtest/gtest.h>

#include "ir/passes/batch.h"
#include "ir/text/text.h"

namespace tenon {
namespace {

GraphRef batched(Context& context, std::string_view text, std::vector<int> in, std::vector<int> out) {
    return batch(*parse_graph(context, text), {SizeId(5), in, out});
}

TEST(Batching, SharedValuesStayShared) {
    Context context;
    const GraphRef whole = batched(context, R"(graph f(x: f32[3] {part: 1}, w: f32[3, 4]) -> f32[4] {
    exp = exp(w)                            : f32[3, 4]
    reshape = reshape(x, sizes: [1, 3])     : f32[1, 3]  {part: 1}
    matmul = matmul(reshape, exp)           : f32[1, 4]  {part: 2}
    reshape_1 = reshape(matmul, sizes: [4]) : f32[4]
    add = add(reshape_1, 2)                 : f32[4]     {part: 3}
    return add
}
)",
                                   {1, -1}, {0});
    EXPECT_EQ(print(*whole), R"(graph f(x: f32[3, 5] {part: 1}, w: f32[3, 4]) -> f32[5, 4] {
    permute = permute(x, axes: [1, 0])            : f32[5, 3]     {part: 1}
    exp = exp(w)                                  : f32[3, 4]
    reshape = reshape(permute, sizes: [5, 1, 3])  : f32[5, 1, 3]  {part: 1}
    matmul = matmul(reshape, exp)                 : f32[5, 1, 4]  {part: 2}
    reshape_1 = reshape(matmul, sizes: [5, 4])    : f32[5, 4]
    add = add(reshape_1, 2)                       : f32[5, 4]     {part: 3}
    return add
}
)");
}

TEST(Batching, WhatDependsOnNoExampleIsRepeatedAtTheEnd) {
    Context context;
    const GraphRef whole = batched(context, R"(graph f(x: f32[3], w: f32[2]) -> f32[2], f32[] {
    sin = sin(w)                            : f32[2]  {shared: true}
    sum = sum(x, axes: [0], keepdim: false) : f32[]
    return sin, sum
}
)",
                                   {0, -1}, {1, 0});
    EXPECT_EQ(print(*whole), R"(graph f(x: f32[5, 3], w: f32[2]) -> f32[2, 5], f32[5] {
    sin = sin(w)                             : f32[2]     {shared: true}
    sum = sum(x, axes: [1], keepdim: false)  : f32[5]
    expand = expand(sin, sizes: [5, 2])      : f32[5, 2]  {shared: true}
    permute = permute(expand, axes: [1, 0])  : f32[2, 5]  {shared: true}
    return permute, sum
}
)");
}

TEST(Batching, AWriteIntoAnInputCannotBeOneForAll) {
    Context context;
    try {
        batched(context, R"(graph f(x: f32[3], y: f32[3]) -> f32[3] {
    commit(x, y)
    return y
}
)",
                {0, 0}, {0});
        FAIL() << "no error";
    } catch (const Error& error) {
        EXPECT_EQ(error.diagnostic.kind, "vmap");
        EXPECT_EQ(error.diagnostic.message,
                  "commit cannot be done for a whole batch: the memory of an input holds one value, and a batch would "
                  "write many");
    }
}

}  // namespace
}  // namespace tenon
