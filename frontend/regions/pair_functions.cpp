#include "frontend/regions/pair_functions.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include <fmt/format.h>

#include "frontend/record/capture_trace.h"
#include "frontend/record/tensor_dispatch.h"
#include "frontend/regions/traced_region.h"
#include "frontend/values/errors.h"
#include "ir/build/copier.h"
#include "ir/ops/attention_pairs.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

constexpr std::array<std::string_view, 5> numbers{"s", "b", "h", "i", "j"};

[[noreturn]] void refuse(std::string_view what, std::string why, Span call, Span place) {
    Diagnostic d;
    d.kind = "graph";
    d.message = fmt::format("the {} of attention cannot be computed pair by pair: {}", what, why);
    d.span = call;
    if (place && place != call) d.labels.push_back({place, "here"});
    d.help =
        "arithmetic on its numbers and on elements of tensors that it reads, a choice as `where(c, a, b)`; the "
        "rest belongs before the call";
    throw Error(std::move(d));
}

void check_result(std::string_view what, const TensorObject& result, DType dtype, Span call) {
    if (result.rank() == 0 && result.dtype() == dtype) return;
    Diagnostic d;
    d.kind = "type";
    d.message = fmt::format("the {} of attention gives one {} for a pair, but this is {}", what, name_of(dtype),
                            describe_type(result));
    d.span = call;
    d.help = dtype == DType::boolean ? "compare: true means that query i sees key j" : "cast it with `x.to(dtype)`";
    throw Error(std::move(d));
}

TracedRegion trace(Tracer& tracer, std::string_view what, DType dtype, std::span<const std::string_view> names,
                   DType result_dtype, const PairFunction& function, Span written) {
    const Span call = tracer.dispatcher().span();
    const auto run = [&] {
        const Dispatcher::Operation own(tracer.dispatcher(), {});  // what the call was given is not the function's
        std::vector<TensorRef> given;
        for (std::string_view name : names)
            given.push_back(tracer.capture().trace().number(name == "s" ? dtype : DType::i64, name));
        TensorRef result = function(given);
        check_result(what, *result, result_dtype, call);
        return std::vector<TensorRef>{std::move(result)};
    };
    std::string why;
    Diagnostic cause;
    std::optional<TracedRegion> region = trace_region(tracer, run, why, &cause);
    if (!region && !cause.kind.empty() && cause.kind != "graph") throw Error(std::move(cause));  // its own
    if (!region) refuse(what, std::move(why), call, cause.span ? cause.span : written);
    NodeId where;
    if (why = attention::why_no_pair_function(*region->graph, where); !why.empty())
        refuse(what, std::move(why), call, region->graph->origin(where).span);
    return std::move(*region);
}

// That which changes nothing: s itself, and true.
TracedRegion nothing(Context& context, DType dtype, std::span<const std::string_view> names) {
    Builder builder(context);
    for (std::string_view name : names)
        builder.parameter(context.tensor(name == "s" ? dtype : DType::i64, {}), context.name(name));
    const NodeId result = names[0] == "s" ? builder.params()[0] : builder.literal(true, DType::boolean);
    return {builder.finish({result}), {}, {}};
}

// The region with the parameters that both have: its own numbers, and then all that is captured, with the metadata of the
// call.
GraphRef with_parameters(const TracedRegion& region, size_t own, std::span<const TypeId> captured,
                         std::span<const size_t> places, MetaId meta) {
    const Graph& graph = *region.graph;
    Builder builder(*graph.context);
    Copier copy(graph, builder);
    const Builder::StampScope scope(builder, Stamp{.origin = {}, .meta = meta, .flags = 0});
    for (NodeId p : graph.params().first(own)) copy.map(p, builder.parameter(graph[p].type, graph.names[p.index]));
    std::vector<NodeId> shared;
    for (TypeId type : captured) shared.push_back(builder.parameter(type));
    for (size_t k = 0; k < places.size(); ++k) copy.map(graph.params()[own + k], shared[places[k]]);
    for (const SizeSymbol& s : graph.symbols) builder.symbol(NodeId::none(), defined_around, s.hint, s.name);
    builder.known_sizes().add(graph.equalities);
    copy.copy_body();
    return copy.finish();
}

}  // namespace

PairRegions trace_pair_functions(Tracer& tracer, DType dtype, const PairFunction* score, const PairFunction* mask,
                                 Span score_at, Span mask_at) {
    Context& context = tracer.context();
    const std::span<const std::string_view> of_score(numbers), of_mask = of_score.subspan(1);
    const std::array<TracedRegion, 2> traced{
        score ? trace(tracer, "score function", dtype, of_score, dtype, *score, score_at)
              : nothing(context, dtype, of_score),
        mask ? trace(tracer, "mask function", dtype, of_mask, DType::boolean, *mask, mask_at)
             : nothing(context, dtype, of_mask)};
    PairRegions regions;
    std::unordered_map<const TensorObject*, size_t> place_of;
    std::vector<TypeId> types;
    std::array<std::vector<size_t>, 2> places;
    const std::array<size_t, 2> own{of_score.size(), of_mask.size()};
    for (size_t r = 0; r < 2; ++r)
        for (size_t k = own[r]; k < traced[r].operands.size(); ++k) {
            const TensorRef& x = traced[r].operands[k];
            const auto [known, fresh] = place_of.try_emplace(x.get(), regions.captured.size());
            if (fresh) {
                regions.captured.push_back(x);
                types.push_back((*traced[r].graph)[traced[r].graph->params()[k]].type);
            }
            places[r].push_back(known->second);
        }
    const MetaId meta = tracer.dispatcher().meta();
    regions.score = with_parameters(traced[0], own[0], types, places[0], meta);
    regions.mask = with_parameters(traced[1], own[1], types, places[1], meta);
    return regions;
}

}  // namespace tenon
