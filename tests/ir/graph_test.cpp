// The graph: sizes, text, equality, naming, outlining of calls, verification.
#include <gtest/gtest.h>

#include "ir/build/builder.h"
#include "ir/scalar/program.h"
#include "ir/text/text.h"

namespace tenon {
namespace {

const char* const example = R"(graph f(x: f32[n] {pp_stage: 0, fdsp_bucket: 0}) -> f32[n] {
    sin = sin(x)       : f32[n]  {pp_stage: 0, fdsp_bucket: 0}
    sub = sub(sin, 2)  : f32[n]  {pp_stage: 0}
    mul = mul(sub, 2)  : f32[n]  {pp_stage: 0, cuda_stream: 2, fdsp_bucket: 1}
    div = div(mul, 3)  : f32[n]
    return div
}
)";

std::string message_of(const std::function<void()>& run) {
    try {
        run();
    } catch (const Error& e) { return e.diagnostic.message; }
    return "no error";
}

TEST(Size, PolynomialsAreCanonical) {
    Context c;
    const SizeId n = c.symbol(0), m = c.symbol(1);
    EXPECT_EQ(c.add(n, m), c.add(m, n));
    EXPECT_EQ(c.sub(c.add(n, m), m), n);
    EXPECT_EQ(c.mul(c.add(n, SizeId(1)), c.add(n, SizeId(1))),
              c.add(c.mul(n, n), c.add(c.mul(SizeId(2), n), SizeId(1))));
    EXPECT_EQ(c.floordiv(c.mul(c.mul(n, m), SizeId(6)), c.mul(SizeId(3), m)), c.mul(SizeId(2), n));
    EXPECT_EQ(c.mod(c.mul(n, SizeId(4)), SizeId(2)), SizeId(0));
    EXPECT_EQ(c.as_constant(c.sub(SizeId(3), SizeId(5))), -2);
    EXPECT_EQ(c.to_string(c.add(c.mul(SizeId(2), n), SizeId(1)), {"n"}), "2*n + 1");
    const int64_t values[] = {7, 3};
    EXPECT_EQ(c.evaluate(c.add(c.mod(n, m), c.floordiv(n, m)), values), 3);
    EXPECT_EQ(c.evaluate(c.max(c.min(n, m), SizeId(2)), values), 3);
}

TEST(Text, ReadsBackEqualAndPrintsTheSame) {
    Context c;
    const GraphRef g = parse_graph(c, example);
    EXPECT_EQ(print(*g), example);
    EXPECT_TRUE(equal(*g, *parse_graph(c, print(*g))));
}

TEST(Text, LiteralsStateTheirDtypeWhereItIsNotPlain) {
    Context c;
    const char* text = R"(graph (x: i64[3]) -> f64[3] {
    less = less(x, 4)                       : bool[3]
    where = where(less, 0.5:f64, -inf:f64)  : f64[3]
    return where
}
)";
    EXPECT_EQ(print(*parse_graph(c, text)), text);
}

TEST(Text, RegionsAndSymbolClauses) {
    Context c;
    const char* text = R"(graph f(x: f32[2*n], y: f32[n]) -> f32[n] {
    call = call(y, name: "g", kind: "checkpoint")  : f32[n]  {ac: "on"} (arg: f32[n] {ac: "on"}) {
        sin = sin(arg)  : f32[n]  {ac: "on"}  recompute
        yield sin  {ac: "on"}
    }
    return call
}
)";
    EXPECT_EQ(print(*parse_graph(c, text)), text);
}

TEST(Text, LoopLevel) {
    Context c;
    const char* text = R"(graph (x: f32[8]) -> f32[8] {
    kernel = kernel(x)  : f32[8] (arg: buffer f32, arg_1: buffer f32) {
        extent = extent(value: 0)    : index
        extent_1 = extent(value: 8)  : index
        for(extent, extent_1, kind: "vector", step: 1) (i: index) {
            load = load(arg, i)  : f32
            sin = sin(load)      : f32
            mul = mul(sin, 2)    : f32
            store(arg_1, i, mul)
            yield
        }
        yield
    }
    return kernel
}
)";
    EXPECT_EQ(print(*parse_graph(c, text)), text);
}

TEST(Text, HostileTextIsAnErrorNotACrash) {
    Context c;
    const std::string text = example;
    for (size_t n = 0; n + 1 < text.size(); ++n)
        EXPECT_NE(message_of([&] { parse_graph(c, text.substr(0, n)); }), "no error") << n;
    for (size_t n = 0; n < text.size(); ++n) {
        std::string broken = text;
        broken[n] = '(';
        message_of([&] { parse_graph(c, broken); });
    }
    EXPECT_EQ(
        message_of([&] { parse_graph(c, "graph (x: f32[2]) -> f32[] {\n  sum = sum(x) : f32[]\n return sum }"); }),
        "the graph is broken at `sum = sum(x)  : f32[]`: its attributes are not those of sum");
}

TEST(Verify, NamesTheNodeAndTheRule) {
    Context c;
    EXPECT_EQ(
        message_of([&] { parse_graph(c, "graph (x: f32[2]) -> f32[3] {\n  sin = sin(x) : f32[3]\n return sin }"); }),
        "the graph is broken at `sin = sin(x)  : f32[3]`: its type should be f32[2]");
    EXPECT_EQ(
        message_of([&] { parse_graph(c, "graph (x: i64[2]) -> i64[2] {\n  sin = sin(x) : i64[2]\n return sin }"); }),
        "the graph is broken at `sin = sin(x)  : i64[2]`: sin needs a float dtype, but operand 0 is i64");
}

TEST(Builder, DropsWhatNobodyNeedsAndNamesCanonically) {
    Context c;
    Builder b(c);
    const SizeId sizes[] = {SizeId(4)};
    const NodeId x = b.parameter(c.tensor(DType::f32, sizes), c.name("x"));
    const NodeId unused = b.emit(op<"cos">(), {x});
    const NodeId one = b.emit(op<"sin">(), {x}), two = b.emit(op<"sin">(), {one});
    (void)unused;
    const GraphRef g = b.finish({two});
    EXPECT_EQ(g->body().size(), 2u);
    EXPECT_EQ(g->name_of(g->body()[1]), "sin_1");
}

TEST(Builder, ErrorsNameTheShapes) {
    Context c;
    Builder b(c);
    const SizeId left[] = {SizeId(32), SizeId(128)}, right[] = {SizeId(64), SizeId(10)};
    const NodeId x = b.parameter(c.tensor(DType::f32, left)), w = b.parameter(c.tensor(DType::f32, right));
    EXPECT_EQ(message_of([&] { b.emit(op<"matmul">(), {x, w}); }),
              "matmul needs the inner sizes to be equal, but they are 128 and 64");
    EXPECT_EQ(message_of([&] { b.emit(op<"add">(), {x, w}); }),
              "add needs shapes that broadcast, but dimension -2 is 32 and 64");
}

TEST(Builder, OutlinesCallRanges) {
    Context c;
    Builder b(c);
    const SizeId sizes[] = {SizeId(10)};
    Stamp m;
    m.meta = c.meta({{c.name("ac_sin"), AttrValue(int64_t(0))}});
    NodeId x, sin, sigmoid;
    {
        Builder::StampScope scope(b, m);
        x = b.parameter(c.tensor(DType::f32, sizes), c.name("x"));
        b.begin_call(c.name("gn"), c.name("checkpoint"));
        sin = b.emit(op<"sin">(), {x});
        b.end_call();
    }
    sigmoid = b.emit(op<"sigmoid">(), {sin});
    const NodeId results[] = {sigmoid};
    EXPECT_EQ(print(*b.finish(results, c.name("f2"), true)), R"(graph f2(x: f32[10] {ac_sin: 0}) -> f32[10] {
    call = call(x, name: "gn", kind: "checkpoint")  : f32[10]  {ac_sin: 0} (arg: f32[10] {ac_sin: 0}) {
        sin = sin(arg)  : f32[10]  {ac_sin: 0}
        yield sin  {ac_sin: 0}
    }
    sigmoid = sigmoid(call)                         : f32[10]
    return sigmoid
}
)");
}

TEST(Rows, EveryRowIsComplete) {
    for (const Row& r : all_rows()) {
        EXPECT_FALSE(r.doc.empty()) << r.name;
        EXPECT_TRUE(r.gradient || !r.no_gradient.empty()) << r.name << " has neither a gradient nor a reason for none";
        EXPECT_NE(r.batching == nullptr, r.no_batching.empty())
            << r.name << " has a batching rule, or says why it has none";
        EXPECT_GE(r.cost, 1) << r.name;
        EXPECT_EQ(r.lowering == Lowering::movement, r.index != nullptr) << r.name;
        EXPECT_EQ(r.lowering == Lowering::reduce, !r.fold.empty()) << r.name;
        EXPECT_EQ(row(find_op(r.name)).name, r.name);

        const bool moves = r.lowering == Lowering::movement, scalar = r.lowering == Lowering::scalar,
                   loops = r.lowering == Lowering::loops;
        EXPECT_TRUE(moves || (!r.is_still && !r.compose && !r.view && !r.repeats))
            << r.name << ": is_still, compose, view and repeats are columns of movement rows";
        EXPECT_TRUE(scalar || (!r.converts && !r.conditions && !r.divides_exactly && !r.absent_is_nothing &&
                               r.index_op == IndexOp::none))
            << r.name
            << ": converts, conditions, divides_exactly, absent_is_nothing and index_op are columns of scalar rows";
        EXPECT_TRUE(moves || r.memory != MemoryUse::names) << r.name << ": only movement names memory";
        EXPECT_EQ(loops, r.source != Source::none || needs_own_kernel(r.memory))
            << r.name << ": a row with loops of its own says by `source` or by `memory` what they do";
        if (r.memory == MemoryUse::replaces) {
            EXPECT_EQ(r.min_operands, 3) << r.name << ": a base, a view of it, a value";
        }
        EXPECT_TRUE(!r.stops_gradient || !r.gradient) << r.name << ": what stops gradients has none";
        EXPECT_TRUE(r.level == Level::loop || !is_ordered(r.effect) || r.effect != Effect::ordered)
            << r.name << ": what runs a graph knows effects by what they do: a kind of its own in ir/row.h";
    }
}

TEST(Rows, EveryScalarRowHasItsFunction) {
    for (const Row& r : all_rows()) {
        if (r.lowering != Lowering::scalar || r.name == "cast") continue;
        const scalar::Function* function = scalar::find_function(r.name);
        ASSERT_TRUE(function)
            << "the row " << r.name
            << " has no scalar function: define one in a header of ir/scalar/, whose `is` names it, and "
               "add it to the family's list at the end of the header";
        EXPECT_FALSE(function->is_helper) << r.name;
        EXPECT_EQ(function->arity, r.min_operands) << r.name;
        for (int d = 0; d < dtype_count; ++d) {
            if (!admits(r.dtypes, DType(d))) continue;
            const auto program = scalar::program_of(r.name, DType(d));
            EXPECT_TRUE(program) << "the row " << r.name << " admits " << name_of(DType(d))
                                 << ", its function does not: widen the domain in its `is`";
            EXPECT_EQ(r.may_fail, scalar::fault_of(r.name, DType(d)).has_value() || (r.may_fail && is_float(DType(d))))
                << r.name << " may fail where its function has a `fault`";
        }
    }
    for (const scalar::Function* function : scalar::all_functions())
        EXPECT_TRUE(function->is_helper || find_op(function->name))
            << "the scalar function " << function->name
            << " has no row: add one in ir/ops/elementwise.cpp, or mark it `.helper()`";
}

}  // namespace
}  // namespace tenon
