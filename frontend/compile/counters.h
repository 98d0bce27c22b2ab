// What `stats()` shows: exact counts of what the session did, and why.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/span.h"

namespace tenon {

/// One break, recompile or skip, with its reason; reasons are never empty.
struct Event {
    std::string function;  ///< under capture when it happened
    std::string reason;
    Span span;
};

class Counters {
public:
    int64_t captures = 0;        ///< of backward: cache misses of compiled backward
    int64_t compiles = 0;        ///< of backward: pieces compiled
    int64_t graphs_forward = 0;  ///< compiled for running
    int64_t graphs_backward = 0;
    int64_t graph_breaks = 0;
    int64_t recompiles = 0;
    int64_t cache_hits = 0;
    int64_t autodiff_ok = 0;
    int64_t autodiff_failed = 0;
    std::vector<Event> breaks;
    std::vector<Event> recompilations;
};

}  // namespace tenon
