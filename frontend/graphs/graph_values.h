// Graphs and their nodes as values of a script.
#pragma once

#include <string>
#include <string_view>

#include "frontend/values/value.h"
#include "ir/graph.h"
#include "ir/text/text.h"

namespace tenon {

class GraphObject final : public Object {
public:
    static constexpr Kind class_kind = Kind::graph;
    explicit GraphObject(GraphRef graph_, bool returns_tuple_ = false)
        : Object(class_kind), graph(std::move(graph_)), returns_tuple(returns_tuple_) {}
    bool get_attribute(Evaluator& evaluator, std::string_view name, Value& value) override;
    /// `g(x, …)`: runs it op by op, so that it is captured and differentiated like anything else.
    bool call(Evaluator& evaluator, std::span<const Value> positional, std::span<const KeywordArgument> keywords,
              Value& result) override;
    std::string to_text(Evaluator& evaluator) override;

    const GraphRef graph;
    const bool returns_tuple;
};

/// Fields: op, name, kind ("input", "op", "call", "argument", "yield", "output"), shape, dtype, type, meta, line, args.
class NodeObject final : public Object {
public:
    static constexpr Kind class_kind = Kind::node;
    NodeObject(Ref<GraphObject> graph_, NodeId id_, std::string_view role_)
        : Object(class_kind), graph(std::move(graph_)), id(id_), role(role_) {}
    bool get_attribute(Evaluator& evaluator, std::string_view name, Value& value) override;
    std::string to_text(Evaluator& evaluator) override;

    const Ref<GraphObject> graph;
    const NodeId id;
    const std::string_view role;
};

/// An attribute or a metadata value as a script sees it.
Value from_attribute(const Context& context, const AttrValue& value);
/// Metadata as a dict.
Value to_dict(const Context& context, const Record& record);
/// The text of a graph, with places where the session knows them.
std::string graph_text(Evaluator& evaluator, const Graph& graph);
/// The graph of a text. Errors show the text, under `name`, and the place in the script that reads it.
GraphRef read_graph(Evaluator& evaluator, std::string_view text, Span reader, std::string_view name = "graph text");

}  // namespace tenon
