// Nests that go through their elements in tiles: where they do, and that they compute the same.
#include <gtest/gtest.h>

#include <random>

#include "tests/ir/lowering.h"

namespace tenon {
namespace {

// Of which tiles are seen at sizes that tests can afford.
constexpr Target small_caches{.cache_bytes = 4096, .near_bytes = 2048};

Lowered lower_in_tiles(Context& context, const char* text, std::vector<std::vector<int64_t>> shapes) {
    std::mt19937 random(7);
    std::vector<naive::Array> inputs;
    for (auto& shape : shapes) inputs.push_back(random_array(random, shape));
    return lower(parse_graph(context, text), inputs, small_caches);
}

// What lies along another dimension than the result goes through both in tiles, of whose last ones the loops take what is left.
TEST(Tiles, WhatLiesAlongTwoDimensionsIsReadInTiles) {
    Context c;
    const Lowered l = lower_in_tiles(c, R"(graph f(x: f32[130, 200], y: f32[200, 130]) -> f32[200, 130] {
    permute = permute(x, axes: [1, 0])  : f32[200, 130]
    sub = sub(y, permute)               : f32[200, 130]
    return sub
}
)",
                                     {{130, 200}, {200, 130}});
    EXPECT_TRUE(l.decided(DecisionKind::tiled, "64 x 64"));
    EXPECT_EQ(print(*l.loops), R"(graph f(x: f32[130, 200], y: f32[200, 130]) -> f32[200, 130] {
    kernel = kernel(x, y, name: "f.0")  : f32[200, 130] (in: buffer f32, in_1: buffer f32, out: buffer f32) {
        extent = extent(value: 130)    : index
        extent_1 = extent(value: 200)  : index
        extent_2 = extent(value: 0)    : index
        for(extent_2, extent, kind: "serial", step: 64) (block: index) {
            for(extent_2, extent_1, kind: "serial", step: 64) (block_1: index) {
                extent_3 = extent(value: 64)      : index
                add = add(block_1, extent_3)      : index
                minimum = minimum(add, extent_1)  : index
                for(block_1, minimum, kind: "serial", step: 1) (i: index) {
                    mul = mul(i, extent)                : index
                    add_1 = add(block, extent_3)        : index
                    minimum_1 = minimum(add_1, extent)  : index
                    for(block, minimum_1, kind: "vector", step: 1) (i_1: index) {
                        add_2 = add(mul, i_1)       : index
                        load = load(in_1, add_2)    : f32
                        mul_1 = mul(i_1, extent_1)  : index
                        add_3 = add(i, mul_1)       : index
                        load_1 = load(in, add_3)    : f32
                        sub = sub(load, load_1)     : f32
                        store(out, add_2, sub)
                        yield
                    }
                    yield
                }
                yield
            }
            yield
        }
        yield
    }
    return kernel
}
)");
}

TEST(Tiles, TilesAreWherePlanesAreLarge) {
    Context c;
    struct Case {
        const char* name;
        std::vector<int64_t> shape, axes;
        bool tiled;
    };
    for (const Case& k :
         std::vector<Case>{{"a plane of the middle and the last", {3, 150, 200}, {0, 2, 1}, true},
                           {"the first and the last, others between", {150, 2, 200}, {2, 1, 0}, true},
                           {"few channels", {20000, 3}, {1, 0}, true},
                           {"few rows, whose columns the vector loop goes along", {3, 20000}, {1, 0}, true},
                           {"rows that stay rows", {30, 20, 50}, {1, 0, 2}, false},
                           {"columns that fit in the cache", {100, 20, 60}, {0, 2, 1}, false},
                           {"small", {30, 30}, {1, 0}, false}}) {
        std::string from, to, axes;
        for (size_t d = 0; d < k.shape.size(); ++d) {
            const char* comma = d ? ", " : "";
            from += comma + std::to_string(k.shape[d]);
            to += comma + std::to_string(k.shape[size_t(k.axes[d])]);
            axes += comma + std::to_string(k.axes[d]);
        }
        const Lowered l = lower_in_tiles(
            c,
            ("graph f(x: f32[" + from + "]) -> f32[" + to + "] {\n    permute = permute(x, axes: [" + axes +
             "]) : f32[" + to + "]\n    neg = neg(permute) : f32[" + to + "]\n    return neg\n}\n")
                .c_str(),
            {k.shape});
        EXPECT_EQ(l.decided(DecisionKind::tiled), k.tiled) << k.name;
    }
}

// A core has the addresses of so many pages at hand: of what comes from memory a tile has few rows on either side, and a
// block of a thread's a page of each row.
TEST(Tiles, OfWhatComesFromMemoryTilesHaveFewRows) {
    Context c;
    struct Case {
        std::string rows, columns, tile, block;
    };
    for (const Case& k : {Case{"4096", "4096", "32 x 32", "1024"}, Case{"2048", "2048", "64 x 64", "128"},
                          Case{"3000", "4001", "64 x 512", "192"}}) {
        const GraphRef graph = parse_graph(c, "graph f(x: f32[" + k.rows + ", " + k.columns + "]) -> f32[" + k.columns +
                                                  ", " + k.rows + "] {\n    permute = permute(x, axes: [1, 0]) : f32[" +
                                                  k.columns + ", " + k.rows + "]\n    neg = neg(permute) : f32[" +
                                                  k.columns + ", " + k.rows + "]\n    return neg\n}\n");
        Lowered l;
        l.loops = schedule(*fuse(*graph, l.decisions), Target{.threads = 2}, l.decisions);
        EXPECT_TRUE(l.decided(DecisionKind::tiled, "in tiles of " + k.tile + " elements")) << print(*l.loops);
        EXPECT_TRUE(l.decided(DecisionKind::parallel, "in blocks of " + k.block + " ")) << print(*l.loops);
    }
}

TEST(Tiles, WritesThroughTransposedViewsGoInTilesToo) {
    Context c;
    const Lowered l = lower_in_tiles(c, R"(graph f(x: f32[160, 170], v: f32[150, 140]) -> f32[160, 170] {
    permute = permute(x, axes: [1, 0])                                       : f32[170, 160]
    slice = slice(permute, starts: [20, 3], stops: [170, 143], steps: [1, 1])  : f32[150, 140]
    mul = mul(slice, v)                                                      : f32[150, 140]
    update = update(x, slice, mul)                                           : f32[160, 170]
    return update
}
)",
                                     {{160, 170}, {150, 140}});
    EXPECT_TRUE(l.decided(DecisionKind::tiled));
}

}  // namespace
}  // namespace tenon
