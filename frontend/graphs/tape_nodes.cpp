#include "frontend/graphs/tape_nodes.h"

#include <unordered_map>

#include <fmt/format.h>

#include "frontend/compile/graph_cache.h"
#include "frontend/evaluate/session.h"
#include "ir/row.h"

namespace tenon {

namespace {

std::string_view name_of(const Edge& edge) {
    return edge.leaf ? std::string_view("accumulate") : tenon::name_of(*edge.entry);
}

const void* identity(const Edge& edge) {
    return edge.leaf ? static_cast<const void*>(edge.leaf.get()) : edge.entry.get();
}

// Where the gradients of a node's operands go, each past what is unfolded.
std::vector<Edge> edges_of(Tracer& tracer, const Edge& node) {
    if (!node.entry) return {};
    std::vector<Edge> edges(operand_count(*node.entry));
    for (size_t k = 0; k < node.entry->edges.size(); ++k)
        edges[operand_of(*node.entry, k)] = tracer.tape().op_of(node.entry->edges[k]);
    return edges;
}

std::string describe_line(Evaluator& e, const Edge& node) {
    std::string line(name_of(node));
    const std::span<const TapeEntry::Output> outputs =
        node.entry ? std::span<const TapeEntry::Output>(node.entry->outputs) : std::span<const TapeEntry::Output>();
    for (size_t k = 0; k < outputs.size() && (node.entry->graph || node.entry->custom); ++k) {
        line += fmt::format("{}{}{}", k == 0 ? "  " : ", ", tenon::name_of(outputs[k].dtype),
                            shape_to_string(outputs[k].shape));
    }
    if (node.leaf && node.leaf->owner) line += fmt::format("  {}", describe_type(*node.leaf->owner));
    if (node.entry && node.entry->span) line += "  @" + e.session().sources().place_in_listing(node.entry->span);
    return line;
}

}  // namespace

Value as_node(Tracer& tracer, const Edge& edge) {
    return edge ? Value(make_ref<TapeNodeObject>(tracer.tape().op_of(edge))) : Value();
}

void TapeNodeObject::visit_children(FunctionRef<void(const Value&)> visit) const {
    if (edge_.entry) visit(Value(edge_.entry));
    if (edge_.leaf) visit(Value(edge_.leaf));
}

bool TapeNodeObject::get_attribute(Evaluator& e, std::string_view name, Value& value) {
    if (name == "name") {
        value = make_text(name_of(edge_));
    } else if (name == "next") {
        Values next;
        for (const Edge& edge : edges_of(e.tracer(), edge_)) next.push_back(as_node(e.tracer(), edge));
        value = make_tuple(std::move(next));
    } else if (name == "line") {
        const Span span = edge_.entry ? edge_.entry->span : Span();
        value = span ? Value(static_cast<int64_t>(e.session().sources().line(span))) : Value();
    } else if (name == "shapes") {
        Values shapes;
        for (size_t k = 0; edge_.entry && k < edge_.entry->outputs.size(); ++k) {
            Values sizes;
            for (int64_t size : edge_.entry->outputs[k].shape) sizes.emplace_back(size);
            shapes.push_back(make_tuple(std::move(sizes)));
        }
        value = make_tuple(std::move(shapes));
    } else {
        return false;
    }
    return true;
}

std::string TapeNodeObject::to_text(Evaluator& e) {
    struct Place {
        Edge node;
        size_t depth;
    };
    std::vector<Place> stack{{edge_, 0}};
    std::unordered_map<const void*, size_t> seen;  // with the number under which it stands above
    std::string text;
    while (!stack.empty()) {
        const Place place = std::move(stack.back());
        stack.pop_back();
        const auto [known, is_first] = seen.try_emplace(identity(place.node), seen.size());
        if (!text.empty()) text += '\n';
        text += std::string(2 * place.depth, ' ') + describe_line(e, place.node);
        if (!is_first) {
            if (place.node.entry) text += "  (above)";
            continue;
        }
        const std::vector<Edge> edges = edges_of(e.tracer(), place.node);
        for (size_t k = edges.size(); k-- > 0;) {
            if (edges[k]) stack.push_back({edges[k], place.depth + 1});
        }
    }
    return text;
}

}  // namespace tenon
