#include "frontend/regions/branch.h"

#include <fmt/format.h>

#include "frontend/record/capture_trace.h"
#include "frontend/record/tensor_dispatch.h"
#include "frontend/regions/traced_region.h"
#include "frontend/values/errors.h"
#include "ir/differentiate/regions.h"
#include "ir/row.h"

namespace tenon {

namespace {

std::string why_types(std::span<const TensorRef> yes, std::span<const TensorRef> no, const BranchRules& rules) {
    for (size_t k = 0; k < std::min(yes.size(), no.size()); ++k)
        if (yes[k]->dtype() != no[k]->dtype() || yes[k]->shape() != no[k]->shape())
            return fmt::format("{} is {} on the one side and {} on the other", rules.name(k), describe_type(*yes[k]),
                               describe_type(*no[k]));
    return yes.size() == no.size() ? std::string() : "the sides give different structures";
}

// Eagerly the ops of the side taken are all there is: what only the other one leads to has no gradient then.
std::string why_gradients(std::span<const TracedRegion> sides, std::span<const TensorRef> operands) {
    std::vector<size_t> histories;
    for (size_t k = 0; k < operands.size(); ++k)
        if (operands[k]->requires_grad()) histories.push_back(k);
    if (histories.empty()) return {};
    const Reach yes = reach_of(*sides[0].graph, histories), no = reach_of(*sides[1].graph, histories);
    for (const Reach& side : {yes, no})
        if (!side.without_gradient.empty()) return fmt::format("{} has no gradient", side.without_gradient);
    for (size_t h = 0; h < histories.size(); ++h)
        if (yes.from[h] != no.from[h])
            return fmt::format("a gradient leads to {} from one side only", describe_type(*operands[histories[h]]));
    return {};
}

}  // namespace

std::optional<std::vector<TensorRef>> append_branch(Tracer& tracer, const TensorRef& condition, BranchSide yes,
                                                    BranchSide no, const BranchRules& rules, std::string& why) {
    for (int attempt = 0; attempt < 3 && tracer.capturing(); ++attempt) {
        Capture& outside = tracer.capture();
        const bool may_break = outside.trace().may_break();
        const uint64_t serial = outside.serial();
        std::array<TracedRegion, 2> sides;
        std::array<std::vector<TensorRef>, 2> results;
        for (size_t s = 0; s < 2; ++s) {
            const auto run = [&] { return results[s] = s == 0 ? yes() : no(); };
            std::optional<TracedRegion> side = trace_region(tracer, run, why);
            if (!side) {
                why = fmt::format("the side for {}: {}", s == 0 ? "true" : "false", why);
                return std::nullopt;
            }
            sides[s] = std::move(*side);
        }
        if (outside.serial() != serial) continue;
        if (why = why_types(results[0], results[1], rules); !why.empty()) return std::nullopt;
        for (const TracedRegion& side : sides)
            for (size_t k = 0; may_break && k < side.shown.size(); ++k)
                if (side.shown[k] && !rules.may_show(k, *side.shown[k])) {
                    why = fmt::format("{} may share the memory of another tensor", rules.name(k));
                    return std::nullopt;
                }
        std::vector<TensorRef> operands = share_operands(sides);
        if (may_break && tracer.dispatcher().grad_enabled())
            if (why = why_gradients(sides, operands); !why.empty()) return std::nullopt;
        operands.insert(operands.begin(), condition);
        std::vector<TensorObject*> all;
        for (const TensorRef& x : operands) all.push_back(x.get());
        outside.admit(all);
        if (outside.serial() != serial) continue;
        return outside.trace().append_regions(op<"cond">(), operands, {}, {{sides[0].graph, sides[1].graph}});
    }
    why = "the graph ended before it";
    return std::nullopt;
}

}  // namespace tenon
