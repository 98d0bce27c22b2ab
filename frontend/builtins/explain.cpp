#include "frontend/builtins/explain.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "frontend/builtins/tensor.h"
#include "frontend/compile/counters.h"
#include "frontend/evaluate/session.h"
#include "frontend/graphs/explain_graph.h"
#include "frontend/graphs/graph_values.h"
#include "frontend/record/capture.h"
#include "frontend/values/function.h"

namespace tenon {

using Json = nlohmann::ordered_json;

namespace {

// "f at f.model:1:4", or how the value prints.
std::string subject_of(Evaluator& e, const Value& called) {
    if (const auto* model = called.try_as<ModelObject>()) {
        const ast::Model& declared = model->model_class->model;
        return fmt::format("{} at {}", e.name_of(declared.name),
                           place_or_script(e.session().sources(), declared.name_span));
    }
    const auto* function = called.try_as<FunctionObject>();
    if (!function) return e.semantics().text(called);
    const ast::Function& declared = function->function;
    const std::string name = declared.name == Symbol::none ? std::string("a lambda") : e.name_of(declared.name);
    return fmt::format("{} at {}", name, place_or_script(e.session().sources(), declared.name_span));
}

}  // namespace

Value explain(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    const SourceMap& sources = e.session().sources();
    std::vector<KeywordArgument> keywords;
    if (a.has(2)) {
        for (const DictObject::Entry& entry : a[2].as<DictObject>().entries())
            keywords.push_back({text_of(entry.key), entry.value});
    }
    std::vector<CapturedGraph> log;
    const Counters& counters = c.tracer.counters();
    const uint64_t breaks = counters.breaks.count(), recompilations = counters.recompilations.count();
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
    for (const Event& event : counters.breaks.after(breaks)) broken.push_back(event_text(sources, event));
    for (const Event& event : counters.recompilations.after(recompilations)) compiled_again.push_back(event.reason);
    const Json told{{"subject", subject_of(e, a[0])},
                    {"breaks", broken},
                    {"recompiles", compiled_again},
                    {"graphs", explain_graphs(sources, log)}};
    std::string text = fmt::format("{}   {}, {}\n", subject_of(e, a[0]), counted(log.size(), "graph"),
                                   counted(broken.size(), "break"));
    append_lines(text, "broken by", broken);
    append_lines(text, "compiled again", compiled_again);
    std::string all = text;
    for (const Json& graph : told["graphs"]) {
        text += explanation_text(graph, false, false);
        all += explanation_text(graph, false, true);
    }
    Values graphs;
    for (const CapturedGraph& captured : log) graphs.push_back(make_ref<GraphObject>(captured.graph, true));
    auto strings = [](const std::vector<std::string>& lines) {
        Values items;
        for (const std::string& line : lines) items.push_back(make_text(line));
        return make_list(std::move(items));
    };
    auto record = make_ref<RecordObject>(
        "explain",
        std::vector<RecordObject::Field>{{"graphs", make_list(std::move(graphs))},
                                         {"breaks", strings(broken)},
                                         {"recompiles", strings(compiled_again)},
                                         {"json", make_text(told.dump(2, ' ', false, Json::error_handler_t::replace))},
                                         {"all", make_text(all)},
                                         {"result", result}});
    while (text.ends_with('\n')) text.pop_back();
    record->text = std::move(text);
    return record;
}

}  // namespace tenon
