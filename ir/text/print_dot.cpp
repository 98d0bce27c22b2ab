#include <algorithm>

#include "ir/row.h"
#include "ir/text/listing.h"
#include "ir/text/text.h"

namespace tenon {

namespace {

// By how an op is computed: fill, and what the legend says.
struct Kind {
    std::string_view fill, about;
};
constexpr Kind kind_of_lowering[] = {{"#cfe3f7", "elementwise"}, {"#ececec", "movement"},  {"#fbd9a7", "reduction"},
                                     {"#d9efc9", "loops"},       {"#f2e2d3", "tiles"},     {"#e6d3f2", "library"},
                                     {"#cdeeea", "regions"},     {"#d9efc9", "composite"}, {"#ffffff", "structure"}};
static_assert(std::size(kind_of_lowering) == size_t(Lowering::structure) + 1);
constexpr std::string_view effect_fill = "#f7c6c5", parameter_fill = "#fff7c2";

std::string escaped(std::string_view text) {
    std::string out;
    for (char c : text) {
        if (c == '"' || c == '\\') (out += '\\') += c;
        else if (c == '\n') out += "\\n";
        else out += c;
    }
    return out;
}

class DotPrinter {
public:
    DotPrinter(const Graph& graph, size_t number, const std::function<std::string(Span)>& locate)
        : graph_(graph), prefix_("g" + std::to_string(number) + "_"), symbols_(graph.symbol_names()),
          source_(graph.nodes.size()) {
        options_.locate = locate;
    }

    std::string graph() {
        const std::string_view name = graph_.context->text(graph_.name);
        open("graph " + std::string(name), "#f8f8f8");
        region(graph_.main());
        node(graph_.main().yield, "return", "ellipse", parameter_fill);
        for (NodeId result : graph_.results()) edge(result, graph_.main().yield);
        close();
        return std::move(out_) + edges_;
    }

private:
    void line(const std::string& text) { out_ += std::string(depth_ * 4, ' ') + text + "\n"; }
    void open(const std::string& label, std::string_view fill) {
        ++depth_;
        line("subgraph cluster_" + prefix_ + std::to_string(clusters_++) + " {");
        ++depth_;
        line("label=\"" + escaped(label) +
             "\"; labeljust=l; style=\"rounded,filled\"; color=\"#999999\"; fillcolor=\"" + std::string(fill) + "\";");
    }
    void close() {
        --depth_;
        line("}");
        --depth_;
    }
    std::string id(NodeId node) const { return prefix_ + std::to_string(node.index); }
    void node(NodeId n, std::string_view label, std::string_view shape, std::string_view fill) {
        line(id(n) + " [label=\"" + escaped(label) + "\", shape=" + std::string(shape) + ", fillcolor=\"" +
             std::string(fill) + "\"];");
    }
    // The node that is drawn for a value: elements of tuples and results of regions are those that make them.
    NodeId drawn(NodeId value) const {
        while (source_[value.index]) value = source_[value.index];
        return value;
    }
    bool is_leaf(NodeId n) const { return graph_[n].op == op<"constant">() || graph_[n].op == op<"tensor">(); }
    void edge(NodeId from, NodeId to) {
        from = drawn(from);
        if (is_leaf(from)) return;  // it is written in the user's label
        edges_ += "    " + id(from) + " -> " + id(to) + ";\n";
    }

    void region(const Region& r) {
        for (NodeId p : graph_.params(r))
            node(p, std::string(graph_.name_of(p)) + "\n" + print_type(*graph_.context, graph_[p].type, symbols_),
                 "ellipse", parameter_fill);
        for (NodeId n : graph_.body(r)) draw(n);
    }
    void draw(NodeId n) {
        if (graph_[n].op == op<"get">() && element_of_region(n)) return;
        if (graph_[n].regions == 0) {
            const Row& r = row(graph_[n].op);
            const std::string_view fill =
                is_ordered(r.effect) ? effect_fill : kind_of_lowering[size_t(r.lowering)].fill;
            node(n, label(n), "box", fill);
            for (NodeId operand : graph_.operands_of(n)) edge(operand, n);
            return;
        }
        open(label(n), depth_ % 4 ? "#eef4fb" : "#ffffff");
        for (unsigned k = 0; k < graph_[n].regions; ++k) region(graph_.region_of(n, k));
        close();
        connect(n);
    }
    // Operands go to the parameters; what the region yields, or the buffer that it writes, is the node's value.
    void connect(NodeId n) {
        const Region& r = graph_.region_of(n);
        const auto params = graph_.params(r);
        const auto operands = graph_.operands_of(n);
        const auto results = graph_.results(r);
        const bool fits = params.size() >= operands.size();
        for (size_t k = 0; k < operands.size(); ++k)
            if (!params.empty()) edge(operands[k], fits ? params[k] : params[0]);
        if (results.size() == 1) source_[n.index] = results[0];
        else if (results.empty() && params.size() > operands.size()) source_[n.index] = params[operands.size()];
        else if (results.empty() && !params.empty()) source_[n.index] = params[0];
    }
    // One of several results of a region, or of a kernel's buffers: notes which.
    bool element_of_region(NodeId get) {
        const NodeId tuple = graph_.operand(get, 0);
        if (graph_[tuple].regions == 0) return false;
        const size_t index = size_t(graph_.attributes(get).integer("index"));
        const Region& r = graph_.region_of(tuple);
        const size_t operands = graph_.operands_of(tuple).size();
        if (index < graph_.results(r).size()) source_[get.index] = graph_.results(r)[index];
        else if (operands + index < graph_.params(r).size()) source_[get.index] = graph_.params(r)[operands + index];
        return bool(source_[get.index]);
    }
    // The node's line as text has it, cut where its type, metadata and place begin.
    std::string label(NodeId n) const {
        std::string text = print_node(graph_, n, options_);
        for (const std::string_view cut : {"  : ", "  {", "  @"}) {
            const size_t at = text.find(cut);
            if (at != std::string::npos) text.replace(at, cut == "  : " ? 4 : 2, "\n");
        }
        return text;
    }

    const Graph& graph_;
    const std::string prefix_;
    PrintOptions options_;
    const std::vector<std::string> symbols_;
    std::vector<NodeId> source_;
    std::string out_, edges_;
    size_t depth_ = 0, clusters_ = 0;
};

std::string legend() {
    std::string out =
        "    subgraph cluster_legend {\n        label=\"\"; color=white;\n        legend [shape=plain, style=\"\", "
        "label=<<table border=\"0\" cellspacing=\"2\"><tr>";
    for (const Kind& kind : kind_of_lowering)
        out += "<td border=\"1\" bgcolor=\"" + std::string(kind.fill) + "\">" + std::string(kind.about) + "</td>";
    out += "<td border=\"1\" bgcolor=\"" + std::string(effect_fill) + "\">effect</td><td border=\"1\" bgcolor=\"" +
           std::string(parameter_fill) + "\">parameter</td></tr></table>>];\n    }\n";
    return out;
}

}  // namespace

std::string print_dot(std::string_view stage, std::span<const GraphRef> graphs,
                      const std::function<std::string(Span)>& locate) {
    std::string out = "digraph \"" + std::string(stage) + "\"" +
                      " {\n    fontname=\"Helvetica\"; fontsize=11; compound=true; ranksep=0.3; nodesep=0.2;\n"
                      "    node [fontname=\"Helvetica\", fontsize=10, style=\"filled,rounded\", color=\"#777777\", "
                      "height=0.3, margin=\"0.1,0.05\"];\n    edge [color=\"#555555\", arrowsize=0.6];\n" +
                      legend();
    for (size_t k = 0; k < graphs.size(); ++k) out += DotPrinter(*graphs[k], k, locate).graph();
    return out + "}\n";
}

}  // namespace tenon
