// Characters of UTF-8 text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tenon {

/// Appends one code point.
void append_utf8(std::string& text, uint32_t code_point);

struct CodePoint {
    uint32_t value;
    uint32_t bytes;
};

/// The code point that begins at `at`; none if the bytes there are not UTF-8 (overlong forms and surrogates are not).
std::optional<CodePoint> decode_utf8(std::string_view text, size_t at);

/// Text from outside (a file, a path, a script's own message) as a terminal may show it: what would move the cursor, set
/// colours or turn the direction of the text, and bytes that are no UTF-8, as escapes (`\x1b`, `\u202e`). Newlines and
/// tabs stay.
std::string visible(std::string_view text);

/// How many columns of a terminal a code point takes: 0 for combining marks, 2 for wide characters, else 1.
int display_width(uint32_t code_point);

}  // namespace tenon
