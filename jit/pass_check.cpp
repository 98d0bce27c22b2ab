#include "jit/pass_check.h"

#include <algorithm>

#include <fmt/format.h>

#include "ir/row.h"
#include "ir/text/text.h"

namespace tenon {

namespace {

// Its kernels are loop nests, in regions too.
bool is_scheduled(const Graph& graph) {
    return std::any_of(graph.nodes.begin(), graph.nodes.end(), [](const Node& n) { return n.op == op<"kernel">(); });
}

[[noreturn]] void blame(const std::string& maker, const Graph& graph, NodeId node, const std::string& why) {
    Diagnostic d;
    d.kind = "internal";
    const std::string_view name = graph.context->text(graph.name);
    d.message = fmt::format("{} changed what {} computes: {}", maker,
                            name.empty() ? "the graph" : fmt::format("the graph of `{}`", name), why);
    if (node) d.span = graph.origin(node).span;
    d.help = "this is a bug in Tenon; `tenon dump --stage` shows the graph before and after it";
    throw Error(std::move(d));
}

std::string ending(const RunRecord& record) {
    return record.failure ? fmt::format("ended with the error `{}`", record.failure->message) : "ended well";
}

}  // namespace

void PassCheck::compare(const RunRecord& was, const RunRecord& is, const std::string& maker, const Graph& graph,
                        size_t results) {
    if (was.failure.has_value() != is.failure.has_value() || (was.failure && was.failure->kind != is.failure->kind))
        blame(maker, graph, {}, fmt::format("the run {} before and {} now", ending(was), ending(is)));
    const auto named = [&](NodeId id) {
        return fmt::format("(`{}`, {})", graph.name_of(id),
                           print_type(*graph.context, graph[id].type, graph.symbol_names()));
    };
    const size_t count = std::min({results, was.results.size(), is.results.size()});
    for (size_t k = 0; k < count; ++k) {
        const std::string difference = describe_difference(was.results[k], is.results[k]);
        const NodeId node = graph.results()[k];
        if (!difference.empty())
            blame(maker, graph, node, fmt::format("of result {} {} {}", k, named(node), difference));
    }
    for (size_t k = 0; k < std::min(was.inputs.size(), is.inputs.size()); ++k) {
        if (!was.inputs[k].defined() || !is.inputs[k].defined()) continue;
        const std::string difference = describe_difference(was.inputs[k], is.inputs[k]);
        const NodeId node = graph.params()[k];
        if (!difference.empty())
            blame(maker, graph, node, fmt::format("of what is left in input {} {} {}", k, named(node), difference));
    }
}

RunRecord PassCheck::check(std::span<const MadeGraph> graphs, std::span<const Tensor> inputs) {
    RunRecord before;
    for (size_t k = 0; k < graphs.size(); ++k) {
        // A graph like the one before it does what that one did.
        if (k > 0 && graphs[k].wanted == graphs[k - 1].wanted && equal(*graphs[k].graph, *graphs[k - 1].graph))
            continue;
        RunRecord now = run(graphs[k], inputs);
        if (k > 0) compare(before, now, graphs[k].maker, *graphs[k].graph, graphs[k].compared);
        before = std::move(now);
    }
    return before;
}

RunRecord PassCheck::run(const MadeGraph& made, std::span<const Tensor> inputs) {
    if (is_scheduled(*made.graph)) return run(made.graph, EngineKind::eager, inputs);
    return op_by_op_.run(*made.graph, inputs, made.wanted);
}

RunRecord PassCheck::run(const GraphRef& scheduled, EngineKind engine, std::span<const Tensor> inputs) {
    RunRecord record;
    Executable executable(scheduled, machine_, engine);
    record.inputs = copy_together(inputs, allocator());
    try {
        executable.run(record.inputs, record.results);
    } catch (const Error& error) { record.failure = error.diagnostic; }
    return record;
}

RunRecord PassCheck::run(std::span<const MadeGraph> graphs, bool machine_code, Executable& executable,
                         std::string_view engine, std::span<const Tensor> inputs, std::vector<Tensor>& outputs) {
    const std::vector<Tensor> copies = copy_together(inputs, allocator());
    RunRecord expected = check(graphs, copies);
    const GraphRef& scheduled = graphs.back().graph;
    if (machine_code) compare(expected, run(scheduled, EngineKind::jit, copies), "the machine code", *scheduled);
    const std::string name = fmt::format("the engine {}", engine);
    try {
        executable.run(inputs, outputs);
    } catch (const Error& error) {
        compare(expected, {{}, {inputs.begin(), inputs.end()}, error.diagnostic}, name, *scheduled);
        throw;
    }
    compare(expected, {outputs, {inputs.begin(), inputs.end()}, {}}, name, *scheduled);
    return expected;
}

}  // namespace tenon
