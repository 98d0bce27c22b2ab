#include "frontend/graph_replay.h"

#include <algorithm>
#include <cassert>

#include "frontend/graph_cache.h"
#include "frontend/tracer.h"
#include "ir/row.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

Scalar scalar_of(const AttrValue& value) {
    if (const auto* flag = std::get_if<bool>(&value.value)) return *flag;
    if (const auto* integer = std::get_if<int64_t>(&value.value)) return *integer;
    return std::get<double>(value.value);
}

// Sizes as constants: symbols take the values that the inputs show.
AttrValue with_sizes(Context& context, const AttrValue& value, std::span<const int64_t> symbols) {
    if (const auto* size = std::get_if<SizeId>(&value.value)) return AttrValue(context.constant(context.evaluate(*size, symbols)));
    if (const auto* list = std::get_if<AttrList>(&value.value)) {
        AttrList made;
        for (const AttrValue& item : *list) made.push_back(with_sizes(context, item, symbols));
        return AttrValue(std::move(made));
    }
    return value;
}

}    // namespace

std::vector<TensorRef> replay(Dispatcher& dispatcher, const Graph& source, std::span<const TensorRef> inputs, bool effects) {
    const GraphRef inlined = inline_calls(source);
    const Graph& graph = *inlined;
    Context& context = dispatcher.context();
    assert(inputs.size() == graph.params().size());
    std::vector<TensorRef> values(graph.nodes.size());
    for (size_t k = 0; k < inputs.size(); ++k) values[graph.params()[k].index] = inputs[k];
    std::vector<int64_t> symbols;
    for (const SizeSymbol& symbol : graph.symbols) {
        const TensorRef& definer = values[symbol.definer.index];
        symbols.push_back(definer && symbol.dim >= 0 ? definer->shape()[static_cast<size_t>(symbol.dim)] : symbol.hint);
    }
    auto argument = [&](NodeId id) -> Arg {
        if (values[id.index]) return Arg(values[id.index]);
        if (graph[id].op == op<"tensor">()) {
            values[id.index] = make_ref<TensorObject>(graph.tensors[static_cast<size_t>(graph.attributes(id).integer("index"))]);
            return Arg(values[id.index]);
        }
        assert(graph[id].op == op<"constant">());
        return Arg::literal(scalar_of(*graph.attributes(id).find("value")), graph.type(id).dtype);
    };
    auto tensor = [&](NodeId id) -> TensorRef {
        const Arg made = argument(id);
        if (!made.tensor) values[id.index] = make_ref<TensorObject>(Tensor::scalar(dispatcher.tracer().allocator(), made.dtype, made.number));
        return values[id.index];
    };
    auto attr_of = [&](NodeId id) {
        Record record = context[graph[id].attr];
        for (AttrEntry& entry : record) entry.value = with_sizes(context, entry.value, symbols);
        return context.attr(std::move(record));
    };
    // The view that is written is given as the way to it.
    auto update = [&](NodeId id) {
        const NodeId base = graph.operand(id, 0);
        std::vector<Dispatcher::Step> steps;
        for (NodeId link = graph.operand(id, 1); link != base; link = graph.operand(link, 0)) steps.push_back({graph[link].op, attr_of(link)});
        std::reverse(steps.begin(), steps.end());
        return dispatcher.updated(*tensor(base), steps, *tensor(graph.operand(id, 2)));
    };
    for (NodeId id : graph.body()) {
        const Row& r = row(graph[id].op);
        if (r.effect != Effect::none) {
            if (!effects) continue;    // they have happened
            if (graph[id].op == op<"assert">()) {
                const Attributes attributes = graph.attributes(id);
                const std::string message(attributes.has("message") ? attributes.text("message") : std::string_view());
                dispatcher.tracer().assert_tensor(Value(values[graph.operand(id, 0).index]), [&] { return message; }, true, dispatcher.span());
            } else if (graph[id].op == op<"commit">()) {
                dispatcher.write(*values[graph.operand(id, 0).index], *values[graph.operand(id, 1).index]);
            }
            continue;
        }
        const bool grad = dispatcher.grad_enabled() && !(graph[id].flags & no_grad_flag);
        const Dispatcher::GradMode mode(dispatcher, grad);
        if (graph[id].op == op<"update">()) {
            values[id.index] = update(id);
            continue;
        }
        std::vector<Arg> arguments;
        for (NodeId operand : graph.operands_of(id)) arguments.push_back(argument(operand));
        values[id.index] = dispatcher.apply(graph[id].op, arguments, attr_of(id));
    }
    std::vector<TensorRef> results;
    for (NodeId id : graph.results()) results.push_back(tensor(id));
    return results;
}

std::vector<TensorRef> replay_gradients(Dispatcher& dispatcher, const TapeEntry& entry, std::span<const TensorRef> cotangents) {
    std::vector<TensorRef> arguments;
    for (const TapeEntry::Input& input : entry.inputs) {
        if (input.tensor.storage && input.tensor.storage->version != input.version) {
            throw_error("gradient", "a tensor that a higher derivative needs was changed in place",
                        "write `x = x + e` instead of changing x in place");
        }
        auto tensor = make_ref<TensorObject>(input.tensor);
        if (input.edge.leaf) {
            tensor->autograd = input.edge.leaf;
        } else if (input.edge.entry) {
            Autograd& autograd = tensor->make_autograd();
            autograd.requires_grad = true;
            autograd.entry = input.edge.entry;
            autograd.output = input.edge.output;
        }
        arguments.push_back(std::move(tensor));
    }
    arguments.insert(arguments.end(), cotangents.begin(), cotangents.end());
    const Joint& joint = *entry.graph->joint();
    const std::vector<TensorRef> results = replay(dispatcher, *joint.graph, arguments);
    std::vector<TensorRef> gradients(joint.wrt.size());
    for (size_t k = 0, next = joint.outputs; k < joint.wrt.size(); ++k) {
        if (joint.reached[k]) gradients[k] = results[next++];
    }
    return gradients;
}

}    // namespace tenon
