// The texts of scripts by number, and where in them a byte stands.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/span.h"

namespace tenon {

using SourceId = uint32_t;

/// Line and column count from 1; columns count characters (code points), not bytes.
struct Position {
    uint32_t line = 0, column = 0;
};

/// Owns the text of every script, every line typed at the prompt and every module of the standard library.
/// Source numbers begin at 1; 0 means "no place". Names and texts stay where they are.
class SourceMap {
public:
    /// `name` is what messages show: a path, or `<input>`.
    SourceId add(std::string name, std::string text);

    const std::string& name(SourceId source) const { return sources_[source - 1].name; }
    std::string_view text(SourceId source) const { return sources_[source - 1].text; }
    std::string_view text(Span span) const;

    Position position(SourceId source, uint32_t offset) const;
    Position position(Span span) const { return position(span.source, span.begin); }
    uint32_t line(Span span) const;
    uint32_t line_count(SourceId source) const;
    /// The bytes of a line (from 1), without its end.
    Span line_span(SourceId source, uint32_t line) const;
    /// `name:line:column`.
    std::string place(Span span) const;
    /// `line:column`, behind the name of its module if it is in the standard library: what listings of graphs show.
    std::string place_in_listing(Span span) const;

private:
    struct Source {
        std::string name, text;
        std::vector<uint32_t> line_starts;
    };

    std::deque<Source> sources_;
};

}  // namespace tenon
