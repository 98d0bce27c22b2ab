// Nodes of the tape as values of a script.
#pragma once

#include <string>
#include <string_view>

#include "frontend/record/tape.h"
#include "frontend/values/value.h"

namespace tenon {

/// An op that is recorded for backward, or the node that adds into a leaf's `.grad`.
/// Fields: name, next (the nodes that its gradients go to, none where one needs none), line, shapes.
class TapeNodeObject final : public Object {
public:
    explicit TapeNodeObject(Edge edge) : Object(Kind::other), edge_(std::move(edge)) {}
    void visit_children(FunctionRef<void(const Value&)> visit) const override;
    void drop_children() override { edge_ = {}; }
    bool get_attribute(Evaluator& evaluator, std::string_view name, Value& value) override;
    /// What lies below it as a tree, a node a line, each once.
    std::string to_text(Evaluator& evaluator) override;

    const Edge& edge() const { return edge_; }

private:
    Edge edge_;  // past what is unfolded
};

/// The node as a value; none where the edge leads nowhere.
Value as_node(Tracer& tracer, const Edge& edge);

}  // namespace tenon
