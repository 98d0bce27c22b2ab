#include "frontend/record/checkpoint_policy.h"

#include <fmt/format.h>

#include "frontend/record/capture.h"
#include "frontend/record/tensor_dispatch.h"
#include "frontend/record/tracer.h"
#include "ir/row.h"
#include "runtime/diagnostic.h"

namespace tenon {

// It is asked in the middle of an operation, which holds ids of the graph.
Value CheckpointPolicies::ask(const Value& policy, std::span<const Value> arguments) {
    struct Asking {
        CheckpointPolicies& policies;
        const Span span = policies.tracer_.dispatcher().span();
        const bool outer = std::exchange(policies.is_asking_, true);
        ~Asking() {
            policies.is_asking_ = outer;
            policies.tracer_.dispatcher().set_span(span);
        }
    } asking{*this};
    return tracer_.services.call(policy, arguments, {});
}

void CheckpointPolicies::fail() {
    throw_error("value",
                "the policy of a checkpoint decides by an op and a name alone: it has no use for tensors, and ends no "
                "graph",
                "a policy is fn(op, name), without prints, breaks and tensors");
}

void CheckpointPolicies::name_value(TensorObject& x, std::string_view name) {
    if (!tracer_.capturing()) return;
    refuse();
    Capture& capture = tracer_.capture();
    if (capture.checkpoint_depth_ == 0) return;
    capture.admit({&x});
    const Capture::Holding holding(capture);
    capture.apply_policy(capture.node(x), tracer_.context().name(name));
}

uint8_t CheckpointPolicy::flags(Op op, NameId name) {
    const auto [known, added] = known_.try_emplace({op.row, name.index}, recompute_flag);
    if (!added) return known->second;
    const Value arguments[] = {make_text(row(op).name),
                               name ? Value(make_text(tracer_.context().text(name))) : Value()};
    try {
        const Value answer = tracer_.dispatcher().policies().ask(function_, arguments);
        const uint8_t flags = answer.is<StringObject>() ? flags_of_policy(text_of(answer)) : uint8_t(0);
        if (flags == 0)
            throw Error(Diagnostic{"value",
                                   fmt::format("the policy of this checkpoint answers {} for `{}`",
                                               answer.is<StringObject>() ? fmt::format("\"{}\"", text_of(answer))
                                                                         : with_article(answer.kind()),
                                               row(op).name),
                                   place_,
                                   {},
                                   "a policy is fn(op, name) and gives must_save, prefer_save, prefer_recompute or "
                                   "must_recompute"});
        return known->second = flags;
    } catch (...) {
        known_.erase(known);
        throw;
    }
}

}  // namespace tenon
