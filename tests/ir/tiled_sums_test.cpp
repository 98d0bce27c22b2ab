// The sum of what the parts of a tensor have for gradients is one `cat`.
#include <gtest/gtest.h>

#include <algorithm>

#include <fmt/format.h>

#include "ir/fusion/prepare.h"
#include "ir/row.h"
#include "ir/text/text.h"

namespace tenon {
namespace {

// How many nodes of the prepared graph are of the row: of a sum of two parts, the second from `start` on, and of y.
size_t count(Context& c, std::string_view name, std::string_view start, std::string_view results = "add_1") {
    const GraphRef g = prepare_fusion(*parse_graph(
        c, fmt::format(R"(graph f(a: f32[3, 2], b: f32[n, 2], y: f32[n + 3, 2]) -> {1} {{
    pad = pad(b, starts: [{0}, 0], stops: [n + {0}, 2], steps: [1, 1], sizes: [n + 3, 2]) : f32[n + 3, 2]
    pad_1 = pad(a, starts: [0, 0], stops: [3, 2], steps: [1, 1], sizes: [n + 3, 2])       : f32[n + 3, 2]
    add = add(pad, pad_1)  : f32[n + 3, 2]
    add_1 = add(add, y)    : f32[n + 3, 2]
    return {2}
}})",
                       start, results == "add_1" ? "f32[n + 3, 2]" : "f32[n + 3, 2], f32[n + 3, 2]", results)));
    verify(*g);
    return size_t(
        std::count_if(g->body().begin(), g->body().end(), [&](NodeId id) { return row((*g)[id].op).name == name; }));
}

TEST(TiledSums, OfPartsThatCoverTheWholeAreOneCat) {
    Context c;
    EXPECT_EQ(count(c, "cat", "3"), 1u);
    EXPECT_EQ(count(c, "update", "3"), 0u);
}

TEST(TiledSums, OfOthersAreOneBuffer) {
    Context c;
    EXPECT_EQ(count(c, "cat", "2"), 0u) << "they overlap, and leave out the end";
    EXPECT_EQ(count(c, "update", "2"), 2u);
    EXPECT_EQ(count(c, "cat", "3", "add_1, pad"), 0u) << "something else reads a part";
}

}  // namespace
}  // namespace tenon
