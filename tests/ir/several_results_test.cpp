// Nodes with several results: what differentiation, batching and passes make of tuples and their elements.
#include <gtest/gtest.h>

#include "ir/passes/batch.h"
#include "ir/passes/drop_cotangents.h"
#include "ir/passes/passes.h"
#include "ir/text/text.h"

namespace tenon {
namespace {

std::string backward_of(Context& c, const char* text, std::vector<size_t> results = {0}) {
    const GraphRef g = parse_graph(c, text);
    std::vector<size_t> wrt;
    for (size_t k = 0; k < g->params().size(); ++k) wrt.push_back(k);
    const Split split = split_joint(make_joint(*g, results, wrt, false));
    for (const GraphRef& half : {split.forward, split.backward}) {
        verify(*half);
        EXPECT_TRUE(equal(*half, *parse_graph(c, print(*half)))) << print(*half);
        for (NodeId p : half->params()) EXPECT_TRUE(half->type(p).is_tensor()) << "what is saved is a tensor";
    }
    return print(*split.backward);
}

// Of two `get`s of one result the later one's cotangent comes first: one left fold by descending position.
TEST(SeveralResults, CotangentsOfOneResultAreOneSum) {
    Context c;
    EXPECT_EQ(backward_of(c, R"(graph f(x: f32[4]) -> f32[4] {
    sort = sort(x, axis: 0, descending: false)  : (f32[4], i64[4])
    get = get(sort, index: 0)                   : f32[4]
    exp = exp(get)                              : f32[4]
    get_1 = get(sort, index: 0)                 : f32[4]
    mul = mul(exp, get_1)                       : f32[4]
    return mul
})"),
              R"(graph f.backward(exp: f32[4], get_1: f32[4], get_2: i64[4], grad: f32[4]) -> f32[4] {
    mul_1 = mul(grad, get_1)        : f32[4]  d mul
    mul_2 = mul(grad, exp)          : f32[4]  d mul
    mul_3 = mul(mul_1, exp)         : f32[4]  d exp
    add = add(mul_2, mul_3)         : f32[4]  d get
    full = full(0:f32, sizes: [4])  : f32[4]  d sort
    scatter_add = scatter_add(full, get_2, add, axis: 0)  : f32[4]  d sort
    return scatter_add
}
)");
}

// A result without a cotangent costs nothing, and what none of whose results has one is not differentiated at all.
TEST(SeveralResults, OnesWithoutCotangentCostNothing) {
    Context c;
    EXPECT_EQ(backward_of(c, R"(graph f(x: f32[4], y: f32[4]) -> f32[4] {
    tuple = tuple(x, y)          : (f32[4], f32[4])
    get = get(tuple, index: 1)   : f32[4]
    sin = sin(get)               : f32[4]
    return sin
})"),
              R"(graph f.backward(get: f32[4], grad: f32[4]) -> f32[4] {
    cos = cos(get)        : f32[4]  d sin
    mul = mul(grad, cos)  : f32[4]  d sin
    return mul
}
)");
    EXPECT_EQ(backward_of(c, R"(graph f(x: f32[4]) -> f32[4] {
    sort = sort(x, axis: 0, descending: false)  : (f32[4], i64[4])
    get = get(sort, index: 1)                   : i64[4]
    cast = cast(get, dtype: f32)                : f32[4]
    mul = mul(x, cast)                          : f32[4]
    return mul
})"),
              R"(graph f.backward(cast: f32[4], grad: f32[4]) -> f32[4] {
    mul_1 = mul(grad, cast)  : f32[4]  d mul
    return mul_1
}
)");
}

// What a formula names is a result of the forward half, whether or not anything reads it there.
TEST(SeveralResults, ANamedResultIsSavedAsOneValue) {
    Context c;
    const GraphRef g = parse_graph(c, R"(graph f(x: f32[4]) -> f32[4] {
    sort = sort(x, axis: 0, descending: false)  : (f32[4], i64[4])
    get = get(sort, index: 0)                   : f32[4]
    return get
})");
    const Split split = split_joint(make_joint(*g, std::vector<size_t>{0}, std::vector<size_t>{0}, false));
    EXPECT_EQ(print(*split.forward), R"(graph f.forward(x: f32[4]) -> f32[4], i64[4] {
    sort = sort(x, axis: 0, descending: false)  : (f32[4], i64[4])
    get = get(sort, index: 0)                   : f32[4]
    get_1 = get(sort, index: 1)                 : i64[4]
    return get, get_1
}
)");
    EXPECT_EQ(print(*split.backward), R"(graph f.backward(get_1: i64[4], grad: f32[4]) -> f32[4] {
    full = full(0:f32, sizes: [4])  : f32[4]  d sort
    scatter_add = scatter_add(full, get_1, grad, axis: 0)  : f32[4]  d sort
    return scatter_add
}
)");
}

// In a checkpoint its results are computed again together, but for one that is kept.
TEST(SeveralResults, ACheckpointComputesThemAgain) {
    Context c;
    EXPECT_EQ(backward_of(c, R"(graph f(x: f32[4]) -> f32[4] {
    call = call(x, name: "s", kind: "checkpoint")   : f32[4] (arg: f32[4]) {
        exp = exp(arg)                              : f32[4]
        sort = sort(exp, axis: 0, descending: true) : (f32[4], i64[4])
        get = get(sort, index: 0)                   : f32[4]
        yield get
    }
    return call
})"),
              R"(graph f.backward(x: f32[4], grad: f32[4]) -> f32[4] {
    full = full(0:f32, sizes: [4])                   : f32[4]            d sort
    exp_1 = exp(x)                                   : f32[4]            recomputed
    sort_1 = sort(exp_1, axis: 0, descending: true)  : (f32[4], i64[4])  recomputed
    get_2 = get(sort_1, index: 1)                    : i64[4]            recomputed
    scatter_add = scatter_add(full, get_2, grad, axis: 0)  : f32[4]            d sort
    mul = mul(scatter_add, exp_1)                    : f32[4]            d exp
    return mul
}
)");
}

TEST(SeveralResults, AnElementOfATupleIsThatValue) {
    Context c;
    const auto text = R"(graph f(x: f32[4], y: f32[4]) -> f32[4], f32[4] {
    tuple = tuple(x, y)          : (f32[4], f32[4])
    get = get(tuple, index: 1)   : f32[4]
    neg = neg(get)               : f32[4]
    sort = sort(x, axis: 0)      : (f32[4], i64[4])
    get_1 = get(sort, index: 0)  : f32[4]
    sort_1 = sort(x, axis: 0)    : (f32[4], i64[4])
    get_2 = get(sort_1, index: 0) : f32[4]
    add = add(get_1, get_2)      : f32[4]
    return neg, add
})";
    EXPECT_EQ(print(*simplify(*parse_graph(c, text))), R"(graph f(x: f32[4], y: f32[4]) -> f32[4], f32[4] {
    neg = neg(y)                 : f32[4]
    sort = sort(x, axis: 0)      : (f32[4], i64[4])
    get_1 = get(sort, index: 0)  : f32[4]
    add = add(get_1, get_1)      : f32[4]
    return neg, add
}
)");
}

TEST(SeveralResults, ATupleMayLackElementsWithoutCotangent) {
    Context c;
    const GraphRef half = parse_graph(c, R"(graph f(a: f32[2], g: f32[2], h: f32[2]) -> f32[2], f32[2] {
    mul = mul(g, a)              : f32[2]
    tuple = tuple(mul, h)        : (f32[2], f32[2])
    get = get(tuple, index: 0)   : f32[2]
    get_1 = get(tuple, index: 1) : f32[2]
    neg = neg(get_1)             : f32[2]
    return get, neg
})");
    const size_t absent[] = {1};
    std::vector<bool> reached;
    const GraphRef rest = drop_cotangents(*half, absent, 3, reached);
    EXPECT_EQ(reached, (std::vector<bool>{false, true}));
    EXPECT_EQ(print(*rest), R"(graph f(a: f32[2], g: f32[2], h: f32[2]) -> f32[2] {
    neg = neg(h)  : f32[2]
    return neg
}
)");
}

TEST(SeveralResults, OfABatchEachIsBatched) {
    Context c;
    const std::vector<int> in{0, -1}, out{0, 1};
    const GraphRef whole = batch(*parse_graph(c, R"(graph f(x: f32[4], y: f32[3]) -> i64[4], f32[3] {
    sort = sort(x, axis: 0, descending: false)  : (f32[4], i64[4])
    get = get(sort, index: 1)                   : i64[4]
    tuple = tuple(x, y)                         : (f32[4], f32[3])
    get_1 = get(tuple, index: 1)                : f32[3]
    return get, get_1
})"),
                                 {SizeId(5), in, out});
    verify(*whole);
    EXPECT_EQ(print(*whole), R"(graph f(x: f32[5, 4], y: f32[3]) -> i64[5, 4], f32[3, 5] {
    sort = sort(x, axis: 1, descending: false)  : (f32[5, 4], i64[5, 4])
    get = get(sort, index: 1)                   : i64[5, 4]
    expand = expand(y, sizes: [5, 3])           : f32[5, 3]
    tuple = tuple(x, expand)                    : (f32[5, 4], f32[5, 3])
    get_1 = get(tuple, index: 1)                : f32[5, 3]
    permute = permute(get_1, axes: [1, 0])      : f32[3, 5]
    return get, permute
}
)");
}

}  // namespace
}  // namespace tenon
