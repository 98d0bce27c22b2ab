// `tenon dump`: what a stage makes of a script's graphs. `tenon opt`: passes over graphs in textual form.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <unordered_set>

#include "frontend/compile/graph_cache.h"
#include "frontend/record/capture.h"
#include "frontend/syntax/ast_printer.h"
#include "frontend/tool/command_line.h"
#include "frontend/tool/report.h"
#include "frontend/tool/silent_output.h"
#include "ir/pipeline/pipeline.h"
#include "ir/row.h"
#include "ir/text/listing.h"
#include "ir/text/text.h"
#include "jit/cuda/emitter.h"
#include "jit/executable.h"
#include "runtime/file.h"

namespace tenon {

namespace {

/// In order: the tree, graphs before the passes and after those whose result has a name, kernels as text.
std::vector<std::string_view> all_stages() {
    std::vector<std::string_view> stages{"ast", "graph", "joint", "forward", "backward"};
    for (const Pass& pass : passes())
        if (!pass.stage.empty()) stages.push_back(pass.stage);
    stages.insert(stages.end(), {"llvm", "asm", "cuda", "ptx"});
    return stages;
}

bool is_graph_stage(std::string_view stage) {  // between the syntax tree and the text of kernels
    for (std::string_view other : {"ast", "llvm", "asm", "cuda", "ptx"})
        if (stage == other) return false;
    return true;
}

/// Gathers a stage of each captured graph and prints all of them.
class Dumper {
public:
    Dumper(Session& session, std::string stage, std::string format)
        : session_(session), stage_(std::move(stage)), format_(std::move(format)) {
        options_.locate = [&session](Span span) { return session.sources().place_in_listing(span); };
    }

    void add(const CapturedGraph& captured) {
        for (const GraphRef& graph : graphs_of(captured)) {
            if (is_graph_stage(stage_)) graphs_.push_back(graph);
            else add_kernels(graph);
        }
    }
    bool is_empty() const { return graphs_.empty() && texts_.empty(); }
    void print_all() {
        if (format_ == "json") return write_standard_output(print_json(stage_, graphs_, place_));
        if (format_ == "dot") return write_standard_output(print_dot(stage_, graphs_, options_.locate));
        for (const GraphRef& graph : graphs_) texts_.push_back(print(*graph, options_));
        for (size_t k = 0; k < texts_.size(); ++k)
            say("{}{}{}", k ? "\n" : "", texts_[k], texts_[k].ends_with('\n') ? "" : "\n");
    }

private:
    // Of the stages after `loops`, the graphs whose kernels are shown.
    std::vector<GraphRef> graphs_of(const CapturedGraph& captured) const {
        if (stage_ == "graph") return {captured.graph};
        const auto& compiled = captured.compiled;
        if (!compiled) return {};
        const auto& split = compiled->split();
        if (stage_ == "joint") return split ? std::vector{recompute(*compiled->joint())} : std::vector<GraphRef>{};
        if (stage_ == "forward") return {split ? split->forward : compiled->graph()};
        if (stage_ == "backward") return split ? std::vector{split->backward} : std::vector<GraphRef>{};
        std::vector<GraphRef> found;
        if (is_graph_stage(stage_) && stage_ != passes().back().stage) {  // what runs is the last one's
            found.push_back(after_passes(split ? split->forward : compiled->graph()));
            if (split) found.push_back(after_passes(split->backward));
            return found;
        }
        for (const Executable* executable : {compiled->forward_executable(), compiled->backward_executable()})
            if (executable) found.push_back(executable->graph());
        return found;
    }
    GraphRef after_passes(const GraphRef& graph) const {
        Decisions decisions;
        PipelineOptions options;
        options.until = stage_;
        return run_pipeline(graph, options, decisions);
    }
    void add_kernels(const GraphRef& graph) {
        std::vector<KernelSource> kernels;
        for (NodeId node : graph->body())
            if ((*graph)[node].op == op<"kernel">()) kernels.push_back({graph, node, {}});
        if (kernels.empty()) return;
        if (stage_ == "cuda") texts_.push_back(dump_cuda(kernels, options_.locate));
        else if (stage_ == "ptx") texts_.push_back(dump_ptx(kernels, options_.locate));
        else texts_.push_back(session_.machine().dump(kernels, stage_, options_.locate));
    }

    Session& session_;
    const std::string stage_, format_;
    PrintOptions options_;
    std::function<SourcePlace(Span)> place_ = [this](Span span) {
        const SourceMap& sources = session_.sources();
        const Position at = sources.position(span);
        return SourcePlace{sources.name(span.source), at.line, at.column};
    };
    std::vector<GraphRef> graphs_;
    std::vector<std::string> texts_;
};

// Why there is no such stage, or not in this form; empty where there is.
std::string refuse_form(const std::string& stage, const std::string& format) {
    const std::vector<std::string_view> stages = all_stages();
    if (std::ranges::find(stages, stage) == stages.end())
        return fmt::format("there is no stage `{}`; there are {}", stage, fmt::join(stages, ", "));
    if (format == "text" || is_graph_stage(stage) || (stage == "ast" && format == "json")) return {};
    return fmt::format("the stage `{}` has no form `{}`; {}", stage, format,
                       stage == "ast" ? "it has text and json" : "it is text");
}

std::string_view function_of(const CapturedGraph& captured) {
    return captured.graph->context->text(captured.graph->name);
}

// Only the graphs of one function stay; false, with a message, where there is none.
bool keep_function(std::vector<CapturedGraph>& log, std::string_view function) {
    std::vector<std::string_view> names;
    for (const CapturedGraph& captured : log)
        if (std::ranges::find(names, function_of(captured)) == names.end()) names.push_back(function_of(captured));
    std::erase_if(log, [&](const CapturedGraph& captured) { return function_of(captured) != function; });
    if (!log.empty()) return true;
    say_refused(
        fmt::format("no graph is of a function `{}`; {}", function,
                    names.empty() ? "the script captured none" : fmt::format("there are {}", fmt::join(names, ", "))));
    return false;
}

}  // namespace

int dump_script(const CommandLine& line) {
    std::string wrong = refuse_form(line.stage, line.format);
    if (line.stage == "ast" && !line.function.empty())
        wrong = "the stage `ast` is the whole script's; --function chooses graphs";
    if (!wrong.empty()) {
        say_refused(wrong);
        return exit_invalid;
    }
    SilentOutput silence;
    SessionOptions options = line.session;
    options.output = &silence;
    Session session(options);
    Module* module = nullptr;
    Outcome outcome = guarded(session, wants_colour(), [&] { module = &session.modules().open(line.files[0]); });
    if (!module) {
        say_error(outcome.message);
        return exit_invalid;
    }
    if (line.stage == "ast") {
        write_standard_output(line.format == "json"
                                  ? print_tree_json(*module->script, session.symbols(), session.sources())
                                  : print_tree(*module->script, session.symbols(), session.sources()));
        return exit_success;
    }
    std::vector<CapturedGraph> log;
    session.tracer().capture().set_log(&log);
    InterruptGuard guard;
    outcome = guarded(session, wants_colour(), [&] { session.modules().run_once(*module, {}); });
    session.tracer().capture().set_log(nullptr);
    say_error(outcome.message);
    if (outcome.exit_code != exit_success) return outcome.exit_code;

    if (!line.function.empty() && !keep_function(log, line.function)) return exit_failed;
    Dumper dumper(session, line.stage, line.format);
    std::unordered_set<const CompiledGraph*> seen;
    outcome = guarded(session, wants_colour(), [&] {
        for (const CapturedGraph& captured : log) {
            if (seen.insert(captured.compiled.get()).second) dumper.add(captured);
        }
        if (!dumper.is_empty() || line.format != "text") dumper.print_all();
    });
    say_error(outcome.message);
    if (outcome.exit_code == exit_success && dumper.is_empty()) {
        say_refused(log.empty() ? "the script captured no graph; it captures calls of functions with a tensor or model "
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
            say_refused(fmt::format("there is no pass `{}`; there are {}", name, known));
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
        write_standard_output(print(*graph));
        for (const Decision& decision : decisions)
            say("# {} {}: {}\n", name_of(decision.what), decision.subject, decision.reason);
    });
    say_error(outcome.message);
    return outcome.exit_code;
}

}  // namespace tenon
