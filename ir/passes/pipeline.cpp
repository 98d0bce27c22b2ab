#include "ir/passes/pipeline.h"

#include <algorithm>
#include <chrono>
#include <string>

#include "ir/text/text.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

constexpr Pass list[] = {
    {"inline", "call nodes become their bodies", "", [](const Graph& g, PassSetting&) { return inline_calls(g); }},
    {"simplify", "rules, value numbering, dead code", "simplified",
     [](const Graph& g, PassSetting& s) { return simplify(g, &s.decisions); }},
    {"fuse", "groups nodes into kernels", "fused", [](const Graph& g, PassSetting& s) { return fuse(g, s.decisions); }},
    {"schedule", "kernels become loop nests", "loops",
     [](const Graph& g, PassSetting& s) { return schedule(g, s.target, s.decisions); }},
};

}  // namespace

void check_graph(const Graph& graph, std::string_view maker) {
    const auto blame = [&](std::string why) {
        Diagnostic d;
        d.kind = "internal";
        d.message = std::string(maker) + " broke the graph: " + std::move(why);
        d.help = "this is a bug in Tenon; `tenon dump --stage` shows the graph before it";
        throw Error(std::move(d));
    };
    bool reads_back = false;
    try {
        verify(graph);
        reads_back = equal(graph, *parse_graph(*graph.context, print(graph), 0, graph.tensors));
    } catch (const Error& e) { blame(e.diagnostic.message); }
    if (!reads_back) blame("its text does not read back equal");
}

std::span<const Pass> passes() { return list; }

const Pass* find_pass(std::string_view name) {
    const auto it = std::find_if(std::begin(list), std::end(list), [&](const Pass& p) { return p.name == name; });
    return it == std::end(list) ? nullptr : it;
}

GraphRef run_pipeline(GraphRef graph, std::span<const Pass> run, const PipelineOptions& options, Decisions& decisions,
                      std::vector<PassTime>* times) {
    using Clock = std::chrono::steady_clock;
    for (const Pass& pass : run) {
        const auto start = Clock::now();
        PassSetting setting{options.target, decisions};
        GraphRef after = pass.run(*graph, setting);
        if (times)
            times->push_back({pass.name, std::chrono::duration<double, std::milli>(Clock::now() - start).count(),
                              after->nodes.size()});
        if (options.verify) check_graph(*after, "the pass " + std::string(pass.name));
        if (options.observe) options.observe(pass, after);
        graph = std::move(after);
        if (!pass.stage.empty() && pass.stage == options.until) break;
    }
    return graph;
}

}  // namespace tenon
