// Which functions are captured when the interpreter's own lines call them: all but those that were opened, whose lines are
// interpreted, and those whose last calls have computed nothing with tensors. A function is known by its address.
#pragma once

#include <algorithm>
#include <cstdint>
#include <unordered_map>
#include <unordered_set>

namespace tenon {

class CapturedFunctions {
public:
    /// From now on the function's own lines are interpreted and the calls in it captured each by itself.
    void open(const void* function) { open_.insert(function); }
    bool is_open(const void* function) const { return open_.contains(function); }

    /// Counts ops that ran and graphs that ended.
    uint64_t work() const { return work_; }
    void note_work() { ++work_; }
    /// Functions whose last calls have worked nothing are called without a graph, until one has.
    bool is_idle(const void* function) const {
        const auto found = idle_calls_.find(function);
        return found != idle_calls_.end() && found->second >= calls_to_idle;
    }
    void note_call(const void* function, bool has_worked) {
        uint8_t& calls = idle_calls_[function];
        calls = has_worked ? 0 : static_cast<uint8_t>(std::min(calls + 1, calls_to_idle));
    }

    void clear() {
        open_.clear();
        idle_calls_.clear();
    }

private:
    static constexpr int calls_to_idle = 8;  // without work, until a function is called without a graph

    std::unordered_set<const void*> open_;
    std::unordered_map<const void*, uint8_t> idle_calls_;  // one after another, by function
    uint64_t work_ = 0;
};

}  // namespace tenon
