#include "frontend/graphs/explain_graph.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "frontend/compile/counters.h"
#include "frontend/syntax/source_map.h"
#include "ir/build/substitution.h"
#include "ir/passes/pipeline.h"
#include "ir/row.h"
#include "ir/text/text.h"
#include "jit/executable.h"
#include "jit/llvm_loader.h"

namespace tenon {

using Json = nlohmann::ordered_json;

namespace {

// ---- gathering ----------------------------------------------------------------------------------------------------
// Sizes as they were when the graph was captured.
std::vector<SizeId> sizes_seen(const Graph& graph) {
    std::vector<SizeId> sizes;
    for (const SizeSymbol& symbol : graph.symbols) sizes.push_back(graph.context->constant(symbol.hint));
    return sizes;
}

std::string type_text(const Graph& graph, NodeId id) {
    Substitution at_sizes(*graph.context, sizes_seen(graph));
    return print_type(*graph.context, at_sizes(graph[id].type), {});
}

int64_t bytes_of(const Graph& graph, std::span<const NodeId> values) {
    std::vector<int64_t> hints;
    for (const SizeSymbol& symbol : graph.symbols) hints.push_back(symbol.hint);
    int64_t bytes = 0;
    for (NodeId id : values) {
        const Type& type = graph.type(id);
        int64_t count = int64_t(size_of(type.dtype));
        for (SizeId size : type.sizes) count *= graph.context->evaluate(size, hints);
        bytes += count;
    }
    return bytes;
}

class Explainer {
public:
    Explainer(const SourceMap& sources, const CapturedGraph& captured)
        : sources_(sources), captured_(captured), graph_(*captured.graph), context_(*graph_.context) {}

    Json run(size_t number) const {
        Json out{{"number", number},
                 {"function", context_.text(graph_.name)},
                 {"nodes", graph_.body().size()},
                 {"ended_by", captured_.ended_by}};
        if (captured_.ended_at) out["ended_at"] = sources_.place(captured_.ended_at);
        out["called_with"] = Json::array();
        for (NodeId p : graph_.params())
            out["called_with"].push_back({{"name", graph_.name_of(p)}, {"type", type_text(graph_, p)}});
        out["guards"] = guards();
        out["cache"] = captured_.from_cache ? "found: nothing was compiled" : "not found: compiled now";
        if (!captured_.compiled) return out;
        const CompiledGraph& compiled = *captured_.compiled;
        if (const auto& lean = compiled.lean()) {
            out["saved"] = saved(compiled);
            out["recomputed"] = recomputed(compiled);
            out["halves"] = {half("forward", lean->forward, compiled.forward_half(), lean->results),
                             half("backward", lean->backward, compiled.backward_half(), SIZE_MAX)};
        } else {
            out["halves"] = {half("forward", compiled.graph(), compiled.forward_half(), SIZE_MAX)};
        }
        return out;
    }

private:
    Json guards() const {
        Json out{"dtypes, ranks, devices, which inputs require a gradient"};
        for (const SizeSymbol& symbol : graph_.symbols) {
            const auto params = graph_.params();
            const auto at = size_t(std::find(params.begin(), params.end(), symbol.definer) - params.begin());
            const std::string subject =
                describe_symbol(graph_, symbol, [&](Span span) { return sources_.place(span); });
            out.push_back(is_symbolic(at, symbol.dim)
                              ? fmt::format("{} may be any size, {} now", subject, symbol.hint)
                              : fmt::format("{} was {}; symbolic from its first change", subject, symbol.hint));
        }
        return out;
    }
    bool is_symbolic(size_t param, int dim) const {
        if (!captured_.compiled) return true;
        const Graph& variant = *captured_.compiled->graph();
        return std::any_of(variant.symbols.begin(), variant.symbols.end(), [&](const SizeSymbol& s) {
            return param < variant.params().size() && s.definer == variant.params()[param] && s.dim == dim;
        });
    }

    Json value(const Graph& graph, NodeId id, std::string why) const {
        Json out{{"name", graph.name_of(id)}, {"type", type_text(graph, id)}, {"why", std::move(why)}};
        add_place(out, graph.origins[id.index]);
        return out;
    }
    void add_place(Json& out, OriginId origin) const {
        if (const Span span = context_[origin].span) out["at"] = sources_.place(span);
    }
    static const Decision* decision(const CompiledGraph& compiled, std::string_view what, std::string_view subject) {
        for (const Decision& d : compiled.decisions())
            if (d.what == what && d.subject == subject) return &d;
        return nullptr;
    }
    Json saved(const CompiledGraph& compiled) const {
        Json out = Json::array();
        const Split& lean = *compiled.lean();
        for (size_t k = 0; k < lean.saved.size(); ++k) {
            const NodeId id = lean.backward->params()[k];
            const Decision* made = decision(compiled, "saved", lean.backward->name_of(id));
            std::string why = "backward reads it";
            if (lean.saved[k].is_input) why = "an input, lives on";
            else if (lean.saved[k].index < lean.results) why = "a result, lives on";
            else if (made) why = made->reason;
            out.push_back(value(*lean.backward, id, std::move(why)));
        }
        return out;
    }
    Json recomputed(const CompiledGraph& compiled) const {
        Json out = Json::array();
        const Graph& backward = *compiled.lean()->backward;
        for (NodeId id : backward.body()) {
            if (!(backward[id].flags & recomputed_flag)) continue;
            const Decision* made = decision(compiled, "recomputed", backward.name_of(id));
            out.push_back(value(backward, id, made ? made->reason : "inside a checkpoint"));
        }
        return out;
    }

    // `own`: how many of its results are not saved ones.
    Json half(std::string_view name, const GraphRef& source, const CompiledGraph::Compilation* compiled,
              size_t own) const {
        Json out{{"name", name}};
        Decisions decisions;
        PipelineOptions options;
        options.until = "fused";
        add_kernels(out, *run_pipeline(source, options, decisions));
        if (!compiled) {
            out["engine"] = "not compiled, nothing has asked for it yet";
            return out;
        }
        const auto results = source->results();
        own = std::min(own, results.size());
        out["memory"] = {{"inputs", bytes_of(*source, source->params())},
                         {"results", bytes_of(*source, results.first(own))},
                         {"saved", bytes_of(*source, results.subspan(own))},
                         {"between", compiled->executable->arena_bytes()}};
        for (const PassTime& time : compiled->times)
            out["passes"].push_back({{"pass", time.pass}, {"milliseconds", time.milliseconds}, {"nodes", time.nodes}});
        add_machine_code(out, *compiled->executable);
        out["decisions"] = Json::array();
        for (const Decisions* list : {&compiled->decisions, &compiled->executable->decisions()})
            for (const Decision& d : *list) {
                Json told{{"what", d.what}, {"subject", d.subject}, {"why", d.reason}};
                add_place(told, d.origin);
                out["decisions"].push_back(std::move(told));
            }
        return out;
    }
    void add_kernels(Json& out, const Graph& fused) const {
        out["kernels"] = out["library"] = Json::array();
        for (NodeId id : fused.body()) {
            if (fused[id].op == op<"fusion">()) {
                const Attributes attributes = fused.attributes(id);
                Json ops = Json::array();
                for (NodeId inner : fused.body(fused.region_of(id))) ops.push_back(row(fused[inner].op).name);
                Json kernel{{"name", attributes.has("name") ? attributes.text("name") : fused.name_of(id)},
                            {"ops", ops}};
                if (attributes.flag("interpreted")) kernel["interpreted"] = "`compile: false`";
                out["kernels"].push_back(std::move(kernel));
            } else if (row(fused[id].op).lowering == Lowering::library) {
                out["library"].push_back(row(fused[id].op).name);
            }
        }
    }
    static void add_machine_code(Json& out, const Executable& executable) {
        const Executable::MachineCode code = executable.machine_code();
        out["machine_code"] = {{"kernels", code.kernels},
                               {"compiled", code.compiled},
                               {"milliseconds", code.milliseconds},
                               {"in_background", code.in_background}};
        const bool all = code.compiled == code.kernels;
        if (code.kernels == 0) out["engine"] = "no kernels, so no machine code";
        else if (executable.engine() == EngineKind::interp) out["engine"] = "the block interpreter runs the kernels";
        else if (executable.engine() == EngineKind::jit) out["engine"] = "machine code, made before the first run";
        else if (all && code.in_background)
            out["engine"] = "machine code, made in the background; the first runs were on the block interpreter";
        else if (all) out["engine"] = "machine code, which another graph had made";
        else if (!has_llvm_backend())
            out["engine"] = "the block interpreter: there is no compiler of machine code here";
        else
            out["engine"] =
                "the block interpreter so far; machine code is made in the background from the second run on";
    }

    const SourceMap& sources_;
    const CapturedGraph& captured_;
    const Graph& graph_;
    const Context& context_;
};

}  // namespace

void append_lines(std::string& text, std::string_view heading, const std::vector<std::string>& lines) {
    for (const std::string& line : lines) {
        text += fmt::format("  {:<16}{}\n", heading, line);
        heading = {};
    }
}

namespace {

// ---- text ---------------------------------------------------------------------------------------------------------
std::string text_of(const Json& json) { return json.get<std::string>(); }

std::string place_text(const Json& json) {
    return json.contains("at") ? fmt::format(" ({})", text_of(json["at"])) : std::string();
}

std::vector<std::string> values_text(const Json& values) {
    std::vector<std::string> lines;
    for (const Json& v : values)
        lines.push_back(
            fmt::format("{}: {}, {}{}", text_of(v["name"]), text_of(v["type"]), text_of(v["why"]), place_text(v)));
    if (lines.empty()) lines.push_back("nothing");
    return lines;
}

std::string ops_text(const Json& ops) {
    constexpr size_t shown = 8;
    std::string text;
    for (size_t k = 0; k < std::min(ops.size(), shown); ++k) text += (k ? " " : "") + text_of(ops[k]);
    return ops.size() > shown ? text + " …" : text;
}

std::string kernels_text(const Json& half) {
    std::string text = fmt::format("{} {}", text_of(half["name"]), half["kernels"].size());
    if (half["kernels"].size() == 1) text += fmt::format(" ({})", ops_text(half["kernels"][0]["ops"]));
    else if (!half["kernels"].empty()) {
        text += " (";
        for (size_t k = 0; k < half["kernels"].size(); ++k)
            text += (k ? "; " : "") + ops_text(half["kernels"][k]["ops"]);
        text += ")";
    }
    const auto interpreted = std::count_if(half["kernels"].begin(), half["kernels"].end(),
                                           [](const Json& kernel) { return kernel.contains("interpreted"); });
    if (interpreted > 0) text += fmt::format(", {} of them interpreted: `compile: false`", interpreted);
    if (!half["library"].empty()) text += fmt::format(", calls of the library: {}", ops_text(half["library"]));
    return text;
}

std::string memory_text(const Json& half) {
    const Json& memory = half["memory"];
    const auto bytes = [&](const char* what) { return memory[what].get<int64_t>(); };
    std::string text =
        fmt::format("{}: inputs {} B, results {} B", text_of(half["name"]), bytes("inputs"), bytes("results"));
    if (bytes("saved") > 0) text += fmt::format(", saved {} B", bytes("saved"));
    return text + fmt::format(", between kernels {} B", bytes("between"));
}

std::string compiled_text(const Json& half, bool with_times) {
    std::string text = text_of(half["name"]) + ": ";
    if (half.contains("passes")) {
        double milliseconds = 0;
        std::string names;
        for (const Json& pass : half["passes"]) {
            milliseconds += pass["milliseconds"].get<double>();
            names += (names.empty() ? "" : ", ") + text_of(pass["pass"]);
        }
        text += fmt::format("{}{}; ", names, with_times ? fmt::format(" in {:.2f} ms", milliseconds) : "");
    }
    text += text_of(half["engine"]);
    if (with_times && half.contains("machine_code") && half["machine_code"]["compiled"].get<size_t>() > 0)
        text += fmt::format(", {:.1f} ms", half["machine_code"]["milliseconds"].get<double>());
    return text;
}

}  // namespace

Json explain_graph(const SourceMap& sources, size_t number, const CapturedGraph& captured) {
    return Explainer(sources, captured).run(number);
}

std::string explanation_text(const Json& graph, bool with_times) {
    const size_t nodes = graph["nodes"].get<size_t>();
    std::string text =
        fmt::format("graph {}  of {}: {} node{}, ended by {}{}\n", graph["number"].get<size_t>(),
                    text_of(graph["function"]), nodes == 0 ? "no" : std::to_string(nodes), nodes == 1 ? "" : "s",
                    text_of(graph["ended_by"]), graph.contains("ended_at") ? " at " + text_of(graph["ended_at"]) : "");
    std::string inputs;
    for (const Json& input : graph["called_with"])
        inputs += fmt::format("{}{}: {}", inputs.empty() ? "" : ", ", text_of(input["name"]), text_of(input["type"]));
    append_lines(text, "called with", {inputs.empty() ? "nothing" : inputs});
    append_lines(text, "guards", graph["guards"].get<std::vector<std::string>>());
    append_lines(text, "cache", {text_of(graph["cache"])});
    for (const char* what : {"saved", "recomputed"})
        if (graph.contains(what)) append_lines(text, what, values_text(graph[what]));
    if (!graph.contains("halves")) return text;
    std::vector<std::string> kernels, memory, compiled;
    for (const Json& half : graph["halves"]) {
        kernels.push_back(kernels_text(half));
        if (half.contains("memory")) memory.push_back(memory_text(half));
        compiled.push_back(compiled_text(half, with_times));
    }
    append_lines(text, "kernels", kernels);
    append_lines(text, "memory", memory);
    append_lines(text, "compiled", compiled);
    for (const Json& half : graph["halves"]) {
        if (!half.contains("decisions")) continue;
        for (const Json& d : half["decisions"])
            append_lines(text, text_of(d["what"]),
                         {fmt::format("{}: {}{}", text_of(d["subject"]), text_of(d["why"]), place_text(d))});
    }
    return text;
}

Json explain_graphs(const SourceMap& sources, const std::vector<CapturedGraph>& log) {
    Json graphs = Json::array();
    for (const CapturedGraph& captured : log) graphs.push_back(explain_graph(sources, graphs.size() + 1, captured));
    return graphs;
}

std::string counted(size_t count, std::string_view noun) {
    return fmt::format("{} {}{}", count == 0 ? "no" : std::to_string(count), noun, count == 1 ? "" : "s");
}

std::string place_or_script(const SourceMap& sources, Span span) {
    return span ? sources.place(span) : std::string("the script");
}

std::string event_text(const SourceMap& sources, const Event& event) {
    return fmt::format("{} at {}", event.reason, place_or_script(sources, event.span));
}

}  // namespace tenon
