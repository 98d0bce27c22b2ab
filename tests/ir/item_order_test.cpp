// In which order fuse puts kernels, calls and effects.
#include <gtest/gtest.h>

#include <string>

#include "ir/checked_positions.h"
#include "ir/passes/passes.h"
#include "ir/row.h"
#include "ir/text/text.h"

namespace tenon {
namespace {

// Library calls by name, kernels by the last value that they make; without effects and names of results.
std::string order_of(Context& c, std::string_view text) {
    Decisions decisions;
    const GraphRef fused = fuse(*parse_graph(c, text), decisions);
    std::string order;
    for (NodeId id : fused->body()) {
        std::string_view name = fused->name_of(id);
        if (fused->operands_of(id).empty() || is_ordered(row((*fused)[id].op).effect)) continue;
        if ((*fused)[id].regions == 1) name = fused->name_of(fused->results(fused->region_of(id)).back());
        order += (order.empty() ? "" : " ") + std::string(name);
    }
    return order;
}

// v is written where it lies as soon as nothing else reads the gradient that it is written with.
TEST(ItemOrder, AnUpdateFollowsItsGradient) {
    Context c;
    EXPECT_EQ(order_of(c, R"(graph f(g: f32[256, 256], v: f32[256, 256]) -> f32[256, 256] {
    a = matmul(g, g)  : f32[256, 256]
    b = matmul(a, a)  : f32[256, 256]
    c = matmul(b, b)  : f32[256, 256]
    e = matmul(b, c)  : f32[256, 256]
    d = sub(v, a)     : f32[256, 256]
    commit(v, d)
    return e
})"),
              "a b d c e");
}

TEST(ItemOrder, AnUpdateWaitsForThoseThatReadWhatItReplaces) {
    Context c;
    EXPECT_EQ(order_of(c, R"(graph f(g: f32[256, 256], v: f32[256, 256]) -> f32[256, 256] {
    a = matmul(g, g)  : f32[256, 256]
    b = matmul(g, a)  : f32[256, 256]
    c = matmul(b, v)  : f32[256, 256]
    d = sub(v, a)     : f32[256, 256]
    commit(v, d)
    return c
})"),
              "a b c d");
}

// It is made in the input's memory, which is as it was where the graph fails.
TEST(ItemOrder, AnUpdateWaitsForWhatMayFail) {
    Context c;
    const char* const text = R"(graph f(g: f32[256, 256], v: f32[256, 256], i: i64[256]) -> f32[256, 256] {
    early = EARLY        : f32[256, 256]
    a = matmul(early, g) : f32[256, 256]
    b = matmul(g, a)     : f32[256, 256]
    c = take(b, i, axis: 0)  : f32[256, 256]
    e = matmul(b, c)     : f32[256, 256]
    d = sub(v, a)        : f32[256, 256]
    commit(v, d)
    return e
})";
    const auto with = [&](std::string_view early) {
        std::string graph = text;
        graph.replace(graph.find("EARLY"), 5, early);
        return order_of(c, graph);
    };
    EXPECT_EQ(with("matmul(g, g)"), "early a b c e d");
    EXPECT_EQ(with("take(g, i, axis: 0)"), "early a b d c e");  // the same positions, of as many rows
}

TEST(CheckedPositions, AreKnownBySizeAndValue) {
    Context c;
    const GraphRef g =
        parse_graph(c, R"(graph f(x: f32[8, 4], i: i64[6], j: i64[6]) -> f32[6, 4], f32[8, 4], f32[8, 6], f32[6, 4] {
    a = take(x, i, axis: 0)         : f32[6, 4]
    k = reshape(i, sizes: [6])      : i64[6]
    b = take_add(x, k, a, axis: 0)  : f32[8, 4]
    d = take(x, i, axis: 1)         : f32[8, 6]
    e = take(x, j, axis: -2)        : f32[6, 4]
    return a, b, d, e
})");
    CheckedPositions checked(*g);
    std::string which;
    for (NodeId id : g->body())
        if (checked.may_fail(id)) which += g->name_of(id);
    EXPECT_EQ(which, "ade");
}

}  // namespace
}  // namespace tenon
