#include "frontend/tool/profile.h"

#include <algorithm>

#include <fmt/format.h>

#include "ir/row.h"

namespace tenon {

namespace {

// What the scalar ops of a region cost, by where they come from.
void add_costs(const Graph& graph, const Region& region, std::vector<std::pair<Span, double>>& costs) {
    for (NodeId id : graph.body(region)) {
        const Row& r = row(graph[id].op);
        const Span span = graph.origin(id).span;
        if (span.source && (r.lowering == Lowering::scalar || graph[id].op == op<"load">()))
            costs.emplace_back(span, std::max(r.cost, 1));
        for (unsigned k = 0; k < graph[id].regions; ++k) add_costs(graph, graph.region_of(id, k), costs);
    }
}

}  // namespace

std::vector<Profile::Share> Profile::shares_of(const Graph& graph, NodeId node) {
    std::vector<Share> shares;
    if (graph[node].op == op<"kernel">()) add_costs(graph, graph.region_of(node), shares);
    if (shares.empty()) shares.emplace_back(graph.origin(node).span, 1);
    double sum = 0;
    for (const Share& share : shares) sum += share.second;
    for (Share& share : shares) share.second /= sum;
    return shares;
}

void Profile::step_done(const GraphRef& graph, NodeId node, int64_t nanoseconds) {
    Step& step = steps_[{graph.get(), node}];
    if (!step.graph) {
        step.graph = graph;
        step.shares = shares_of(*graph, node);
    }
    step.milliseconds += double(nanoseconds) * 1e-6;
    ++step.runs;
}

std::string Profile::text(const SourceMap& sources, size_t most) const {
    struct Line {
        double milliseconds = 0;
        int64_t runs = 0;
    };
    std::map<std::pair<SourceId, uint32_t>, Line> lines;
    double all = 0;
    for (const auto& [key, step] : steps_) {
        all += step.milliseconds;
        std::map<std::pair<SourceId, uint32_t>, double> shares;
        for (const auto& [span, share] : step.shares)
            shares[{span.source, span.source ? sources.line(span) : 0}] += share;
        for (const auto& [place, share] : shares) {
            Line& line = lines[place];
            line.milliseconds += share * step.milliseconds;
            line.runs += step.runs;
        }
    }
    std::vector<std::pair<std::pair<SourceId, uint32_t>, Line>> order(lines.begin(), lines.end());
    std::stable_sort(order.begin(), order.end(),
                     [](const auto& a, const auto& b) { return a.second.milliseconds > b.second.milliseconds; });
    const std::chrono::duration<double, std::milli> whole = std::chrono::steady_clock::now() - start_;
    std::string out = fmt::format("profile: {:.1f} ms of {:.1f} ms in the steps of graphs\n", all, whole.count());
    if (!order.empty()) out += "        ms       %      runs  line\n";
    for (const auto& [place, line] : std::span(order).first(std::min(most, order.size()))) {
        const auto [source, number] = place;
        std::string where = "no line", text;
        if (source) {
            where = fmt::format("{}:{}", sources.name(source), number);
            text = sources.text(sources.line_span(source, number));
            text.erase(0, std::min(text.find_first_not_of(" \t"), text.size()));
        }
        out += fmt::format("{:>10.2f}  {:>6.1f}  {:>8}  {}{}{}\n", line.milliseconds,
                           all > 0 ? 100 * line.milliseconds / all : 0.0, line.runs, where, text.empty() ? "" : "  ",
                           text);
    }
    if (order.size() > most) out += fmt::format("and {} more lines\n", order.size() - most);
    return out;
}

}  // namespace tenon
