#include "frontend/graphs/graph_values.h"

#include <fmt/format.h>

#include "frontend/evaluate/session.h"
#include "frontend/ops/tensor_data.h"
#include "frontend/replay/graph_replay.h"
#include "ir/row.h"
#include "runtime/diagnostic.h"

namespace tenon {

GraphRef read_graph(Evaluator& e, std::string_view text, Span reader, std::string_view name) {
    try {
        return parse_graph(e.session().context(), text);
    } catch (const Error&) {}
    // Read again as a text with a name and places, which errors show.
    const SourceId source = e.session().sources().add(std::string(name), std::string(text));
    try {
        return parse_graph(e.session().context(), text, source);
    } catch (Error& error) {
        error.diagnostic.labels.push_back({reader, "read here"});
        throw;
    }
}

Value from_attribute(const Context& context, const AttrValue& value) {
    if (const auto* flag = std::get_if<bool>(&value.value)) return Value(*flag);
    if (const auto* integer = std::get_if<int64_t>(&value.value)) return Value(*integer);
    if (const auto* real = std::get_if<double>(&value.value)) return Value(*real);
    if (const auto* name = std::get_if<NameId>(&value.value)) return make_text(context.text(*name));
    if (const auto* dtype = std::get_if<DType>(&value.value)) return Value(*dtype);
    if (const auto* size = std::get_if<SizeId>(&value.value)) {
        if (const auto constant = context.as_constant(*size)) return Value(*constant);
        return make_text(context.to_string(*size, {}));
    }
    if (const auto* list = std::get_if<AttrList>(&value.value)) {
        Values items;
        for (const AttrValue& item : *list) items.push_back(from_attribute(context, item));
        return make_list(std::move(items));
    }
    return {};
}

Value to_dict(const Context& context, const Record& record) {
    auto dict = make_ref<DictObject>();
    for (const AttrEntry& entry : record) dict->set(context.text(entry.key), from_attribute(context, entry.value));
    return dict;
}

std::string graph_text(Evaluator& evaluator, const Graph& graph) {
    SourceMap& sources = evaluator.session().sources();
    PrintOptions options;
    options.locate = [&sources](Span span) { return sources.place_in_listing(span); };
    return print(graph, options);
}

namespace {

bool is_outside_body(const Graph& graph, NodeId id) {
    return graph[id].op == op<"constant">() || graph[id].op == op<"tensor">();
}

void list_region(const Ref<GraphObject>& g, const Region& region, bool is_main, Values& out) {
    const Graph& graph = *g->graph;
    for (NodeId p : graph.params(region)) out.push_back(make_ref<NodeObject>(g, p, is_main ? "input" : "argument"));
    for (NodeId id : graph.body(region)) {
        for (unsigned k = 0; k < graph[id].regions; ++k) list_region(g, graph.region_of(id, k), false, out);
        out.push_back(make_ref<NodeObject>(g, id, graph[id].op == op<"call">() ? "call" : "op"));
    }
    out.push_back(make_ref<NodeObject>(g, region.yield, is_main ? "output" : "yield"));
}

Value shape_of(const Graph& graph, const Type& type) {
    Values sizes;
    const std::vector<std::string> names = graph.symbol_names();
    for (SizeId size : type.sizes) {
        if (const auto constant = graph.context->as_constant(size)) sizes.push_back(Value(*constant));
        else sizes.push_back(make_text(graph.context->to_string(size, names)));
    }
    return make_list(std::move(sizes));
}

}  // namespace

bool GraphObject::get_attribute(Evaluator&, std::string_view name, Value& value) {
    const Ref<GraphObject> self(this);
    if (name == "nodes") {
        Values nodes;
        list_region(self, graph->main(), true, nodes);
        value = make_list(std::move(nodes));
    } else if (name == "inputs") {
        Values nodes;
        for (NodeId p : graph->params()) nodes.push_back(make_ref<NodeObject>(self, p, "input"));
        value = make_list(std::move(nodes));
    } else if (name == "outputs") {
        Values nodes;
        for (NodeId r : graph->results()) nodes.push_back(make_ref<NodeObject>(self, r, "op"));
        value = make_list(std::move(nodes));
    } else if (name == "name") {
        value = make_text(graph->context->text(graph->name));
    } else {
        return false;
    }
    return true;
}

bool GraphObject::call(Evaluator& e, std::span<const Value> positional, std::span<const KeywordArgument> keywords,
                       Value& result) {
    for (NodeId id : graph->body()) {
        const Op lowered = (*graph)[id].op;
        if (lowered != op<"fusion">() && lowered != op<"kernel">()) continue;
        throw_error(
            "graph",
            fmt::format("a graph of fusions and kernels cannot be called, and this one has a {}", row(lowered).name),
            "call the graph that it was made of: `trace(f, …)` gives it");
    }
    Dispatcher& d = e.tracer().dispatcher();
    d.set_span(e.here());
    std::vector<TensorRef> inputs(graph->params().size());
    if (positional.size() > inputs.size())
        throw_error("arity", fmt::format("this graph takes {} inputs, but got {}", inputs.size(), positional.size()));
    auto tensor = [&](const Value& given) {
        return given.is_tensor() ? given.ref<TensorObject>() : ops::make_tensor(d, given, std::nullopt);
    };
    for (size_t k = 0; k < positional.size(); ++k) inputs[k] = tensor(positional[k]);
    for (const KeywordArgument& keyword : keywords) {
        size_t k = 0;
        while (k < inputs.size() && graph->name_of(graph->params()[k]) != keyword.name) ++k;
        if (k == inputs.size()) throw_error("arity", fmt::format("this graph has no input `{}`", keyword.name));
        inputs[k] = tensor(keyword.value);
    }
    for (size_t k = 0; k < inputs.size(); ++k) {
        const NodeId p = graph->params()[k];
        if (!inputs[k]) throw_error("arity", fmt::format("this graph's input `{}` was not given", graph->name_of(p)));
        const Type& type = graph->type(p);
        bool fits = type.dtype == inputs[k]->dtype() && type.sizes.size() == inputs[k]->rank();
        for (size_t d = 0; fits && d < type.sizes.size(); ++d) {
            const auto constant = graph->context->as_constant(type.sizes[d]);
            fits = !constant || *constant == inputs[k]->shape()[d];
        }
        if (!fits) {
            throw_error("shape", fmt::format("input `{}` of this graph is {}, but got {}", graph->name_of(p),
                                             print_type(*graph->context, (*graph)[p].type, graph->symbol_names()),
                                             describe_type(*inputs[k])));
        }
    }
    const std::vector<TensorRef> results = replay(d, *graph, inputs, {.effects = true});
    Values values(results.begin(), results.end());
    if (!returns_tuple && values.size() == 1) result = values[0];
    else if (!returns_tuple && values.empty()) result = Value();
    else result = make_tuple(std::move(values));
    return true;
}

std::string GraphObject::to_text(Evaluator& e) { return graph_text(e, *graph); }

bool NodeObject::get_attribute(Evaluator& e, std::string_view name, Value& value) {
    const Graph& g = *graph->graph;
    const Context& context = *g.context;
    const Type& type = g.type(id);
    if (name == "op") value = make_text(row(g[id].op).name);
    else if (name == "name")
        value = make_text(role == "output" || role == "yield" ? std::string_view(role) : g.name_of(id));
    else if (name == "kind") value = make_text(role);
    else if (name == "shape") value = type.is_tensor() ? shape_of(g, type) : Value();
    else if (name == "dtype") value = type.is_tensor() ? Value(type.dtype) : Value();
    else if (name == "type") value = make_text(print_type(context, g[id].type, g.symbol_names()));
    else if (name == "meta") value = to_dict(context, context[g.metas[id.index]]);
    else if (name == "line") {
        const Span span = g.origin(id).span;
        value = span ? Value(static_cast<int64_t>(e.session().sources().line(span))) : Value();
    } else if (name == "attributes") value = to_dict(context, context[g[id].attr]);
    else if (name == "recompute") value = Value((g[id].flags & (recompute_flag | save_flag)) == recompute_flag);
    else if (name == "policy") {
        if (g[id].flags & recompute_flag) value = make_text(policy_word(g[id].flags));
    } else if (name == "args") {
        Values args;
        for (NodeId operand : g.operands_of(id)) {
            if (g[operand].op == op<"constant">())
                args.push_back(from_attribute(context, *g.attributes(operand).find("value")));
            else args.push_back(make_ref<NodeObject>(graph, operand, g[operand].op == op<"param">() ? "input" : "op"));
        }
        value = make_list(std::move(args));
    } else {
        return false;
    }
    (void)is_outside_body;
    return true;
}

std::string NodeObject::to_text(Evaluator&) {
    return role == "input" || role == "argument" ? std::string(graph->graph->name_of(id))
                                                 : print_node(*graph->graph, id, {.origins = false, .locate = {}});
}

}  // namespace tenon
