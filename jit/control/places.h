// Room for what goes from one run of a region to the next, and for results that nobody reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace tenon {

class Places {
public:
    /// For each of these sizes so many places; run i has place i modulo that.
    static size_t bytes(std::span<const size_t> sizes, size_t each) {
        size_t sum = 0;
        for (size_t size : sizes) sum += each * rounded(size);
        return sum;
    }
    /// Allocates nothing where there were as many before.
    void set(std::span<const size_t> sizes, size_t each, std::byte* memory) {
        each_ = each;
        first_.clear();
        step_.clear();
        for (size_t size : sizes) {
            first_.push_back(memory);
            step_.push_back(rounded(size));
            memory += each * rounded(size);
        }
    }
    std::byte* operator()(size_t k, int64_t run) const { return first_[k] + size_t(run) % each_ * step_[k]; }
    size_t count() const { return first_.size(); }

private:
    static constexpr size_t rounded(size_t bytes) { return (bytes + 63) / 64 * 64; }
    size_t each_ = 1;
    std::vector<std::byte*> first_;
    std::vector<size_t> step_;
};

}  // namespace tenon
