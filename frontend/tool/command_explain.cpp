// `tenon explain FILE`: what capture and the compiler did with a whole script.
#include <cstdio>
#include <unordered_set>

#include <fmt/format.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "frontend/compile/counters.h"
#include "frontend/compile/graph_cache.h"
#include "frontend/evaluate/session.h"
#include "frontend/graphs/explain_graph.h"
#include "frontend/record/capture.h"
#include "frontend/tool/command_line.h"
#include "frontend/tool/report.h"
#include "frontend/tool/silent_output.h"

namespace tenon {

using Json = nlohmann::ordered_json;

namespace {

// What a whole script did. Times are for people at a terminal: they differ from run to run.
std::string script_text(const Json& told, bool all) {
    const auto count = [&](const char* what) { return told[what].size(); };
    std::string text = fmt::format("{}   {}, {}, {}\n", told["file"].get<std::string>(),
                                   counted(told["runs"].get<size_t>(), "run") + " of graphs",
                                   counted(count("breaks"), "break"), counted(count("recompiles"), "recompile"));
    append_lines(text, "broken by", told["breaks"].get<std::vector<std::string>>());
    append_lines(text, "compiled again", told["recompiles"].get<std::vector<std::string>>());
    for (const Json& graph : told["graphs"]) text += explanation_text(graph, isatty(STDOUT_FILENO) != 0, all);
    return text;
}

}  // namespace

int explain_script(const CommandLine& line) {
    SilentOutput silence;
    SessionOptions options = line.session;
    if (line.format == "json") options.output = &silence;
    Session session(options);
    if (session.tracer().options().engine == Engine::eager) {
        say_refused("the engine eager captures no graphs to explain");
        return exit_invalid;
    }
    if (line.format == "dot") {
        say_refused("`tenon explain` has the formats text and json");
        return exit_invalid;
    }
    Module* module = nullptr;
    Outcome outcome = guarded(session, wants_colour(), [&] { module = &session.modules().open(line.files[0]); });
    say_error(outcome.message);
    if (!module) return exit_invalid;
    std::vector<CapturedGraph> log;
    session.tracer().capture().set_log(&log);
    const InterruptGuard guard;
    outcome = guarded(session, wants_colour(), [&] { session.modules().run_once(*module, {}); });
    session.tracer().capture().set_log(nullptr);

    const SourceMap& sources = session.sources();
    const Counters& counters = session.tracer().counters();
    Json told{{"file", line.files[0]}, {"runs", log.size()}, {"breaks", Json::array()}, {"recompiles", Json::array()}};
    for (const Event& event : counters.breaks.after(0)) told["breaks"].push_back(event_text(sources, event));
    for (const Event& event : counters.recompilations.after(0))
        told["recompiles"].push_back(fmt::format("{}: {}", event.function, event.reason));
    std::unordered_set<const CompiledGraph*> seen;
    std::erase_if(log, [&](const CapturedGraph& captured) { return !seen.insert(captured.compiled.get()).second; });
    told["graphs"] = explain_graphs(sources, log);
    write_standard_output(line.format == "json" ? told.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"
                                                : script_text(told, line.all));
    say_error(outcome.message);
    return outcome.exit_code;
}

}  // namespace tenon
