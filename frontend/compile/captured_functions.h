// Which functions are captured when the interpreter's own lines call them: all but those that were opened, whose lines are
// interpreted, and those whose last calls have computed nothing with tensors. A function is known by its address.
#pragma once

#include <cstdint>
#include <unordered_map>

namespace tenon {

/// What earlier calls of a function mean for the next one.
struct CaptureHistory {
    bool is_open = false;    ///< its own lines are interpreted, the calls in it captured each by itself
    uint8_t idle_calls = 0;  ///< how many of the last ones computed nothing with tensors, one after another

    /// Functions whose last calls have worked nothing are called without a graph, until one has.
    bool is_idle() const { return idle_calls >= calls_to_idle; }
    void note_call(bool has_worked) {
        if (has_worked) idle_calls = 0;
        else if (!is_idle()) ++idle_calls;
    }
    static constexpr uint8_t calls_to_idle = 8;
};

class CapturedFunctions {
public:
    /// What is known of a function; it stays at its place.
    CaptureHistory& history_of(const void* function) { return histories_[function]; }
    bool is_open(const void* function) const {
        const auto found = histories_.find(function);
        return found != histories_.end() && found->second.is_open;
    }
    void open(const void* function) { history_of(function).is_open = true; }

    /// Counts ops that ran and graphs that ended.
    uint64_t work() const { return work_; }
    void note_work() { ++work_; }

    void clear() {
        for (auto& [function, history] : histories_) history = {};
    }

private:
    std::unordered_map<const void*, CaptureHistory> histories_;  // no entry ever goes: functions keep its address
    uint64_t work_ = 0;
};

}  // namespace tenon
