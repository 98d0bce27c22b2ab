// What a backward through an entry of the tape needs, and whether it is still there.
#pragma once

#include <string_view>
#include <vector>

#include "frontend/record/tape.h"

namespace tenon {

class Dispatcher;

/// Error "gradient": a value of this type ("f32[2]") is gone, by the write, that the op at `saved` needs.
[[noreturn]] void throw_overwritten(std::string_view type, Span saved, Span write);

/// Throws Error "gradient" where a backward has used the entry up, for cotangents from the results `present` (empty: all).
void check_used_up(const TapeEntry& entry, const std::vector<bool>& present);
/// The same where the graph itself has used up what lies between the results `present` and the wrt `wanted`.
void check_used_up_ops(const TapeEntry& entry, const std::vector<bool>& present, const std::vector<bool>& wanted);
/// The same where what a backward needs is gone.
void check_saved(const Dispatcher& dispatcher, const TapeEntry& entry, const std::vector<bool>& present);

// ---- paths through a captured graph
/// Which of the graph's wrt a path leads to from the differentiable results that are `present`.
std::vector<bool> reached_from(const CompiledGraph& compiled, const std::vector<bool>& present);
/// The same from its other end: which results a path leads from to what a backward has gone through, from the results
/// `present` to the wrt `wanted`. (Op by op these are the entries that it has used up.)
std::vector<bool> used_up_by(const CompiledGraph& compiled, const std::vector<bool>& present,
                             const std::vector<bool>& wanted);
/// Whether backward uses up the history that such an op makes: movement has kept nothing for its gradient.
bool keeps_history(Op op);
/// Whether one of the graph's results is computed from another, the `output`-th differentiable one.
bool leads_to_another_result(const CompiledGraph& compiled, uint32_t output);

}  // namespace tenon
