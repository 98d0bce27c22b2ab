// What a backward through an entry of the tape needs, and whether it is still there.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "frontend/record/tape.h"
#include "runtime/diagnostic.h"

namespace tenon {

class Dispatcher;

/// Error "gradient": a value of this type ("f32[2]") is gone, by the write, that the op at `saved` needs.
[[noreturn]] void throw_overwritten(std::string_view type, Span saved, Span write);

/// A backward has used up the history that another one needs.
Diagnostic used_up_history();

struct Missing {
    Diagnostic error;
    bool is_certain;  ///< else another op of the graph taken apart may be the one that misses something, and this one not
};
/// What a backward misses that goes through the entry from the results `present` (empty: all): its history has been used
/// up on the way to the edges `wanted` (read where part of it is), or what it needs has been overwritten, and leads to
/// the edges `live` (empty: all). Which of a graph's ops misses something first is known by these alone (Tape::unfold).
std::optional<Missing> missing(const Dispatcher& dispatcher, const TapeEntry& entry,
                               const std::vector<bool>& present, const std::vector<bool>& wanted,
                               const std::vector<bool>& live);

}  // namespace tenon
