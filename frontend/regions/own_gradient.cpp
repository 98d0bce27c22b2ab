#include "frontend/regions/own_gradient.h"

#include <algorithm>

#include "frontend/record/capture_trace.h"
#include "frontend/record/tensor_dispatch.h"
#include "frontend/regions/traced_region.h"
#include "ir/build/copier.h"
#include "ir/regions.h"
#include "ir/row.h"

namespace tenon {

namespace {

/// The region with its cotangent first, and what it has captured after that.
struct OwnRegion {
    GraphRef graph;  // null: it does not read its cotangent
    std::vector<TensorRef> captured;
};

OwnRegion with_cotangent_first(const TracedRegion& traced, const TensorObject& cotangent) {
    const Graph& graph = *traced.graph;
    OwnRegion made;
    Builder builder(*graph.context);
    Copier copy(graph, builder);
    for (size_t k = 0; k < traced.operands.size(); ++k) {
        if (traced.operands[k].get() == &cotangent) copy.copy_parameter(graph.params()[k]);
    }
    if (builder.params().empty()) return made;
    for (size_t k = 0; k < traced.operands.size(); ++k) {
        if (traced.operands[k].get() == &cotangent) continue;
        copy.copy_parameter(graph.params()[k]);
        made.captured.push_back(traced.operands[k]);
    }
    for (const SizeSymbol& s : graph.symbols) builder.symbol(NodeId::none(), defined_around, s.hint, s.name);
    builder.known_sizes().add(graph.equalities);
    copy.copy_body();
    made.graph = copy.finish();
    return made;
}

}  // namespace

std::optional<TensorRef> append_with_gradient(Tracer& tracer, const TensorRef& value, std::span<const TensorRef> wrt,
                                              OwnBackward backward, std::string& why) {
    Dispatcher& d = tracer.dispatcher();
    for (int attempt = 0; attempt < 3 && tracer.capturing(); ++attempt) {
        Capture& outside = tracer.capture();
        const TensorRef cotangent = d.apply(op<"detach">(), {value});
        const uint64_t serial = outside.serial();
        std::vector<TensorRef> operands;
        const auto run = [&] {
            operands = {value};
            std::vector<TensorRef> gradients = backward(cotangent);
            for (size_t k = 0; k < wrt.size(); ++k)
                if (gradients[k]) operands.push_back(wrt[k]);
            std::erase(gradients, TensorRef());
            return gradients;
        };
        const std::optional<TracedRegion> traced = trace_region(tracer, run, why);
        if (!traced) return std::nullopt;
        if (outside.serial() != serial) continue;
        const OwnRegion region = with_cotangent_first(*traced, *cotangent);
        if (std::find(region.captured.begin(), region.captured.end(), value) != region.captured.end()) {
            why = "its backward reads its result";  // to derivatives of higher orders a constant there
            return std::nullopt;
        }
        if (!region.graph) {
            why = "its backward does not read its cotangent";
            return std::nullopt;
        }
        const OwnGradientForm form(operands.size() - 1);
        operands.insert(operands.end(), region.captured.begin(), region.captured.end());
        std::vector<TensorObject*> all;
        for (const TensorRef& x : operands) all.push_back(x.get());
        outside.admit(all);
        if (outside.serial() != serial) continue;
        return outside.trace().append_regions(op<"with_gradient">(), operands, form.attr(tracer.context()),
                                              {{region.graph}})[0];
    }
    why = "the graph ended before it";
    return std::nullopt;
}

}  // namespace tenon
