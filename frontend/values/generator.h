// The random state of a session: a Philox key, and how many numbers were drawn under it.
#pragma once

#include <cstdint>

namespace tenon {

class Generator {
public:
    void seed(int64_t key) {
        key_ = key;
        offset_ = 0;
    }
    int64_t key() const { return key_; }
    int64_t offset() const { return offset_; }
    void restore(int64_t key, int64_t offset) {
        key_ = key;
        offset_ = offset;
    }
    /// Sets `count` numbers aside; returns the first one's offset.
    int64_t draw(int64_t count) {
        const int64_t first = offset_;
        offset_ += count;
        return first;
    }

private:
    int64_t key_ = 0;
    int64_t offset_ = 0;
};

}  // namespace tenon
