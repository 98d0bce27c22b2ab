#include "frontend/graphs/explain_graph.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "frontend/compile/counters.h"
#include "frontend/syntax/source_map.h"
#include "ir/build/substitution.h"
#include "ir/pipeline/pipeline.h"
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

int64_t bytes_of_type(const Graph& graph, TypeId id) {
    std::vector<int64_t> hints;
    for (const SizeSymbol& symbol : graph.symbols) hints.push_back(symbol.hint);
    const Type& type = (*graph.context)[id];
    int64_t bytes = int64_t(size_of(type.dtype));
    for (SizeId size : type.sizes) bytes *= graph.context->evaluate(size, hints);
    return bytes;
}

int64_t bytes_of(const Graph& graph, std::span<const NodeId> values) {
    int64_t bytes = 0;
    for (NodeId id : values) bytes += bytes_of_type(graph, graph[id].type);
    return bytes;
}

class Explainer {
public:
    Explainer(const SourceMap& sources, const CapturedGraph& captured)
        : sources_(sources), captured_(captured), graph_(*captured.graph), context_(*graph_.context) {}

    Json run(size_t number) {
        Json out{{"number", number},
                 {"function", context_.text(graph_.name)},
                 {"nodes", graph_.body().size()},
                 {"ended_by", captured_.ended_by}};
        if (captured_.ended_at) out["ended_at"] = sources_.place(captured_.ended_at);
        out["called_with"] = Json::array();
        for (NodeId p : graph_.params())
            out["called_with"].push_back({{"name", graph_.name_of(p)},
                                          {"type", type_text(graph_, p)},
                                          {"bytes", bytes_of(graph_, std::span(&p, 1))}});
        out["guards"] = guards();
        out["cache"] = captured_.from_cache ? "found: nothing was compiled" : "not found: compiled now";
        if (!captured_.compiled) return out;
        const CompiledGraph& compiled = *captured_.compiled;
        if (const auto& budget = compiled.budget())
            out["budget"] = {{"allowed", budget->allowed},
                             {"without", budget->without.peak},
                             {"peak", budget->chosen.peak},
                             {"again", budget->values},
                             {"work_again", budget->chosen.work_again - budget->without.work_again},
                             {"level", budget->chosen.level},
                             {"levels", budget->levels}};
        if (const auto& lean = compiled.lean()) {
            out["saved"] = saved(compiled);
            out["recomputed"] = recomputed(compiled);
            out["halves"] = {half("forward", lean->forward, compiled.forward_half(), lean->results),
                             half("backward", lean->backward, compiled.backward_half(), SIZE_MAX)};
        } else {
            out["halves"] = {half("forward", compiled.graph(), compiled.forward_half(), SIZE_MAX)};
        }
        for (uint32_t k = 0; k < graph_.nodes.size(); ++k) {  // those inside calls too
            const Op op = graph_.nodes[k].op;
            if (op == tenon::op<"param">() || op == tenon::op<"constant">() || op == tenon::op<"yield">()) continue;
            if (Json* line = line_of(graph_, NodeId(k))) (*line)["nodes"] = (*line)["nodes"].get<int64_t>() + 1;
        }
        out["lines"] = Json::array();
        for (auto& [at, line] : lines_) out["lines"].push_back(std::move(line));
        return out;
    }

private:
    // One line a subject: an int of the script is one, also where a loop gives it another value at each turn.
    Json guards() const {
        struct Guard {
            std::string subject;
            bool symbolic;
            std::vector<int64_t> sizes;
        };
        std::vector<Guard> guards;
        for (const SizeSymbol& symbol : graph_.symbols) {
            const auto params = graph_.params();
            const auto at = size_t(std::find(params.begin(), params.end(), symbol.definer) - params.begin());
            std::string subject = describe_symbol(graph_, symbol, [&](Span span) { return sources_.place(span); });
            const bool symbolic = is_symbolic(at, symbol.dim);
            const auto same = std::ranges::find_if(
                guards, [&](const Guard& g) { return g.subject == subject && g.symbolic == symbolic; });
            if (same == guards.end()) guards.push_back({std::move(subject), symbolic, {symbol.hint}});
            else same->sizes.push_back(symbol.hint);
        }
        Json out{"dtypes, ranks, devices, which inputs require a gradient"};
        for (const Guard& g : guards) {
            constexpr size_t shown = 4;
            std::string sizes;
            for (size_t k = 0; k < std::min(shown, g.sizes.size()); ++k)
                sizes += fmt::format("{}{}", k ? ", " : "", g.sizes[k]);
            if (g.sizes.size() > shown) sizes += fmt::format(", … ({} values)", g.sizes.size());
            out.push_back(g.symbolic ? fmt::format("{} may be any size, {} now", g.subject, sizes)
                                     : fmt::format("{} was {}; symbolic from its first change", g.subject, sizes));
        }
        return out;
    }
    // What is told of the line of the script that a node comes from; null where it comes from none.
    Json* line_of(const Graph& graph, NodeId id) {
        const Span span = context_[graph.origins[id.index]].span;
        if (!span) return nullptr;
        const std::pair at(span.source, sources_.line(span));
        const auto [place, added] = lines_.try_emplace(at);
        if (added) {
            std::string_view text = sources_.text(sources_.line_span(span.source, at.second));
            text = text.substr(0, text.find("  #"));
            text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
            text = text.substr(0, text.find_last_not_of(' ') + 1);
            place->second = {{"at", fmt::format("{}:{}", sources_.name(span.source), at.second)},
                             {"text", text},
                             {"nodes", 0},
                             {"kernels", 0},
                             {"calls", 0},
                             {"bytes", 0}};
        }
        return &place->second;
    }
    bool is_symbolic(size_t param, int dim) const {
        if (!captured_.compiled) return true;
        const Graph& variant = *captured_.compiled->graph();
        return std::any_of(variant.symbols.begin(), variant.symbols.end(), [&](const SizeSymbol& s) {
            return param < variant.params().size() && s.definer == variant.params()[param] && s.dim == dim;
        });
    }

    Json value(const Graph& graph, NodeId id, std::string why) const {
        Json out{{"name", graph.name_of(id)},
                 {"type", type_text(graph, id)},
                 {"bytes", bytes_of(graph, std::span(&id, 1))},
                 {"why", std::move(why)}};
        add_place(out, graph.origins[id.index]);
        return out;
    }
    void add_place(Json& out, OriginId origin) const {
        if (const Span span = context_[origin].span) out["at"] = sources_.place(span);
    }
    // By its name or, of a copy that has another one, by where it comes from.
    static const Decision* decision(const CompiledGraph& compiled, DecisionKind what, const Graph& graph, NodeId id) {
        const Decision* alike = nullptr;
        for (const Decision& d : compiled.decisions()) {
            if (d.what != what) continue;
            if (d.subject == graph.name_of(id)) return &d;
            if (!alike && d.origin == graph.origins[id.index]) alike = &d;
        }
        return alike;
    }
    Json saved(const CompiledGraph& compiled) const {
        Json out = Json::array();
        const Split& lean = *compiled.lean();
        for (size_t k = 0; k < lean.saved.size(); ++k) {
            const NodeId id = lean.backward->params()[k];
            const Decision* made = decision(compiled, DecisionKind::saved, *lean.backward, id);
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
            const Decision* made = decision(compiled, DecisionKind::recomputed, backward, id);
            out.push_back(value(backward, id, made ? made->reason : "inside a checkpoint"));
        }
        return out;
    }

    // `own`: how many of its results are not saved ones.
    Json half(std::string_view name, const GraphRef& source, const CompiledGraph::Compilation* compiled, size_t own) {
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
        out["peak"] = peak(*compiled->executable);
        for (const PassTime& time : compiled->times)
            out["passes"].push_back({{"pass", time.pass}, {"milliseconds", time.milliseconds}, {"nodes", time.nodes}});
        add_machine_code(out, *compiled->executable);
        out["decisions"] = Json::array();
        for (const Decisions* list : {&compiled->decisions, &compiled->executable->decisions()})
            for (const Decision& d : *list) {
                Json told{{"what", name_of(d.what)}, {"subject", d.subject}, {"why", d.reason}};
                if (d.bytes > 0) told["bytes"] = d.bytes;
                add_place(told, d.origin);
                out["decisions"].push_back(std::move(told));
            }
        return out;
    }
    // What a run takes at most, and which intermediate values there are then: those of one type that come from one line
    // are told together, the largest first.
    Json peak(const Executable& executable) const {
        const Graph& graph = *executable.graph();
        const MemoryPeak peak = executable.memory_peak();
        Json out{{"bytes", peak.bytes()}, {"in_use", peak.in_use}, {"values", Json::array()}};
        if (peak.step) {
            out["step"] = graph.name_of(peak.step);
            add_place(out, graph.origins[peak.step.index]);
        }
        if (peak.around_turns > 0) out["turns"] = peak.around_turns;
        std::map<std::pair<std::string, std::string>, Json> groups;
        for (const MemoryPeak::Value& v : peak.values) {
            Json one = value(graph, v.maker, "");
            const std::string at = one.contains("at") ? one["at"].get<std::string>() : std::string();
            const auto [group, added] = groups.try_emplace({at, one["type"].get<std::string>()}, std::move(one));
            Json& told = group->second;
            if (added) {
                told["bytes"] = told["count"] = 0;
                told.erase("why");
            }
            told["bytes"] = told["bytes"].get<int64_t>() + int64_t(v.bytes);
            told["count"] = told["count"].get<int64_t>() + 1;
        }
        for (auto& [key, group] : groups) out["values"].push_back(std::move(group));
        std::stable_sort(out["values"].begin(), out["values"].end(), [](const Json& a, const Json& b) {
            return a["bytes"].get<int64_t>() > b["bytes"].get<int64_t>();
        });
        return out;
    }
    void add_kernels(Json& out, const Graph& fused) {
        out["kernels"] = out["library"] = Json::array();
        add_kernels(out, fused, fused.main());
    }
    // Those of regions once, however many turns there are.
    void add_kernels(Json& out, const Graph& fused, const Region& region) {
        for (NodeId id : fused.body(region)) {
            if (fused[id].op == op<"fusion">()) {
                const Attributes attributes = fused.attributes(id);
                Json ops = Json::array();
                for (NodeId inner : fused.body(fused.region_of(id))) ops.push_back(row(fused[inner].op).name);
                Json kernel{{"name", attributes.has("name") ? attributes.text("name") : fused.name_of(id)},
                            {"ops", ops}};
                if (attributes.flag("interpreted")) kernel["interpreted"] = "`compile: false`";
                out["kernels"].push_back(std::move(kernel));
                add_to_line(fused, id, "kernels");
            } else if (row(fused[id].op).lowering == Lowering::tiles) {
                const std::string_view name = row(fused[id].op).name;
                out["kernels"].push_back({{"name", name}, {"ops", Json::array({name})}});
                add_to_line(fused, id, "kernels");
            } else if (row(fused[id].op).lowering == Lowering::library) {
                out["library"].push_back(row(fused[id].op).name);
                add_to_line(fused, id, "calls");
            } else {
                for (unsigned k = 0; k < fused[id].regions; ++k) add_kernels(out, fused, fused.region_of(id, k));
            }
        }
    }
    // A kernel or a call: what it reads and writes is told of its line.
    void add_to_line(const Graph& fused, NodeId id, const char* what) {
        Json* line = line_of(fused, id);
        if (!line) return;
        int64_t bytes = bytes_of(fused, fused.operands_of(id));
        const Type& type = fused.type(id);
        if (type.kind == Type::Kind::tuple) {
            for (TypeId element : type.elements) bytes += bytes_of_type(fused, element);
        } else {
            bytes += bytes_of_type(fused, fused[id].type);
        }
        (*line)[what] = (*line)[what].get<int64_t>() + 1;
        (*line)["bytes"] = (*line)["bytes"].get<int64_t>() + bytes;
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
    std::map<std::pair<uint32_t, uint32_t>, Json> lines_;  // by source and line
};

}  // namespace

Json explain_graph(const SourceMap& sources, size_t number, const CapturedGraph& captured) {
    return Explainer(sources, captured).run(number);
}

Json explain_graphs(const SourceMap& sources, const std::vector<CapturedGraph>& log) {
    Json graphs = Json::array();
    for (const CapturedGraph& captured : log) graphs.push_back(explain_graph(sources, graphs.size() + 1, captured));
    return graphs;
}

std::string place_or_script(const SourceMap& sources, Span span) {
    return span ? sources.place(span) : std::string("the script");
}

std::string event_text(const SourceMap& sources, const Event& event) {
    return fmt::format("{} at {}", event.reason, place_or_script(sources, event.span));
}

}  // namespace tenon
