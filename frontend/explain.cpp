#include "frontend/explain.h"

#include <cstdio>
#include <unordered_set>

#include <fmt/format.h>

#include "frontend/builtins_tensor.h"
#include "frontend/capture.h"
#include "frontend/command_line.h"
#include "frontend/counters.h"
#include "frontend/function.h"
#include "frontend/graph_values.h"
#include "frontend/report.h"
#include "frontend/session.h"
#include "jit/executable.h"

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

// One line an item, the first behind its heading, the others below it.
void append_lines(std::string& text, std::string_view heading, const std::vector<std::string>& lines) {
    bool first = true;
    for (const std::string& line : lines) {
        text += fmt::format("  {:<16}{}\n", first ? heading : std::string_view(), line);
        first = false;
    }
}

std::string describe_inputs(const Graph& graph) {
    std::string text;
    for (NodeId p : graph.params()) {
        if (!text.empty()) text += ", ";
        text +=
            fmt::format("{}: {}", graph.name_of(p), print_type(*graph.context, graph[p].type, graph.symbol_names()));
    }
    return text.empty() ? "nothing" : text;
}

void append_graph(Evaluator& e, std::string& text, size_t number, const CapturedGraph& captured) {
    const Graph& graph = *captured.graph;
    text += fmt::format("graph {}  {}, ended by {}{}\n", number, plural(graph.body().size(), "node"), captured.ended_by,
                        captured.ended_at ? " at " + place_of(e, captured.ended_at) : std::string());
    append_lines(text, "called with", {describe_inputs(graph)});
    std::vector<std::string> guards;
    for (const SizeSymbol& symbol : graph.symbols) {
        guards.push_back(fmt::format("{}.shape[{}] was {}", graph.name_of(symbol.definer), symbol.dim, symbol.hint));
    }
    if (guards.empty()) guards.push_back("dtypes and ranks only");
    append_lines(text, "guards", guards);
    append_lines(text, "cache", {captured.from_cache ? "found: nothing was compiled" : "not found: compiled now"});
    if (!captured.compiled) return;
    std::vector<std::string> saved;
    if (const auto& split = captured.compiled->split()) {
        for (NodeId p : split->backward->params().first(split->saved.size())) {
            saved.push_back(
                fmt::format("{}: {}", split->backward->name_of(p),
                            print_type(*graph.context, (*split->backward)[p].type, split->backward->symbol_names())));
        }
        if (saved.empty()) saved.push_back("nothing");
        append_lines(text, "saved", saved);
    }
    auto decisions = [&](const Decisions& all) {
        for (const Decision& decision : all) {
            const Span span = (*graph.context)[decision.origin].span;
            text += fmt::format("  {:<16}{}: {}{}\n", decision.what, decision.subject, decision.reason,
                                span ? " (" + place_of(e, span) + ")" : std::string());
        }
    };
    decisions(captured.compiled->decisions());
    if (const Executable* executable = captured.compiled->forward_executable()) {
        append_lines(text, "kernels", {fmt::format("forward {}", executable->kernel_count())});
        append_lines(text, "memory", {fmt::format("{} bytes of intermediate values", executable->arena_bytes())});
        decisions(executable->decisions());
    }
}

}  // namespace

int explain_script(const CommandLine& line) {
    Session session(line.session);
    if (session.tracer().options().engine == Engine::eager) {
        std::fputs("tenon: the engine eager captures no graphs to explain\n", stderr);
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
    std::string text =
        fmt::format("{}   {}, {}, {}\n", line.files[0], plural(log.size(), "run") + " of graphs",
                    plural(counters.breaks.size(), "break"), plural(counters.recompilations.size(), "recompile"));
    for (const Event& event : counters.breaks)
        append_lines(text, "broken by", {fmt::format("{} at {}", event.reason, place_of(e, event.span))});
    for (const Event& event : counters.recompilations)
        append_lines(text, "compiled again", {fmt::format("{}: {}", event.function, event.reason)});
    std::unordered_set<const CompiledGraph*> seen;
    for (const CapturedGraph& captured : log) {
        if (seen.insert(captured.compiled.get()).second) append_graph(e, text, seen.size(), captured);
    }
    std::fputs(text.c_str(), stdout);
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
    for (size_t k = breaks; k < counters.breaks.size(); ++k) {
        broken.push_back(fmt::format("{} at {}", counters.breaks[k].reason, place_of(e, counters.breaks[k].span)));
    }
    for (size_t k = recompilations; k < counters.recompilations.size(); ++k)
        compiled_again.push_back(counters.recompilations[k].reason);
    std::string text =
        fmt::format("{}   {}, {}\n", subject_of(e, a[0]), plural(log.size(), "graph"), plural(broken.size(), "break"));
    append_lines(text, "broken by", broken);
    append_lines(text, "compiled again", compiled_again);
    Values graphs;
    for (size_t k = 0; k < log.size(); ++k) {
        append_graph(e, text, k + 1, log[k]);
        graphs.push_back(make_ref<GraphObject>(log[k].graph, true));
    }
    auto strings = [](const std::vector<std::string>& lines) {
        Values items;
        for (const std::string& line : lines) items.push_back(Value::text(line));
        return make_list(std::move(items));
    };
    auto record =
        make_ref<RecordObject>("explain", std::vector<RecordObject::Field>{{"graphs", make_list(std::move(graphs))},
                                                                           {"breaks", strings(broken)},
                                                                           {"recompiles", strings(compiled_again)},
                                                                           {"result", result}});
    while (text.ends_with('\n')) text.pop_back();
    record->text = std::move(text);
    return record;
}

}  // namespace tenon
