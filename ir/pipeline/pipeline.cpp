#include "ir/pipeline/pipeline.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <iterator>
#include <string>

#include <fmt/format.h>

#include "ir/build/regions.h"
#include "ir/fusion/materialise.h"
#include "ir/row.h"
#include "ir/text/text.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

// ---- what passes leave: of a node of the main body, why it should not be there
std::string_view calls_are_gone(const Graph& g, NodeId id) {
    return g[id].op == op<"call">() ? "calls have become their bodies" : "";
}
std::string_view composites_are_gone(const Graph& g, NodeId id) {
    return row(g[id].op).lowering == Lowering::composite ? "composite rows have become what stands for them"
                                                         : calls_are_gone(g, id);
}
std::string_view kernels_are_apart(const Graph& g, NodeId id) {
    if (is_name(g, id) || !is_fusable(g, id)) return composites_are_gone(g, id);
    return "what kernels compute is in fusions";
}
std::string_view fusions_are_gone(const Graph& g, NodeId id) {
    if (g[id].op == op<"fusion">() || row(g[id].op).lowering == Lowering::tiles) return "fusions have become kernels";
    return kernels_are_apart(g, id);
}

// Every pass, in the order in which they run. Those without `run` are asked for by the front end or by backward, with
// what else they need; the others are the pipeline that each graph goes through on its way to an engine.
constexpr Pass list[] = {
    {"specialise", "symbols become the constants they are for one variant of a skeleton", "", nullptr,
     PassId::specialise, Symbols::borrowed},
    {"batch", "the graph of one example becomes that of a batch (vmap)", "", nullptr, PassId::batch, Symbols::borrowed,
     calls_are_gone},
    {"reverse", "forward and backward in one graph", "", nullptr, PassId::joint, Symbols::borrowed, calls_are_gone},
    {"recompute", "what derivatives read of a checkpoint's inside is computed again (a part of split and inline)", "",
     nullptr, PassId::recompute, Symbols::borrowed, calls_are_gone},
    {"split", "forward and backward apart, with what is saved between them", "", nullptr, PassId::split,
     Symbols::borrowed, calls_are_gone},
    {"expand", "composite rows become what stands for them (a part of rematerialise and inline)", "", nullptr,
     PassId::expand, Symbols::borrowed, composites_are_gone},
    {"rematerialise", "derivatives compute again what is cheaper than to keep (also a part of fuse)", "", nullptr,
     PassId::rematerialise, Symbols::borrowed, calls_are_gone},
    {"drop-cotangents", "what reaches no result that backward began with is left out", "", nullptr,
     PassId::drop_cotangents, Symbols::borrowed, calls_are_gone},
    {"renumber-symbols", "symbols in the order in which inputs show them", "", nullptr, PassId::renumber_symbols,
     Symbols::defined},
    {"inline", "call nodes become their bodies", "",
     [](const Graph& g, PassSetting&) { return expand(recompute(inline_calls(g))); }, PassId::inline_calls,
     Symbols::borrowed, calls_are_gone},
    {"simplify", "rules, value numbering, dead code", "simplified",
     [](const Graph& g, PassSetting& s) { return simplify(g, &s.decisions); }, PassId::simplify, Symbols::defined},
    {"prepare", "a part of fuse: reductions, products, long cats, pads and updates of literals as kernels take them",
     "", nullptr, PassId::prepare_fusion, Symbols::defined},
    {"fuse", "groups nodes into kernels", "fused", [](const Graph& g, PassSetting& s) { return fuse(g, s.decisions); },
     PassId::fuse, Symbols::defined, kernels_are_apart, "inline"},
    {"schedule", "kernels become loop nests", "loops",
     [](const Graph& g, PassSetting& s) { return schedule(g, s.target, s.decisions); }, PassId::schedule,
     Symbols::defined, fusions_are_gone, "fuse"},
};

const std::vector<Pass>& pipeline() {
    static const std::vector<Pass> passes = [] {
        std::vector<Pass> out;
        std::copy_if(std::begin(list), std::end(list), std::back_inserter(out), [](const Pass& p) { return p.run; });
        return out;
    }();
    return passes;
}

[[noreturn]] void blame(std::string_view maker, std::string why) {
    Diagnostic d;
    d.kind = "internal";
    d.message = std::string(maker) + " broke the graph: " + std::move(why);
    d.help = "this is a bug in Tenon; `tenon dump --stage` shows the graph before it";
    throw Error(std::move(d));
}

std::string_view what_is_left(const Graph& graph, const Pass& pass, NodeId& where) {
    if (!pass.leaves) return {};
    for (NodeId node : graph.body())
        if (const std::string_view why = pass.leaves(graph, where = node); !why.empty()) return why;
    return {};
}

void require_order(const Pass& pass, const Graph& graph) {
    if (pass.after.empty()) return;
    const Pass* const before = find_pass(pass.after);
    assert(before && before->leaves && "a pass comes after one of the pipeline that promises something");
    NodeId node;
    const std::string_view why = what_is_left(graph, *before, node);
    if (why.empty()) return;
    Diagnostic d;
    d.kind = "pass";
    d.message = fmt::format("{} comes after {}, when {}, but here is `{}`", pass.name, pass.after, why,
                            print_node(graph, node));
    d.span = (*graph.context)[graph.origins[node.index]].span;
    d.help = fmt::format("run `--pass {} --pass {}`", pass.after, pass.name);
    throw Error(std::move(d));
}

}  // namespace

std::span<const Pass> every_pass() { return list; }
std::span<const Pass> passes() { return pipeline(); }

const Pass* find_pass(std::string_view name) {
    const auto it = std::find_if(pipeline().begin(), pipeline().end(), [&](const Pass& p) { return p.name == name; });
    return it == pipeline().end() ? nullptr : &*it;
}

GraphRef verified(PassId id, GraphRef graph) {
#ifndef NDEBUG
    const Pass& pass = list[size_t(id)];
    const std::string maker = "the pass " + std::string(pass.name);
    if (const auto fault = find_fault(*graph, pass.symbols)) blame(maker, fault->message);
    NodeId node;
    if (const std::string_view why = what_is_left(*graph, pass, node); !why.empty())
        blame(maker, "`" + print_node(*graph, node) + "` is left, but after it " + std::string(why));
#endif
    (void)id;
    return graph;
}

void check_graph(const Graph& graph, std::string_view maker) {
    bool reads_back = false;
    try {
        verify(graph);
        reads_back = equal(graph, *parse_graph(*graph.context, print(graph), 0, graph.tensors));
    } catch (const Error& e) { blame(maker, e.diagnostic.message); }
    if (!reads_back) blame(maker, "its text does not read back equal");
}

// Regions first: to the pass their nodes are items of which it sees the values only. Those that become a part of their
// node's own kernel hold no kernels.
static GraphRef run_pass(const Pass& pass, const Graph& graph, PassSetting& setting) {
    const bool kernels = pass.id == PassId::fuse || pass.id == PassId::schedule;
    const auto runs_inside = [&](NodeId id) { return !kernels || row(graph[id].op).lowering != Lowering::tiles; };
    if (!has_isolated_regions(graph)) return pass.run(graph, setting);
    const GraphRef inside =
        map_regions(graph, runs_inside, [&](const GraphRef& region) { return run_pass(pass, *region, setting); });
    return pass.run(*inside, setting);
}

GraphRef run_pipeline(GraphRef graph, std::span<const Pass> run, const PipelineOptions& options, Decisions& decisions,
                      std::vector<PassTime>* times) {
    using Clock = std::chrono::steady_clock;
    for (const Pass& pass : run) {
        if (options.verify) require_order(pass, *graph);
        const auto start = Clock::now();
        PassSetting setting{options.target, decisions};
        GraphRef after = run_pass(pass, *graph, setting);
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
