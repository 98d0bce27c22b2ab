// `tenon dump`: what a stage makes of a script's graphs. `tenon opt`: passes over graphs in textual form.
#include <fmt/format.h>

#include <cstdio>
#include <unordered_set>

#include "frontend/ast_printer.h"
#include "frontend/capture.h"
#include "frontend/command_line.h"
#include "frontend/graph_cache.h"
#include "frontend/report.h"
#include "ir/pipeline.h"
#include "ir/row.h"
#include "ir/text.h"
#include "jit/cuda/emitter.h"
#include "jit/executable.h"
#include "runtime/file.h"

namespace tenon {

namespace {

/// Prints the stages of one captured graph.
class Dumper {
public:
    Dumper(Session& session, const std::string& stage) : session_(session), stage_(stage) {
        options_.locate = [&session](Span span) { return session.sources().place_in_listing(span); };
    }

    static bool knows(std::string_view stage) {
        for (std::string_view known :
             {"ast", "graph", "joint", "forward", "backward", "simplified", "fused", "loops", "llvm", "asm", "cuda"}) {
            if (stage == known) return true;
        }
        return false;
    }

    void dump(const CapturedGraph& captured) {
        const auto& compiled = captured.compiled;
        if (stage_ == "graph") return show(*captured.graph);
        if (stage_ == "joint") {
            if (compiled && compiled->joint()) show(*compiled->joint()->graph);
            return;
        }
        if (!compiled) return;
        const auto& split = compiled->split();
        if (stage_ == "forward") return show(split ? *split->forward : *compiled->graph());
        if (stage_ == "backward") {
            if (split) show(*split->backward);
            return;
        }
        if (stage_ == "simplified" || stage_ == "fused") {
            pipeline(split ? split->forward : compiled->graph());
            if (split) pipeline(split->backward);
            return;
        }
        for (const Executable* executable : {compiled->forward_executable(), compiled->backward_executable()}) {
            if (!executable) continue;
            if (stage_ == "loops") {
                show(*executable->graph());
            } else {
                machine_code(executable->graph());
            }
        }
    }

    bool shown() const { return shown_; }

private:
    void show(const Graph& graph) { write(print(graph, options_)); }

    void write(std::string_view text) {
        if (shown_) fmt::print("\n");
        fmt::print("{}", text);
        if (!text.ends_with('\n')) fmt::print("\n");
        shown_ = true;
    }

    void pipeline(const GraphRef& graph) {
        Decisions decisions;
        PipelineOptions options;
        options.until = stage_;
        show(*run_pipeline(graph, options, decisions));
    }

    void machine_code(const GraphRef& graph) {
        std::vector<KernelSource> kernels;
        for (NodeId node : graph->body()) {
            if ((*graph)[node].op == op<"kernel">()) kernels.push_back({graph, node, {}});
        }
        if (kernels.empty()) return;
        if (stage_ == "cuda") return write(dump_cuda(kernels, options_.locate));
        write(session_.machine().backend().dump(kernels, stage_, options_.locate));
    }

    Session& session_;
    std::string stage_;
    PrintOptions options_;
    bool shown_ = false;
};

/// What a script prints itself would be in the way.
class NoOutput final : public Output {
public:
    void write(std::string_view, Span) override {}
};

}  // namespace

int dump_script(const CommandLine& line) {
    if (!Dumper::knows(line.stage)) {
        fmt::print(stderr,
                   "tenon: there is no stage `{}`; there are ast, graph, joint, forward, backward, simplified, fused, "
                   "loops, llvm, asm and cuda\n",
                   line.stage);
        return exit_invalid;
    }
    NoOutput silence;
    SessionOptions options = line.session;
    options.output = &silence;
    Session session(options);
    Module* module = nullptr;
    Outcome outcome = guarded(session, wants_colour(), [&] { module = &session.modules().open(line.files[0]); });
    if (!module) {
        std::fputs(outcome.message.c_str(), stderr);
        return exit_invalid;
    }
    if (line.stage == "ast") {
        fmt::print("{}", line.format == "json" ? print_tree_json(*module->script, session.symbols(), session.sources())
                                               : print_tree(*module->script, session.symbols(), session.sources()));
        return exit_success;
    }
    if (line.format == "json") {
        fmt::print(stderr, "tenon: only the stage `ast` has a JSON form\n");
        return exit_invalid;
    }
    std::vector<CapturedGraph> log;
    session.tracer().capture().set_log(&log);
    InterruptGuard guard(session.evaluator());
    outcome = guarded(session, wants_colour(), [&] { session.modules().run_once(*module, {}); });
    session.tracer().capture().set_log(nullptr);
    std::fputs(outcome.message.c_str(), stderr);
    if (outcome.exit_code != exit_success) return outcome.exit_code;

    Dumper dumper(session, line.stage);
    std::unordered_set<const CompiledGraph*> seen;
    outcome = guarded(session, wants_colour(), [&] {
        for (const CapturedGraph& captured : log) {
            if (seen.insert(captured.compiled.get()).second) dumper.dump(captured);
        }
    });
    std::fputs(outcome.message.c_str(), stderr);
    if (outcome.exit_code == exit_success && !dumper.shown()) {
        fmt::print(stderr, "tenon: {}\n",
                   log.empty() ? "the script captured no graph; it captures calls of functions with a tensor or model "
                                 "among the arguments"
                               : "no graph of the script has this stage");
    }
    return outcome.exit_code;
}

int optimise_graphs(const CommandLine& line) {
    std::vector<const Pass*> passes;
    for (const std::string& name : line.passes) {
        const Pass* pass = find_pass(name);
        if (!pass) {
            std::string known;
            for (const Pass& p : tenon::passes()) known += fmt::format("{}{}", known.empty() ? "" : ", ", p.name);
            fmt::print(stderr, "tenon: there is no pass `{}`; there are {}\n", name, known);
            return exit_invalid;
        }
        passes.push_back(pass);
    }
    Session session(line.session);
    Outcome outcome = guarded(session, wants_colour(), [&] {
        std::string text = tenon::read_text(line.files[0]);
        SourceId source = session.sources().add(line.files[0], text);
        GraphRef graph = parse_graph(session.context(), text, source);
        verify(*graph);
        Decisions decisions;
        PipelineOptions options;
        options.verify = true;
        if (passes.empty()) {
            graph = run_pipeline(graph, options, decisions);
        } else {
            for (const Pass* pass : passes) graph = run_pipeline(graph, std::span(pass, 1), options, decisions);
        }
        fmt::print("{}", print(*graph));
        for (const Decision& decision : decisions)
            fmt::print("# {} {}: {}\n", decision.what, decision.subject, decision.reason);
    });
    std::fputs(outcome.message.c_str(), stderr);
    return outcome.exit_code;
}

}  // namespace tenon
