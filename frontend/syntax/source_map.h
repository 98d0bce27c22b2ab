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
    /// `name` is what messages show (of a path what a terminal may show), or `<input>`. `is_used`: a script brought it in with `use`.
    SourceId add(std::string name, std::string text, bool is_used = false);

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
    /// `line:column`, behind the name of the file if a script uses it ("std/ops.model:43:12", "net.model:3:5"; blanks
    /// become `_`): what listings of graphs show.
    std::string place_in_listing(Span span) const;

private:
    struct Source {
        std::string name, text;
        std::vector<uint32_t> line_starts;
        bool is_used = false;
    };

    std::deque<Source> sources_;
};

}  // namespace tenon
