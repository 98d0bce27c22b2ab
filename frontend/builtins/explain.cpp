#include "frontend/builtins/explain.h"

#include <cstdio>
#include <unordered_set>

#include <fmt/format.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "frontend/builtins/tensor.h"
#include "frontend/record/capture.h"
#include "frontend/tool/command_line.h"
#include "frontend/tensors/counters.h"
#include "frontend/graphs/explain_graph.h"
#include "frontend/values/function.h"
#include "frontend/graphs/graph_values.h"
#include "frontend/tool/report.h"
#include "frontend/evaluate/session.h"
#include "frontend/tool/silent_output.h"

namespace tenon {

namespace {

std::string plural(size_t count, std::string_view noun) {
    return fmt::format("{} {}{}", count == 0 ? "no" : std::to_string(count), noun, count == 1 ? "" : "s");
}

std::string place_of(Evaluator& e, Span span) {
    return span ? e.session().sources().place(span) : std::string("the script");
}

// "f at f.model:1:4", or how the value prints.
std::string subject_of(Evaluator& e, const Value& called) {
    const auto* function = called.try_as<FunctionObject>();
    if (!function) return e.text(called);
    const ast::Function& declared = function->function;
    const std::string name = declared.name == Symbol::none ? std::string("a lambda") : e.name_of(declared.name);
    return fmt::format("{} at {}", name, place_of(e, declared.name_span));
}

using Json = nlohmann::ordered_json;

std::string event_text(Evaluator& e, const Event& event) {
    return fmt::format("{} at {}", event.reason, place_of(e, event.span));
}

// What a whole script did. Times are for people at a terminal: they differ from run to run.
std::string script_text(const Json& told) {
    const auto count = [&](const char* what) { return told[what].size(); };
    std::string text = fmt::format("{}   {}, {}, {}\n", told["file"].get<std::string>(),
                                   plural(told["runs"].get<size_t>(), "run") + " of graphs",
                                   plural(count("breaks"), "break"), plural(count("recompiles"), "recompile"));
    append_lines(text, "broken by", told["breaks"].get<std::vector<std::string>>());
    append_lines(text, "compiled again", told["recompiles"].get<std::vector<std::string>>());
    for (const Json& graph : told["graphs"]) text += explanation_text(graph, isatty(STDOUT_FILENO) != 0);
    return text;
}

Json graphs_told(Evaluator& e, const std::vector<CapturedGraph>& log) {
    Json graphs = Json::array();
    for (const CapturedGraph& captured : log)
        graphs.push_back(explain_graph(e.session().sources(), graphs.size() + 1, captured));
    return graphs;
}

}  // namespace

int explain_script(const CommandLine& line) {
    SilentOutput silence;
    SessionOptions options = line.session;
    if (line.format == "json") options.output = &silence;
    Session session(options);
    if (session.tracer().options().engine == Engine::eager) {
        std::fputs("tenon: the engine eager captures no graphs to explain\n", stderr);
        return exit_invalid;
    }
    if (line.format == "dot") {
        std::fputs("tenon: `tenon explain` has the formats text and json\n", stderr);
        return exit_invalid;
    }
    Module* module = nullptr;
    Outcome outcome = guarded(session, wants_colour(), [&] { module = &session.modules().open(line.files[0]); });
    std::fputs(outcome.message.c_str(), stderr);
    if (!module) return exit_invalid;
    std::vector<CapturedGraph> log;
    session.tracer().capture().set_log(&log);
    const InterruptGuard guard(session.evaluator());
    outcome = guarded(session, wants_colour(), [&] { session.modules().run_once(*module, {}); });
    session.tracer().capture().set_log(nullptr);
    session.output().flush();

    Evaluator& e = session.evaluator();
    const Counters& counters = session.tracer().counters();
    Json told{{"file", line.files[0]}, {"runs", log.size()}, {"breaks", Json::array()}, {"recompiles", Json::array()}};
    for (const Event& event : counters.breaks) told["breaks"].push_back(event_text(e, event));
    for (const Event& event : counters.recompilations)
        told["recompiles"].push_back(fmt::format("{}: {}", event.function, event.reason));
    std::unordered_set<const CompiledGraph*> seen;
    std::erase_if(log, [&](const CapturedGraph& captured) { return !seen.insert(captured.compiled.get()).second; });
    told["graphs"] = graphs_told(e, log);
    if (line.format == "json")
        std::fputs((told.dump(2, ' ', false, Json::error_handler_t::replace) + "\n").c_str(), stdout);
    else std::fputs(script_text(told).c_str(), stdout);
    std::fputs(outcome.message.c_str(), stderr);
    return outcome.exit_code;
}

Value explain(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    std::vector<KeywordArgument> keywords;
    if (a.has(2)) {
        for (const DictObject::Entry& entry : a[2].as<DictObject>().entries())
            keywords.push_back({entry.key.as_text(), entry.value});
    }
    std::vector<CapturedGraph> log;
    const Counters& counters = c.tracer.counters();
    const size_t breaks = counters.breaks.size(), recompilations = counters.recompilations.size();
    Value result;
    {
        struct Restore {
            Tracer& tracer;
            TracerOptions options;
            ~Restore() {
                tracer.set_options(options);
                tracer.capture().set_log(nullptr);
            }
        } restore{c.tracer, c.tracer.options()};
        if (restore.options.engine == Engine::eager) {
            TracerOptions options = restore.options;
            options.engine = Engine::interp;
            c.tracer.set_options(options);
        }
        c.tracer.capture().set_log(&log);
        const Values* given = items_of(a[1]);
        result = e.call(a[0], given ? std::span<const Value>(*given) : std::span<const Value>(), keywords);
    }
    std::vector<std::string> broken, compiled_again;
    for (size_t k = breaks; k < counters.breaks.size(); ++k) broken.push_back(event_text(e, counters.breaks[k]));
    for (size_t k = recompilations; k < counters.recompilations.size(); ++k)
        compiled_again.push_back(counters.recompilations[k].reason);
    const Json told{{"subject", subject_of(e, a[0])},
                    {"breaks", broken},
                    {"recompiles", compiled_again},
                    {"graphs", graphs_told(e, log)}};
    std::string text =
        fmt::format("{}   {}, {}\n", subject_of(e, a[0]), plural(log.size(), "graph"), plural(broken.size(), "break"));
    append_lines(text, "broken by", broken);
    append_lines(text, "compiled again", compiled_again);
    for (const Json& graph : told["graphs"]) text += explanation_text(graph, false);
    Values graphs;
    for (const CapturedGraph& captured : log) graphs.push_back(make_ref<GraphObject>(captured.graph, true));
    auto strings = [](const std::vector<std::string>& lines) {
        Values items;
        for (const std::string& line : lines) items.push_back(Value::text(line));
        return make_list(std::move(items));
    };
    auto record = make_ref<RecordObject>(
        "explain", std::vector<RecordObject::Field>{
                       {"graphs", make_list(std::move(graphs))},
                       {"breaks", strings(broken)},
                       {"recompiles", strings(compiled_again)},
                       {"json", Value::text(told.dump(2, ' ', false, Json::error_handler_t::replace))},
                       {"result", result}});
    while (text.ends_with('\n')) text.pop_back();
    record->text = std::move(text);
    return record;
}

}  // namespace tenon
