// What `stats()` shows: exact counts of what the session did, and why.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "runtime/span.h"

namespace tenon {

/// One break, recompile or skip, with its reason; reasons are never empty.
struct Event {
    std::string function;  ///< under capture when it happened
    std::string reason;
    Span span;
};

/// The last events, as many as are worth keeping: a script may break its graphs for ever.
class Events {
public:
    static constexpr size_t most = 1000;
    const Event& add(Event event) {
        if (kept_.size() == most) kept_.pop_front();
        kept_.push_back(std::move(event));
        ++count_;
        return kept_.back();
    }
    /// How many there were.
    uint64_t count() const { return count_; }
    /// Those that came after the first `count`, the oldest first.
    std::vector<Event> after(uint64_t count) const {
        const uint64_t forgotten = count_ - kept_.size();
        return {kept_.begin() + static_cast<ptrdiff_t>(std::max(count, forgotten) - forgotten), kept_.end()};
    }

private:
    std::deque<Event> kept_;
    uint64_t count_ = 0;
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
    Events breaks, recompilations;
};

}  // namespace tenon
