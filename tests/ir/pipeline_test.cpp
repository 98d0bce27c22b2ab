// The list of passes, and what holds of the graphs that they make.
#include "ir/pipeline/pipeline.h"

#include <gtest/gtest.h>

#include <set>

#include "ir/build/builder.h"
#include "ir/passes/passes.h"
#include "ir/text/text.h"
#include "runtime/diagnostic.h"

namespace tenon {
namespace {

TEST(Pipeline, NamesEveryPass) {
    std::set<std::string_view> names;
    for (size_t k = 0; k < every_pass().size(); ++k) {
        const Pass& pass = every_pass()[k];
        EXPECT_EQ(size_t(pass.id), k) << pass.name;
        EXPECT_TRUE(names.insert(pass.name).second) << pass.name;
        EXPECT_FALSE(pass.doc.empty()) << pass.name;
        EXPECT_EQ(find_pass(pass.name) != nullptr, pass.run != nullptr) << pass.name;
    }
    EXPECT_EQ(every_pass().size(), size_t(PassId::schedule) + 1);
}

std::string blamed(PassId pass, const GraphRef& graph) {
    try {
        verified(pass, graph);
    } catch (const Error& e) { return e.diagnostic.kind + ": " + e.diagnostic.message; }
    return {};
}

// A pass that is asked for before the one that it rests on says so: nothing is broken.
TEST(Pipeline, PassesComeAfterWhatTheyRestOn) {
    Context c;
    const GraphRef captured = parse_graph(c, R"(graph f(x: f32[4]) -> f32[4] {
    call = call(x, name: "g", kind: "function")  : f32[4] (y: f32[4]) {
        exp = exp(y)  : f32[4]
        yield exp
    }
    return call
}
)");
    const auto refusal = [&](std::initializer_list<std::string_view> names) -> std::string {
        Decisions decisions;
        PipelineOptions options;
        options.verify = true;
        GraphRef graph = captured;
        try {
            for (std::string_view name : names)
                graph = run_pipeline(graph, std::span(find_pass(name), 1), options, decisions);
        } catch (const Error& e) { return e.diagnostic.kind + ": " + e.diagnostic.message; }
        return {};
    };
    EXPECT_TRUE(
        refusal({"fuse"}).starts_with("pass: fuse comes after inline, when calls have become their bodies, but "
                                      "here is `call = call(x"))
        << refusal({"fuse"});
    EXPECT_TRUE(refusal({"inline", "schedule"}).starts_with("pass: schedule comes after fuse"));
    EXPECT_EQ(refusal({"inline", "fuse", "schedule"}), "");
}

#ifndef NDEBUG
TEST(Pipeline, VerifiesWhatAPassPromises) {
    Context c;
    const GraphRef captured = parse_graph(c, R"(graph f(x: f32[4]) -> f32[4] {
    exp = exp(x)  : f32[4]
    reshape = reshape(exp, sizes: [4])  : f32[4]
    return reshape
}
)");
    EXPECT_EQ(blamed(PassId::simplify, captured), "");
    EXPECT_EQ(
        blamed(PassId::fuse, captured),
        "internal: the pass fuse broke the graph: `exp = exp(x)  : f32[4]` is left, but after it what kernels compute "
        "is in fusions");
    Decisions decisions;
    const GraphRef fused = fuse(*simplify(*captured), decisions);
    EXPECT_NE(blamed(PassId::schedule, fused).find("fusions have become kernels"), std::string::npos);
    EXPECT_EQ(blamed(PassId::schedule, schedule(*fused, Target{}, decisions)), "");
}

// A wrong type, and an op of the loop level at tensor level, whichever pass has left them.
TEST(Pipeline, VerifiesTypesAndLevels) {
    Context c;
    const TypeId four = c.tensor(DType::f32, std::vector<SizeId>{SizeId(4)});
    {
        Builder b(c);
        const NodeId x = b.parameter(four);
        const GraphRef graph = b.finish({b.emit_typed(op<"exp">(), c.tensor(DType::f32, {}), {x})});
        EXPECT_NE(blamed(PassId::simplify, graph).find("its type should be f32[4]"), std::string::npos);
    }
    {
        Builder b(c);
        b.parameter(four);
        const NodeId extent =
            b.emit_typed(op<"extent">(), c.index(), {}, c.attr({{c.name("value"), AttrValue(SizeId(4))}}));
        EXPECT_NE(blamed(PassId::inline_calls, b.finish({extent})).find("belongs in a loop nest"), std::string::npos);
    }
}
#endif

// Every choice is told, those of literals and of movement among them, by a kind that has a name.
TEST(Decisions, OfFoldingAndOfMovement) {
    Context c;
    const GraphRef graph = parse_graph(c, R"(graph f(x: f32[2, 3]) -> f32[2, 3] {
    mul = mul(2:f32, 3:f32)  : f32[]
    permute = permute(x, axes: [1, 0])  : f32[3, 2]
    permute_1 = permute(permute, axes: [1, 0])  : f32[2, 3]
    div = div(permute_1, 4)  : f32[2, 3]
    add = add(div, mul)  : f32[2, 3]
    return add
}
)");
    Decisions decisions;
    simplify(*graph, &decisions);
    std::string told;
    for (const Decision& d : decisions) {
        told += std::string(name_of(d.what)) + " " + d.subject + "\n";
        EXPECT_FALSE(d.reason.empty());
    }
    EXPECT_EQ(told, "folded mul\nmoved permute_1\nsimplified div\n");
    std::set<std::string_view> names;
    for (size_t k = 0; k <= size_t(DecisionKind::reused); ++k)
        EXPECT_TRUE(names.insert(name_of(DecisionKind(k))).second) << k;
}

}  // namespace
}  // namespace tenon
