// trace, joint, stats, compile, …: graphs and what the session did, as built-ins.
#include <charconv>

#include <fmt/format.h>

#include "frontend/builtins/explain.h"
#include "frontend/builtins/tensor.h"
#include "frontend/compile/counters.h"
#include "frontend/evaluate/session.h"
#include "frontend/graphs/graph_values.h"
#include "frontend/methods/tables.h"
#include "frontend/record/capture_trace.h"
#include "frontend/syntax/utf8.h"
#include "frontend/values/function.h"
#include "frontend/values/models.h"
#include "frontend/values/structure.h"
#include "ir/passes/passes.h"
#include "jit/machine.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

struct Traced {
    GraphRef graph;
    std::vector<size_t> wrt;  // inputs that require a gradient
    size_t arguments = 0;     // how many of the inputs were given
    bool returns_tuple = false;
};

// The tensors of an argument and what the graph calls them: "x", "x_0" in a list, its key in a dict.
void name_inputs(const Value& argument, const std::string& argument_name, std::vector<Capture::Trace::Input>& inputs) {
    for_each_leaf_at(argument, [&](const Value& leaf, std::span<const Step> path) {
        auto* tensor = leaf.try_as<TensorObject>();
        if (!tensor) return;
        std::string name = argument_name;
        for (const Step& step : path) {
            if (step.key.is_unset()) name += fmt::format("_{}", step.position);
            else if (step.key.is<StringObject>()) name = text_of(step.key);
        }
        inputs.push_back({tensor, name});
    });
}

const FunctionObject* declaration_of(const Value& f) {
    if (const auto* function = f.try_as<FunctionObject>()) return function;
    if (const auto* method = f.try_as<BoundMethodObject>()) return method->function.try_as<FunctionObject>();
    if (const auto* model = f.try_as<ModelObject>()) {
        const int64_t forward = model->model_class->method_number(symbols::forward);
        if (forward >= 0) return model->model_class->methods[static_cast<size_t>(forward)].try_as<FunctionObject>();
    }
    return nullptr;
}

// Numbers are tensors of a graph's results; what is neither is none of them.
std::vector<TensorRef> graph_results(Dispatcher& d, const Value& returned) {
    std::vector<TensorRef> out;
    for_each_leaf(returned, [&](const Value& leaf) {
        if (leaf.is_tensor()) {
            out.push_back(leaf.ref<TensorObject>());
        } else if (leaf.is_number() || leaf.is_bool() || leaf.is_symbolic()) {
            const ops::Term term = ops::term_of(d, leaf, true, "a result");
            out.push_back(term.tensor ? term.tensor : ops::full(d, term, term.dtype(), {}));
        }
    });
    return out;
}

// Arguments: f, *arguments; fixed?, **keywords.
Traced trace_function(Evaluator& e, Arguments& a, bool outline, bool constants) {
    TensorCall c(e, a);
    if (c.tracer.capturing()) c.tracer.graph_break("a graph is traced", a.span);
    Traced traced;
    const Values* given = items_of(a[1]);
    std::vector<KeywordArgument> keywords;
    std::vector<std::string> names;
    if (a.has(2) && a[2].is<DictObject>()) {
        for (const DictObject::Entry& entry : a[2].as<DictObject>().entries())
            keywords.push_back({text_of(entry.key), entry.value});
    }
    if (a.has(3)) {
        for (const DictObject::Entry& entry : a[3].as<DictObject>().entries())
            keywords.push_back({text_of(entry.key), entry.value});
    }
    std::vector<Capture::Trace::Input> inputs;
    const FunctionObject* declared = declaration_of(a[0]);
    for (size_t k = 0; given && k < given->size(); ++k) {
        std::string name = fmt::format("arg_{}", k);
        if (declared && k < declared->function.parameters.size())
            name = e.session().symbols().text(declared->function.parameters[k].name);
        name_inputs((*given)[k], name, inputs);
    }
    for (const KeywordArgument& keyword : keywords) name_inputs(keyword.value, std::string(keyword.name), inputs);
    std::string name = "f";
    if (declared) name = e.session().symbols().text(declared->function.name);
    if (const auto* model = a[0].try_as<ModelObject>()) name = model->model_class->name();
    if (name.empty()) name = "f";

    Tracer::Tracing tracing(c.tracer);
    Capture& capture = c.tracer.capture();
    capture.trace().begin(inputs, constants);
    const Value returned = e.call(a[0], given ? std::span<const Value>(*given) : std::span<const Value>(), keywords);
    const std::vector<TensorRef> results = graph_results(c.d, returned);
    traced.returns_tuple = items_of(returned) != nullptr;
    traced.graph = capture.trace().end(results, name, outline, &traced.wrt);
    traced.arguments = inputs.size();
    return traced;
}

Value trace(Evaluator& e, Arguments& a) {
    Traced traced = trace_function(e, a, true, true);
    return make_ref<GraphObject>(std::move(traced.graph), traced.returns_tuple);
}

Value joint(Evaluator& e, Arguments& a) {
    Traced traced = trace_function(e, a, true, false);
    const Graph& graph = *traced.graph;
    std::vector<size_t> results, wrt = traced.wrt;
    for (size_t k = 0; k < graph.results().size(); ++k) {
        if (is_float(graph.type(graph.results()[k]).dtype)) results.push_back(k);
    }
    if (wrt.empty()) {  // nothing requires a gradient: the float arguments do
        for (size_t k = 0; k < traced.arguments && k < graph.params().size(); ++k) {
            if (is_float(graph.type(graph.params()[k]).dtype)) wrt.push_back(k);
        }
    }
    const Joint both = make_joint(graph, results, wrt, false);
    const Split split = split_joint(both);
    return make_ref<RecordObject>("joint", std::vector<RecordObject::Field>{
                                               {"captured", make_ref<GraphObject>(traced.graph, traced.returns_tuple)},
                                               {"graph", make_ref<GraphObject>(recompute(both), true)},
                                               {"forward", make_ref<GraphObject>(split.forward, true)},
                                               {"backward", make_ref<GraphObject>(split.backward, true)}});
}

Value graph_from(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    return make_ref<GraphObject>(read_graph(e, a.text(0, "text"), a.span));
}

// A tensor with a type but no elements, for trace.
Value meta(Evaluator& e, Arguments& a) {  // dtype, *sizes
    TensorCall c(e, a);
    Tensor geometry;
    geometry.dtype = c.dtype_or(0, DType::f32);
    geometry.shape = values_of(c.sizes(1));
    geometry.strides = contiguous_strides(geometry.shape);
    return make_ref<TensorObject>(std::move(geometry));
}

Value record(std::string name, std::vector<RecordObject::Field> fields) {
    return make_ref<RecordObject>(std::move(name), std::move(fields));
}

Value events(Evaluator& e, const Events& all) {
    Values list;
    for (const Event& event : all.after(0)) {
        list.push_back(record(
            "event",
            {{"function", make_text(event.function)},
             {"reason", make_text(event.reason)},
             {"line", event.span ? Value(static_cast<int64_t>(e.session().sources().line(event.span))) : Value()}}));
    }
    return make_list(std::move(list));
}

Value stats(Evaluator& e, Arguments&) {
    const Counters& n = e.tracer().counters();
    const KernelCounters& kernels = e.tracer().machine().counters();
    return record(
        "stats",
        {{"captures", Value(n.captures)},
         {"compiles", Value(n.compiles)},
         {"graphs", record("graphs", {{"forward", Value(n.graphs_forward)}, {"backward", Value(n.graphs_backward)}})},
         {"graph_breaks", Value(n.graph_breaks)},
         {"recompiles", Value(n.recompiles)},
         {"cache_hits", Value(n.cache_hits)},
         {"kernels", record("kernels", {{"llvm", Value(kernels.llvm)},
                                        {"interp", Value(kernels.interp)},
                                        {"cuda", Value(kernels.cuda)},
                                        {"eager", Value(kernels.eager)}})},
         {"autodiff", record("autodiff", {{"ok", Value(n.autodiff_ok)}, {"failed", Value(n.autodiff_failed)}})},
         {"cudagraph", record("cudagraph", {{"captures", Value(0)}, {"replays", Value(0)}, {"skips", Value(0)}})},
         {"breaks", events(e, n.breaks)},
         {"recompilations", events(e, n.recompilations)}});
}

Value reset(Evaluator& e, Arguments&) {
    e.session().reset();
    return {};
}

/// What `compile(f, …)` gives.
class CompiledFunction final : public Object {
public:
    CompiledFunction(Value function, bool fullgraph, bool dynamic, bool backward, std::optional<Engine> engine,
                     MemoryBudget memory)
        : Object(Kind::other), function_(std::move(function)), fullgraph_(fullgraph), dynamic_(dynamic),
          backward_(backward), engine_(engine), memory_(memory) {}
    void visit_children(FunctionRef<void(const Value&)> visit) const override { visit(function_); }
    void drop_children() override { function_ = {}; }

    bool call(Evaluator& e, std::span<const Value> positional, std::span<const KeywordArgument> keywords,
              Value& result) override {
        Tracer& tracer = e.tracer();
        if (!fullgraph_) {
            result = run(e, positional, keywords);
            return true;
        }
        const Tracer::FullGraph fullgraph(tracer);
        try {
            result = run(e, positional, keywords);
        } catch (const Error&) {  // of what came after a break
            fullgraph.check();
            throw;
        }
        fullgraph.check();
        return true;
    }

private:
    Value run(Evaluator& e, std::span<const Value> positional, std::span<const KeywordArgument> keywords) const {
        Tracer& tracer = e.tracer();
        const Tracer::StayCaptured stay(tracer);
        struct Restore {
            Tracer& tracer;
            TracerOptions options;
            CompiledBackward compiled_backward;
            ~Restore() {
                tracer.set_options(options);
                tracer.backward.mode = compiled_backward;
                tracer.capture().set_dynamic(false);
            }
        } restore{tracer, tracer.options(), tracer.backward.mode};
        if (backward_ && tracer.backward.mode != CompiledBackward::refused) {
            tracer.backward.mode = dynamic_ ? CompiledBackward::dynamic : CompiledBackward::automatic;
        }
        TracerOptions options = tracer.options();
        // What has to be one graph is one graph on every engine: its breaks are found by capturing it. So is what has to
        // fit into memory: op by op nothing is planned.
        if (memory_.is_given()) options.memory = memory_;
        if ((fullgraph_ || memory_.is_given()) && options.engine == Engine::eager) options.engine = Engine::interp;
        tracer.set_options(options);
        if (!tracer.wants_capture(this)) return e.call(function_, positional, keywords);
        if (engine_ && restore.options.engine != Engine::eager) options.engine = *engine_;
        tracer.set_options(options);
        tracer.capture().set_dynamic(dynamic_);
        const FunctionObject* declared = declaration_of(function_);
        const std::string name =
            declared ? e.session().symbols().text(declared->function.name) : std::string("compile");
        const CallSite site{e.here(), name, declared ? declared->function.name_span : Span(), this};
        return e.border().captured_call(site, [&] { return e.call(function_, positional, keywords); });
    }

    Value function_;
    bool fullgraph_, dynamic_, backward_;
    std::optional<Engine> engine_;
    MemoryBudget memory_;
};

// 0.5, 64000000, "64 MB"
MemoryBudget memory_budget(const Value& given, Span span) {
    const auto fail = [&](std::string message) {
        throw Error(
            Diagnostic{"value",
                       std::move(message),
                       span,
                       {},
                       "a float up to 1 is a fraction of what a call takes without (`memory: 0.5`), an int counts "
                       "bytes, and a str has a unit: \"64 MB\", \"1.5 GiB\""});
    };
    if (given.is_int()) {
        if (given.as_int() < 2) fail(fmt::format("a memory budget of {} is no number of bytes", given.as_int()));
        return {.fraction = 0, .bytes = static_cast<uint64_t>(given.as_int())};
    }
    if (given.is(Kind::real)) {
        if (!(given.as_real() > 0 && given.as_real() <= 1))
            fail(fmt::format("a memory budget of {} is no fraction of what a call takes without", given.as_real()));
        return {.fraction = given.as_real(), .bytes = 0};
    }
    if (!given.is<StringObject>())
        fail(fmt::format("a memory budget is a number or a str, not {}", with_article(given.kind())));
    constexpr std::pair<std::string_view, double> units[] = {
        {"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}, {"TiB", 1099511627776.0},
        {"kB", 1e3},     {"KB", 1e3},        {"MB", 1e6},           {"GB", 1e9},
        {"TB", 1e12},    {"B", 1.0}};
    const std::string_view text = text_of(given);
    double count = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    std::string_view unit(rest, static_cast<size_t>(text.data() + text.size() - rest));
    while (unit.starts_with(' ')) unit.remove_prefix(1);
    for (const auto& [name, bytes] : units) {
        const double whole = count * bytes;
        if (error == std::errc() && unit == name && whole >= 2 && whole < 9e18)
            return {.fraction = 0, .bytes = static_cast<uint64_t>(whole)};
    }
    fail(fmt::format("\"{}\" is no size of memory", visible(text)));
    return {};
}

Value compile(Evaluator& e, Arguments& a) {  // f; fullgraph?, dynamic?, backward?, engine?, passes?, memory?
    if (a.has(5)) {
        throw Error(Diagnostic{"value",
                               "passes of one's own are not there yet",
                               a.span,
                               {},
                               "compile(f), with fullgraph:, dynamic:, backward:, engine: or memory:"});
    }
    std::optional<Engine> engine;
    if (a.has(4)) {
        const std::string& name = a.text(4, "engine");
        if (name == "jit") engine = Engine::jit;
        else if (name == "graph" || name == "joint" || name == "interp") engine = Engine::interp;
        else
            throw Error(Diagnostic{"value",
                                   fmt::format("there is no engine \"{}\"", name),
                                   a.span_of(4),
                                   {},
                                   "engines are \"graph\", \"joint\" and \"jit\""});
    }
    const bool dynamic = a.has(2) && a[2].is_bool() && a[2].as_bool();
    MemoryBudget memory;
    if (a.has(6) && !a[6].is_none()) memory = memory_budget(e.settled(a[6], a.span_of(6)), a.span_of(6));
    return make_ref<CompiledFunction>(a[0], a.flag_or(1, false, "fullgraph"), dynamic, a.flag_or(3, false, "backward"),
                                      engine, memory);
}

Value mark_dynamic(Evaluator& e, Arguments& a) {  // x, dim
    TensorCall c(e, a);
    const TensorRef x = c.tensor(0);
    x->dynamic_dims |= uint32_t{1} << normalise_dim(c.integer(1, "a dimension"), x->rank());
    return {};
}

Value lint(Evaluator&, Arguments& a) {
    verify(*a[0].as<GraphObject>().graph);
    return {};
}

Value rewrite(Evaluator&, Arguments& a) {
    throw Error(
        Diagnostic{"value",
                   "the rewriting of graphs is not there yet",
                   a.span,
                   {},
                   "`tenon opt` runs the compiler's own passes over a graph's text; `trace` and `joint` show graphs"});
}

constexpr KindSet callables =
    kinds(Kind::function, Kind::bound_method, Kind::builtin, Kind::model_class, Kind::model, Kind::graph, Kind::other);

const Builtin graph_table[] = {
    {"trace", "f, *arguments; fixed?, **keywords", callables, trace, 0,
     "the graph of a call, without running it; tensors of the arguments are its inputs, fixed: keyword arguments as a "
     "dict"},
    {"joint", "f, *arguments; fixed?, **keywords", callables, joint, 0,
     "(captured, graph, forward, backward): the graph of a call and of its gradients, whole and in its two halves"},
    {"explain", "f, *arguments; **keywords", callables, explain, breaks_graph,
     "runs a call and tells what was captured, compiled and fused for it, and why"},
    {"graph_from", "text", kinds(Kind::string), graph_from, 0, "the graph whose text this is"},
    {"meta", "dtype, *sizes", any_kind, meta, 0, "a tensor of a type and shape without elements, for trace"},
    {"lint", "g", kinds(Kind::graph), lint, 0, "checks that a graph is sound"},
    {"split", "g, by?, keep_original_order?, keep_names?", kinds(Kind::graph), rewrite, 0,
     "not there yet: cuts a graph into parts"},
    {"partition", "g, devices?, mode?", kinds(Kind::graph), rewrite, 0, "not there yet: places a graph on devices"},
    {"fuse", "g", kinds(Kind::graph), rewrite, 0, "not there yet: fuses a graph"},
    {"fold_batch_norm", "g", kinds(Kind::graph), rewrite, 0,
     "not there yet: takes normalisations into the layers before them"},
    {"stats", "", any_kind, stats, 0,
     "what has been counted so far: graphs, breaks, recompiles, cache hits, kernels, with reasons"},
    {"reset", "", any_kind, reset, breaks_graph,
     "forgets compiled graphs, counts and history, and begins the random numbers anew"},
    {"compile", "f; fullgraph?, dynamic?, backward?, engine?, passes?, memory?", callables, compile, 0,
     "f, captured whenever it is called; fullgraph: a break is an error, dynamic: sizes are symbolic from the first "
     "call on, backward: what backward does inside is captured and compiled by itself, memory: what a call and its "
     "backward may take, 0.5 of what they take without, or in bytes (\"64 MB\")"},
    {"mark_dynamic", "x, dim", tensors, mark_dynamic, 0,
     "makes a dimension of x symbolic in the next graph that takes it"},
};

}  // namespace

std::span<const Builtin> graph_builtins() { return graph_table; }

}  // namespace tenon
