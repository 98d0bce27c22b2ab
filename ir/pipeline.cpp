#include "ir/pipeline.h"

#include <algorithm>
#include <chrono>
#include <string>

#include "ir/text.h"

namespace tenon {

namespace {

constexpr Pass list[] = {
    {"inline", "call nodes become their bodies", "", [](const Graph& g, PassSetting&) { return inline_calls(g); }},
    {"simplify", "rules, value numbering, dead code", "simplified", [](const Graph& g, PassSetting& s) { return simplify(g, &s.decisions); }},
    {"fuse", "groups nodes into kernels", "fused", [](const Graph& g, PassSetting& s) { return fuse(g, s.decisions); }},
    {"schedule", "kernels become loop nests", "loops", [](const Graph& g, PassSetting& s) { return schedule(g, s.target, s.decisions); }},
};

void check(const Graph& graph, const Pass& pass) {
    const auto blame = [&](std::string why) {
        Diagnostic d;
        d.kind = "internal";
        d.message = "the pass " + std::string(pass.name) + " broke the graph: " + std::move(why);
        d.help = "this is a bug in Tenon; `tenon dump --stage` shows the graph before the pass";
        throw Error(std::move(d));
    };
    try {
        verify(graph);
        if (!equal(graph, *parse_graph(*graph.context, print(graph), 0, graph.tensors))) blame("its text does not read back equal");
    } catch (const Error& e) {
        if (e.diagnostic.message.starts_with("the pass ")) throw;
        blame(e.diagnostic.message);
    }
}

}    // namespace

std::span<const Pass> passes() { return list; }

const Pass* find_pass(std::string_view name) {
    const auto it = std::find_if(std::begin(list), std::end(list), [&](const Pass& p) { return p.name == name; });
    return it == std::end(list) ? nullptr : it;
}

GraphRef run_pipeline(GraphRef graph, std::span<const Pass> run, const PipelineOptions& options, Decisions& decisions, std::vector<PassTime>* times) {
    using Clock = std::chrono::steady_clock;
    for (const Pass& pass : run) {
        const auto start = Clock::now();
        PassSetting setting{options.target, decisions};
        GraphRef after = pass.run(*graph, setting);
        if (times) times->push_back({pass.name, std::chrono::duration<double, std::milli>(Clock::now() - start).count(), after->nodes.size()});
        if (options.verify) check(*after, pass);
        if (options.observe) options.observe(pass, *graph, *after);
        graph = std::move(after);
        if (!pass.stage.empty() && pass.stage == options.until) break;
    }
    return graph;
}

}    // namespace tenon
