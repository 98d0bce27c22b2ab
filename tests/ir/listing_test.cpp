// JSON and pictures of graphs hold all that the text does.
#include "ir/text/listing.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "ir/build/builder.h"
#include "ir/pipeline/pipeline.h"
#include "ir/row.h"
#include "ir/text/text.h"

namespace tenon {
namespace {

using Json = nlohmann::json;

class Listings : public testing::Test {
protected:
    Listings() {
        graph_ = parse_graph(context_, R"(graph f(x: f32[n, 4] {stage: 1}, w: f32[4]) -> f32[n, 4], f32[n] {
            call = call(x, w, name: "scale", kind: "composite") : f32[n, 4] {part: "a\"b"} (a: f32[n, 4], b: f32[4]) {
                mul = mul(a, b) : f32[n, 4] recompute
                add = add(mul, inf:f32) : f32[n, 4] d sin
                yield add
            }
            where = where(true, call, 0:f32) : f32[n, 4]
            sum = sum(where, axes: [1], keepdim: false) : f32[n]
            commit(w, w)
            return where, sum
        })");
        Decisions decisions;
        scheduled_ = run_pipeline(graph_, PipelineOptions{}, decisions);
    }
    Json json(const GraphRef& graph) {
        const Json all = Json::parse(print_json("graph", {&graph, 1}));
        EXPECT_EQ(all["stage"], "graph");
        EXPECT_EQ(all["graphs"].size(), 1u);
        return all["graphs"][0];
    }
    // Every node of the region in the JSON beside that of the graph.
    void expect_region(const Json& json, const Graph& g, const Region& region) {
        ASSERT_EQ(json["parameters"].size(), g.params(region).size());
        ASSERT_EQ(json["nodes"].size(), g.body(region).size());
        ASSERT_EQ(json["results"].size(), g.results(region).size());
        for (size_t k = 0; k < g.params(region).size(); ++k)
            EXPECT_EQ(json["parameters"][k]["name"], g.name_of(g.params(region)[k]));
        for (size_t k = 0; k < g.body(region).size(); ++k) {
            const NodeId id = g.body(region)[k];
            const Json& node = json["nodes"][k];
            EXPECT_EQ(node["op"], row(g[id].op).name);
            EXPECT_EQ(node["type"]["text"], print_type(context_, g[id].type, g.symbol_names()));
            ASSERT_EQ(node["operands"].size(), g.operands_of(id).size());
            for (size_t o = 0; o < g.operands_of(id).size(); ++o) {
                const NodeId operand = g.operand(id, o);
                if (g[operand].op == op<"constant">()) EXPECT_TRUE(node["operands"][o].contains("literal"));
                else EXPECT_EQ(node["operands"][o]["node"], g.name_of(operand));
            }
            EXPECT_EQ(node.value("attributes", Json::object()).size(), context_[g[id].attr].size());
            const unsigned regions = g[id].regions;
            ASSERT_EQ(node.contains("regions") ? node["regions"].size() : 0, regions);
            for (unsigned r = 0; r < regions; ++r) expect_region(node["regions"][r], g, g.region_of(id, r));
        }
    }

    Context context_;
    GraphRef graph_, scheduled_;
};

TEST_F(Listings, JsonHasEveryNodeOperandAndRegion) {
    expect_region(json(graph_), *graph_, graph_->main());
    expect_region(json(scheduled_), *scheduled_, scheduled_->main());
}

TEST_F(Listings, JsonHasTypesAttributesMetadataAndFlags) {
    const Json g = json(graph_);
    EXPECT_EQ(g["name"], "f");
    EXPECT_EQ(g["symbols"], Json::parse(R"([{"name": "n", "definer": "x", "dimension": 0, "hint": 1}])"));
    EXPECT_EQ(g["parameters"][0]["type"], Json::parse(R"({"text": "f32[n, 4]", "kind": "tensor", "dtype": "f32",
                                                         "shape": ["n", 4], "device": "cpu"})"));
    EXPECT_EQ(g["parameters"][0]["metadata"], Json::parse(R"({"stage": 1})"));
    const Json& call = g["nodes"][0];
    EXPECT_EQ(call["attributes"], Json::parse(R"({"name": "scale", "kind": "composite"})"));
    EXPECT_EQ(call["metadata"], Json::parse(R"({"part": "a\"b"})"));
    EXPECT_EQ(call["regions"][0]["nodes"][0]["flags"], Json::parse(R"(["recompute"])"));
    EXPECT_EQ(call["regions"][0]["nodes"][1]["operands"][1], Json::parse(R"({"literal": "inf", "dtype": "f32"})"));
    EXPECT_EQ(call["regions"][0]["nodes"][1]["origin"], Json::parse(R"({"differentiated": "sin"})"));
    EXPECT_EQ(g["nodes"][2]["attributes"], Json::parse(R"({"axes": [1], "keepdim": false})"));
    EXPECT_FALSE(g["nodes"][3].contains("name")) << "a commit is no value";
}

TEST_F(Listings, JsonSaysWhereNodesComeFrom) {
    Builder builder(context_);
    const SizeId three(3);
    const NodeId x = builder.parameter(context_.tensor(DType::f32, {&three, 1}), context_.name("x"));
    Origin origin;
    origin.span = {1, 5, 9};
    Builder::StampScope scope(builder, {context_.origin(origin), {}, 0});
    const GraphRef graph = builder.finish({builder.emit(op<"sin">(), {x})});
    const std::string text =
        print_json("graph", {&graph, 1}, [](Span span) { return SourcePlace{"net.model", 3, span.begin}; });
    EXPECT_EQ(Json::parse(text)["graphs"][0]["nodes"][0]["origin"],
              Json::parse(R"({"file": "net.model", "line": 3, "column": 5})"));
}

TEST_F(Listings, PicturesHaveAClusterARegionAndDrawEveryEdgeBetweenNodesThatAreThere) {
    for (const GraphRef& graph : {graph_, scheduled_}) {
        const std::string dot = print_dot("graph", {&graph, 1});
        EXPECT_TRUE(dot.starts_with("digraph \"graph\" {"));
        EXPECT_EQ(std::count(dot.begin(), dot.end(), '{'), std::count(dot.begin(), dot.end(), '}'));
        size_t clusters = 0, edges = 0;
        for (size_t at = dot.find("subgraph cluster_g"); at != std::string::npos;
             at = dot.find("subgraph cluster_g", at + 1))
            ++clusters;
        EXPECT_EQ(clusters, graph->regions.size());
        for (size_t at = dot.find(" -> "); at != std::string::npos; at = dot.find(" -> ", at + 1)) {
            ++edges;
            const size_t from = dot.rfind(' ', at - 1) + 1, to = at + 4;
            for (const std::string& end : {dot.substr(from, at - from), dot.substr(to, dot.find(';', to) - to)})
                EXPECT_NE(dot.find(" " + end + " [label="), std::string::npos) << end;
        }
        EXPECT_GT(edges, graph->body().size());
    }
}

}  // namespace
}  // namespace tenon
