// Tables of words, made by the compiler: nothing runs before main, where no error is caught.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

namespace tenon {

/// What words mean, found by halves.
template <class Meaning, size_t count> class Words {
public:
    using Entry = std::pair<std::string_view, Meaning>;
    consteval Words(const Entry (&entries)[count]) {
        std::copy(std::begin(entries), std::end(entries), entries_.begin());
        std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) { return a.first < b.first; });
    }
    std::span<const Entry> all() const { return entries_; }
    /// Null where the word is none of them.
    const Meaning* find(std::string_view word) const {
        const auto at = std::lower_bound(entries_.begin(), entries_.end(), word,
                                         [](const Entry& entry, std::string_view text) { return entry.first < text; });
        return at != entries_.end() && at->first == word ? &at->second : nullptr;
    }

private:
    std::array<Entry, count> entries_;
};

}  // namespace tenon
