#include "frontend/regions/traced_region.h"

#include <algorithm>
#include <unordered_map>

#include "frontend/autograd/differentiation.h"
#include "frontend/record/capture_trace.h"
#include "ir/build/copier.h"
#include "ir/passes/passes.h"
#include "ir/row.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

// Why a graph is not to be a region; empty where it may be.
std::string why_not(const Graph& graph, const Capture* outside) {
    for (NodeId id : graph.body()) {
        if (row(graph[id].op).effect != Effect::none) return "it asserts";
        if (graph[id].flags & recompute_flag) return "a checkpoint lies inside it";
    }
    if (outside && graph.symbols.size() > outside->trace().hints().size())
        return "a number of the host is a size in it";
    return {};
}

GraphRef with_parameters(const Graph& graph, std::span<const TypeId> types, std::span<const size_t> places) {
    Builder builder(*graph.context);
    Copier copy(graph, builder);
    std::vector<NodeId> made;
    for (TypeId type : types) made.push_back(builder.parameter(type));
    for (size_t k = 0; k < places.size(); ++k) copy.map(graph.params()[k], made[places[k]]);
    for (const SizeSymbol& s : graph.symbols) builder.symbol(NodeId::none(), defined_around, s.hint, s.name);
    builder.known_sizes().add(graph.equalities);
    copy.copy_body();
    return copy.finish();
}

}  // namespace

std::optional<TracedRegion> trace_region(Tracer& tracer, FunctionRef<std::vector<TensorRef>()> run, std::string& why,
                                         Diagnostic* cause) {
    Capture* const outside = tracer.capturing() ? &tracer.capture() : nullptr;
    const Span span = tracer.dispatcher().span();
    try {
        TracedRegion region;
        const Tracer::Tracing tracing(tracer);
        Capture& capture = tracer.capture();
        capture.trace().begin_example(outside, 1, true);
        const std::vector<TensorRef> results = run();
        tracer.dispatcher().set_span(span);
        capture.journal().forget_unseen();
        if (!capture.journal().is_empty()) {
            why = "it writes to what it has not made, or draws random numbers";
            return std::nullopt;
        }
        std::vector<uint32_t> memories;
        for (const TensorRef& result : results) {
            region.shown.push_back(capture.trace().shown_by(*result));
            const uint32_t memory = capture.trace().memory_of(*result);
            const auto same = std::find(memories.begin(), memories.end(), memory);
            if (!region.shown.back() && same != memories.end())
                region.shown.back() = results[size_t(same - memories.begin())];
            memories.push_back(memory);
        }
        std::vector<Capture::Trace::ExampleInput> inputs;
        region.graph = inline_calls(*capture.trace().end_example(results, inputs));
        for (const Capture::Trace::ExampleInput& input : inputs) region.operands.push_back(input.tensor);
        why = why_not(*region.graph, outside);
        if (why.empty()) return region;
    } catch (const Error& error) {
        why = error.diagnostic.message;  // where it is taken it ends the same way
        if (cause) *cause = error.diagnostic;
    } catch (const OuterHistoryNeeded&) { why = "it asks for a gradient of what was computed outside of it"; }
    tracer.dispatcher().set_span(span);
    return std::nullopt;
}

std::vector<TensorRef> share_operands(std::span<TracedRegion> regions, std::span<const TensorRef> first) {
    std::vector<TensorRef> all(first.begin(), first.end());
    std::unordered_map<const TensorObject*, size_t> place_of;
    std::vector<TypeId> types(first.size());
    std::vector<std::vector<size_t>> places;
    for (const TracedRegion& region : regions) {
        std::vector<size_t>& mine = places.emplace_back();
        for (size_t k = 0; k < region.operands.size(); ++k) {
            const TypeId type = (*region.graph)[region.graph->params()[k]].type;
            if (k < first.size()) {
                types[k] = type;
                mine.push_back(k);
                continue;
            }
            const auto [known, fresh] = place_of.try_emplace(region.operands[k].get(), all.size());
            if (fresh) {
                all.push_back(region.operands[k]);
                types.push_back(type);
            }
            mine.push_back(known->second);
        }
    }
    for (size_t k = 0; k < regions.size(); ++k) regions[k].graph = with_parameters(*regions[k].graph, types, places[k]);
    return all;
}

}  // namespace tenon
