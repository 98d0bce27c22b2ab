#include "frontend/values/format_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "runtime/diagnostic.h"

namespace tenon {

namespace {

constexpr int largest_width = 100'000;  // a spec is text of the script; its buffers must stay small

bool is_align(char c) { return c == '<' || c == '>' || c == '^' || c == '='; }

size_t character_bytes(char first) {
    unsigned char c = static_cast<unsigned char>(first);
    return c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}

[[noreturn]] void refuse(std::string_view spec, std::string_view why) {
    throw_error("value", fmt::format("`{}` is not a format: {}", spec, why),
                "a format is [fill and < > ^][sign][0][width][,][.precision][d e f g % x b o s], as in `{x:>8.3f}`");
}

int read_number(std::string_view spec, size_t& at) {
    int value = 0;
    auto [end, code] = std::from_chars(spec.data() + at, spec.data() + spec.size(), value);
    if (code != std::errc{} || value > largest_width) refuse(spec, "the number is too large");
    at = static_cast<size_t>(end - spec.data());
    return value;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string pad(std::string body, size_t sign_length, const FormatSpec& spec, char own_align) {
    int64_t missing = spec.width - count_characters(body);
    if (missing <= 0) return body;
    auto filling = [&](int64_t count) {
        std::string text;
        for (int64_t i = 0; i < count; ++i) text += spec.fill;
        return text;
    };
    switch (spec.align ? spec.align : own_align) {
        case '<': return body + filling(missing);
        case '^': return filling(missing / 2) + body + filling(missing - missing / 2);
        case '=': return body.substr(0, sign_length) + filling(missing) + body.substr(sign_length);
        default: return filling(missing) + body;
    }
}

// `text` begins with its digits; what follows the first non-digit stays as it is. Zeros that fill the width, of which
// `head` takes some, are grouped too.
std::string group_digits(std::string text, size_t head, const FormatSpec& spec, size_t size) {
    if (!spec.grouping) return text;
    size_t digits = 0;
    while (digits < text.size() && std::isxdigit(static_cast<unsigned char>(text[digits])) &&
           (size == 4 || is_digit(text[digits]))) {
        ++digits;
    }
    if (digits > 0 && spec.fill == "0" && spec.align == '=') {
        const auto room = spec.width - static_cast<int64_t>(head + text.size() - digits);
        size_t filled = digits;
        while (static_cast<int64_t>(filled + (filled - 1) / size) < room) ++filled;
        text.insert(0, filled - digits, '0');
        digits = filled;
    }
    for (size_t at = digits; at > size;) {
        at -= size;
        text.insert(at, 1, spec.grouping);
    }
    return text;
}

std::string sign_text(bool negative, char sign) { return negative ? "-" : sign == '+' ? "+" : sign == ' ' ? " " : ""; }

}  // namespace

int64_t count_characters(std::string_view text) {
    return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
}

size_t byte_of_character(std::string_view text, int64_t index) {
    size_t at = 0;
    for (; index > 0 && at < text.size(); --index) {
        ++at;
        while (at < text.size() && (text[at] & 0xC0) == 0x80) ++at;
    }
    return at;
}

FormatSpec parse_format_spec(std::string_view text) {
    FormatSpec spec;
    size_t at = 0;
    if (!text.empty()) {
        size_t first = std::min(character_bytes(text[0]), text.size());
        if (first < text.size() && is_align(text[first])) {
            spec.fill = text.substr(0, first);
            spec.align = text[first];
            at = first + 1;
        } else if (is_align(text[0])) {
            spec.align = text[0];
            at = 1;
        }
    }
    auto next_is = [&](std::string_view set) {
        return at < text.size() && set.find(text[at]) != std::string_view::npos;
    };
    if (next_is("+- ")) spec.sign = text[at++];
    if (next_is("#")) spec.alternate = ++at;
    if (next_is("0")) {
        ++at;
        if (!spec.align) {
            spec.fill = "0";
            spec.align = '=';
        }
    }
    if (at < text.size() && is_digit(text[at])) spec.width = read_number(text, at);
    if (next_is(",_")) spec.grouping = text[at++];
    if (next_is(".")) {
        if (++at == text.size() || !is_digit(text[at])) refuse(text, "digits are missing after the point");
        spec.precision = read_number(text, at);
    }
    if (next_is("dboxXeEfFgG%s")) spec.type = text[at++];
    if (at != text.size()) refuse(text, fmt::format("`{}` is not understood", text.substr(at)));
    return spec;
}

std::string format_integer(int64_t value, const FormatSpec& spec) {
    switch (spec.type) {
        case 'e':
        case 'E':
        case 'f':
        case 'F':
        case 'g':
        case 'G':
        case '%': return format_real(static_cast<double>(value), spec);
        case 's': throw_error("value", "an int has no format `s`", "leave the letter out, or write `d`");
        default: break;
    }
    if (spec.precision >= 0) throw_error("value", "the format of an int has no precision", "write `.2f` for a float");
    bool negative = value < 0;
    uint64_t magnitude = negative ? uint64_t{0} - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
    std::string digits, prefix;
    switch (spec.type) {
        case 'b': digits = fmt::format("{:b}", magnitude), prefix = "0b"; break;
        case 'o': digits = fmt::format("{:o}", magnitude), prefix = "0o"; break;
        case 'x': digits = fmt::format("{:x}", magnitude), prefix = "0x"; break;
        case 'X': digits = fmt::format("{:X}", magnitude), prefix = "0X"; break;
        default: digits = fmt::format("{}", magnitude);
    }
    std::string head = sign_text(negative, spec.sign) + (spec.alternate ? prefix : "");
    digits = group_digits(std::move(digits), head.size(), spec, prefix.empty() ? 3 : 4);
    return pad(head + digits, head.size(), spec, '>');
}

std::string format_real(double value, const FormatSpec& spec) {
    bool negative = std::signbit(value) && !std::isnan(value);
    double magnitude = std::fabs(value);
    int precision = spec.precision < 0 ? 6 : spec.precision;
    std::string digits;
    if (!std::isfinite(value)) {
        bool upper = spec.type == 'E' || spec.type == 'F' || spec.type == 'G';
        digits = std::isnan(value) ? (upper ? "NAN" : "nan") : (upper ? "INF" : "inf");
        if (spec.type == '%') digits += '%';
    } else {
        switch (spec.type) {
            case 'e': digits = fmt::format("{:.{}e}", magnitude, precision); break;
            case 'E': digits = fmt::format("{:.{}E}", magnitude, precision); break;
            case 'f':
            case 'F': digits = fmt::format("{:.{}f}", magnitude, precision); break;
            case 'g': digits = fmt::format("{:.{}g}", magnitude, std::max(precision, 1)); break;
            case 'G': digits = fmt::format("{:.{}G}", magnitude, std::max(precision, 1)); break;
            case '%': digits = fmt::format("{:.{}f}%", magnitude * 100, precision); break;
            case 0:
                if (spec.precision < 0) {
                    digits = real_to_string(magnitude);
                } else {  // like `g`, but it still looks like a float
                    digits = fmt::format("{:.{}g}", magnitude, std::max(precision, 1));
                    if (digits.find_first_of(".e") == std::string::npos) digits += ".0";
                }
                break;
            default:
                throw_error("value", fmt::format("a float has no format `{}`", spec.type), "floats have `e f g %`");
        }
    }
    std::string head = sign_text(negative, spec.sign);
    digits = group_digits(std::move(digits), head.size(), spec, 3);
    return pad(head + digits, head.size(), spec, '>');
}

std::string format_text(std::string_view value, const FormatSpec& spec) {
    if (spec.type && spec.type != 's') {
        throw_error("value", fmt::format("a str has no format `{}`", spec.type),
                    "strs have `s`, a width and an alignment");
    }
    if (spec.precision >= 0) value = value.substr(0, byte_of_character(value, spec.precision));
    FormatSpec text_spec = spec;
    if (spec.align == '=') text_spec.align = '<';
    return pad(std::string(value), 0, text_spec, '<');
}

std::string real_to_string(double value) {
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
    char buffer[40];
    double magnitude = std::fabs(value);
    bool scientific = magnitude != 0 && (magnitude < 1e-4 || magnitude >= 1e16);
    auto result = std::to_chars(buffer, buffer + sizeof buffer, value,
                                scientific ? std::chars_format::scientific : std::chars_format::fixed);
    std::string text(buffer, result.ptr);
    if (!scientific && text.find('.') == std::string::npos) text += ".0";
    return text;
}

std::string quote(std::string_view text) {
    char mark = text.find('"') != std::string_view::npos && text.find('\'') == std::string_view::npos ? '\'' : '"';
    std::string out(1, mark);
    for (char c : text) {
        switch (c) {
            case '\n': out += "\\n"; break;
            case '\t': out += "\\t"; break;
            case '\r': out += "\\r"; break;
            case '\\': out += "\\\\"; break;
            default:
                if (c == mark) {
                    out += '\\';
                    out += c;
                } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
                    out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
                } else {
                    out += c;
                }
        }
    }
    return out + mark;
}

}  // namespace tenon
