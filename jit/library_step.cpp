#include "jit/library_step.h"

#include <fmt/format.h>

#include "runtime/diagnostic.h"

namespace tenon {

Dims shape_of(const Graph& g, TypeId type, std::span<const int64_t> symbols) {
    Dims shape;
    for (SizeId size : (*g.context)[type].sizes) shape.push_back(g.context->evaluate(size, symbols));
    return shape;
}

LibraryStep::Sizes LibraryStep::plan(std::span<const int64_t> symbols, Machine& machine) const {
    Sizes sizes;
    const auto view = [&](TypeId type) {
        const Type& t = (*graph_.context)[type];
        for (TypeId element : t.elements)
            sizes.views.push_back({nullptr, (*graph_.context)[element].dtype, shape_of(graph_, element, symbols)});
        if (t.is_tensor()) sizes.views.push_back({nullptr, t.dtype, shape_of(graph_, type, symbols)});
    };
    for (NodeId operand : graph_.operands_of(step_.node)) view(graph_[operand].type);
    view(graph_[step_.node].type);
    if (!step_.library.preparing) return sizes;
    const Preparation wanted = step_.library.preparing->find(call(sizes.views, machine));
    const size_t value = step_.reads[wanted.operand];  // parameters are the first values
    if (value >= first_captured_ && value < graph_.params().size()) sizes.preparation = wanted;
    return sizes;
}

void LibraryStep::decide(const Sizes& sizes, Decisions& decisions) const {
    const Preparation& wanted = sizes.preparation;
    if (wanted.bytes == 0) return;
    const NodeId operand = graph_.operands_of(step_.node)[wanted.operand];
    decisions.push_back({DecisionKind::kept, std::string(graph_.name_of(step_.node)),
                         fmt::format("all turns read {}: it is packed once for them, into {} KB",
                                     graph_.name_of(operand), (wanted.bytes + 1023) / 1024),
                         graph_.origins[step_.node.index]});
}

void LibraryStep::run(Sizes& sizes, std::span<std::byte* const> pointers, PreparedOperands* prepared,
                      Machine& machine) const {
    for (size_t k = 0; k < sizes.views.size(); ++k) sizes.views[k].data = pointers[k];
    LibraryCall call = this->call(sizes.views, machine);
    try {
        if (prepared && sizes.preparation.bytes > 0) call.prepared = prepared->find(sizes.preparation, call);
        step_.library.function(call);
    } catch (Error& error) {
        if (error.diagnostic.span.source == 0) error.diagnostic.span = graph_.origin(step_.node).span;
        throw;
    }
}

}  // namespace tenon
