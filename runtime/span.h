// A place in the text of a script.
#pragma once

#include <cstdint>

namespace tenon {

/// The bytes [begin, end) of source number `source` in the frontend's SourceMap. Source 0 means "no place".
struct Span {
    uint32_t source = 0, begin = 0, end = 0;

    explicit constexpr operator bool() const { return source != 0; }
    friend constexpr bool operator==(const Span&, const Span&) = default;
};

/// The smallest span that covers both; a span without a place yields the other.
constexpr Span cover(Span a, Span b) {
    if (!a || a.source != b.source) return a ? a : b;
    if (!b) return a;
    return {a.source, a.begin < b.begin ? a.begin : b.begin, a.end > b.end ? a.end : b.end};
}

}  // namespace tenon
