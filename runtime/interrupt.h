// Ctrl-C: a wish to stop that whoever works for long looks at every few milliseconds. A signal is the process's, so this
// is the one thing that all sessions of a process share.
//
// A wish is taken once. While an Interrupted is on its way out of a thread (until the last handler has let go of it), and
// while a destructor works there, that thread takes no other: a second exception would end the process. The wish stays.
#pragma once

#include <atomic>
#include <exception>

#include "runtime/span.h"

namespace tenon {

namespace interrupt {

inline constinit std::atomic<bool> wanted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

/// Safe in a signal handler.
inline void request() noexcept { wanted.store(true, std::memory_order_relaxed); }
inline bool is_wanted() noexcept { return wanted.load(std::memory_order_relaxed); }
/// Forgets a wish that nobody has seen yet.
inline void forget() noexcept { wanted.store(false, std::memory_order_relaxed); }

/// While one lives on a thread, no interrupt is taken there: for destructors that call what looks for one, and for
/// threads whose work is not what Ctrl-C ends. It goes on the thread that made it.
class Hold {
public:
    Hold() noexcept;
    Hold(const Hold&) noexcept : Hold() {}
    Hold& operator=(const Hold&) noexcept { return *this; }
    ~Hold();
};

/// Whether this thread takes none now: a Hold, or any exception that unwinds it.
bool is_held() noexcept;
/// Whether check_interrupt would throw: for the callbacks of libraries, through which nothing may be thrown.
inline bool is_due() noexcept { return is_wanted() && !is_held(); }

}  // namespace interrupt

/// Ctrl-C, on its way out of the script. No `catch` of a script sees it. It stays on its thread: whoever works for
/// another thread tells that one, which throws its own.
class Interrupted : public std::exception {
public:
    explicit Interrupted(Span at = {});  ///< asserts that this thread may take one
    const char* what() const noexcept override { return "interrupted"; }

    Span span;  ///< what was under way; whoever knows it adds it on the way up

private:
    interrupt::Hold hold_;
};

namespace interrupt {

/// Throws Interrupted if one is due.
void take(Span at);

}  // namespace interrupt

/// Throws Interrupted where one is wanted, and may be. Of several threads that ask, one is told.
inline void check_interrupt(Span at = {}) {
    if (interrupt::is_wanted()) [[unlikely]]
        interrupt::take(at);
}

}  // namespace tenon
