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

}  // namespace tenon
