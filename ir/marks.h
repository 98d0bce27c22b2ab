// A set of small numbers that is emptied at once: for walks over a graph of which each looks at a part only.
#pragma once
#include <cstdint>
#include <vector>

namespace tenon {

class Marks {
public:
    /// Empty from here on, for numbers below `count`.
    void begin(size_t count) {
        if (met_.size() < count) met_.resize(count);
        if (++epoch_ == 0) {  // once in four thousand million times
            met_.assign(met_.size(), 0);
            epoch_ = 1;
        }
    }
    bool has(uint32_t number) const { return met_[number] == epoch_; }
    /// Whether it is new.
    bool add(uint32_t number) {
        const bool fresh = met_[number] != epoch_;
        met_[number] = epoch_;
        return fresh;
    }

private:
    std::vector<uint32_t> met_;  // the epoch in which a number was added last
    uint32_t epoch_ = 0;
};

}  // namespace tenon
