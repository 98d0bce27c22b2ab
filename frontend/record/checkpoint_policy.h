// What a checkpoint does with the values inside it: each is computed again in backward, or kept, as its policy has it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string_view>
#include <utility>

#include "frontend/values/value.h"
#include "ir/context.h"
#include "ir/graph.h"

namespace tenon {

class TensorObject;
class Tracer;

/// The session's side: how a policy is asked, and that it does nothing but answer.
class CheckpointPolicies {
public:
    explicit CheckpointPolicies(Tracer& tracer) : tracer_(tracer) {}
    /// What a policy answers. Throws where it does anything with tensors, or would end the graph.
    Value ask(const Value& policy, std::span<const Value> arguments);
    /// Throws where a policy is being asked.
    void refuse() const {
        if (is_asking_) fail();
    }
    /// `checkpoint_name`: what the policies of the checkpoints around know x by.
    void name_value(TensorObject& x, std::string_view name);

private:
    [[noreturn]] static void fail();
    Tracer& tracer_;
    bool is_asking_ = false;
};

/// A function of the script from (op, name) to must_save, prefer_save, prefer_recompute or must_recompute. `name` is what
/// checkpoint_name calls the value, none where it calls it nothing. Asked once for each pair, while the checkpoint runs.
class CheckpointPolicy {
public:
    CheckpointPolicy(Tracer& tracer, Value function, Span place)
        : tracer_(tracer), function_(std::move(function)), place_(place) {}
    /// Among `policy_flags`. Throws Error where the function answers something else, or does more than to answer.
    uint8_t flags(Op op, NameId name);

private:
    Tracer& tracer_;
    const Value function_;
    const Span place_;  // of the checkpoint
    std::map<std::pair<uint32_t, uint32_t>, uint8_t> known_;
};

/// The flags of a value in two checkpoints, of which one is in the other: kept is what both keep.
constexpr uint8_t both_policies(uint8_t a, uint8_t b) {
    const uint8_t saved = a & b & save_flag;
    // A must counts where it speaks for what is done.
    const auto insists = [&](uint8_t word) { return (word & must_flag) && (word & save_flag) == saved; };
    return uint8_t(recompute_flag | saved | (insists(a) || insists(b) ? must_flag : 0));
}

}  // namespace tenon
