// Format specifications of f-strings: Python's mini-language, [[fill]align][sign][#][0][width][,_][.precision][type].
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tenon {

struct FormatSpec {
    std::string fill = " ";  ///< one character, UTF-8
    char align = 0;          ///< < > ^ =, 0 for the type's own
    char sign = '-';         ///< + - or a space
    bool alternate = false;  ///< '#'
    int width = 0;
    char grouping = 0;  ///< , or _
    int precision = -1;
    char type = 0;  ///< d b o x X e E f F g G % s, 0 for the value's own

    bool is_plain() const {
        return !align && sign == '-' && !alternate && !width && !grouping && precision < 0 && !type;
    }
};

/// Throws Error "value".
FormatSpec parse_format_spec(std::string_view text);

std::string format_integer(int64_t value, const FormatSpec& spec);
std::string format_real(double value, const FormatSpec& spec);
std::string format_text(std::string_view value, const FormatSpec& spec);

/// A float as scripts write it: the shortest text that reads back as the same value ("0.1", "1e-05", "2.0", "inf").
std::string real_to_string(double value);
/// A str as a literal: quoted, escapes where needed.
std::string quote(std::string_view text);
/// Characters (code points) of UTF-8 text.
int64_t count_characters(std::string_view text);
/// The byte where character `index` begins; the text's size past the end.
size_t byte_of_character(std::string_view text, int64_t index);

}  // namespace tenon
