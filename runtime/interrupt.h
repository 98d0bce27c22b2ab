// Ctrl-C: a wish to stop that whoever works for long looks at every few milliseconds. A signal is the process's, so this
// is the one thing that all sessions of a process share.
#pragma once

#include <atomic>
#include <exception>

#include "runtime/span.h"

namespace tenon {

/// Ctrl-C, on its way out of the script. No `catch` of a script sees it.
class Interrupted : public std::exception {
public:
    explicit Interrupted(Span at = {}) : span(at) {}
    const char* what() const noexcept override { return "interrupted"; }

    Span span;  ///< what was under way; whoever knows it adds it on the way up
};

namespace interrupt {

inline constinit std::atomic<bool> wanted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

/// Safe in a signal handler.
inline void request() noexcept { wanted.store(true, std::memory_order_relaxed); }
inline bool is_wanted() noexcept { return wanted.load(std::memory_order_relaxed); }
/// Forgets a wish that nobody has seen yet.
inline void forget() noexcept { wanted.store(false, std::memory_order_relaxed); }

}  // namespace interrupt

/// Throws Interrupted where one is wanted. Of several threads that ask, one is told.
inline void check_interrupt(Span at = {}) {
    if (interrupt::is_wanted()) [[unlikely]] {
        if (interrupt::wanted.exchange(false)) throw Interrupted(at);
    }
}

}  // namespace tenon
