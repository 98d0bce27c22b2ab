#include "frontend/syntax/utf8.h"

#include <fmt/format.h>

#include <algorithm>

namespace tenon {

void append_utf8(std::string& text, uint32_t code_point) {
    auto put = [&](uint32_t byte) { text += static_cast<char>(byte); };
    auto rest = [&](int shift) { put(0x80 | (code_point >> shift & 0x3F)); };
    if (code_point < 0x80) {
        put(code_point);
    } else if (code_point < 0x800) {
        put(0xC0 | code_point >> 6), rest(0);
    } else if (code_point < 0x10000) {
        put(0xE0 | code_point >> 12), rest(6), rest(0);
    } else {
        put(0xF0 | code_point >> 18), rest(12), rest(6), rest(0);
    }
}

std::optional<CodePoint> decode_utf8(std::string_view text, size_t at) {
    auto byte = [&](size_t i) -> uint32_t { return at + i < text.size() ? static_cast<uint8_t>(text[at + i]) : 0; };
    uint32_t first = byte(0);
    if (first < 0x80) return CodePoint{first, 1};
    uint32_t bytes = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4) return std::nullopt;
    uint32_t value = first & (0x7F >> bytes);
    for (uint32_t i = 1; i < bytes; i++) {
        if ((byte(i) & 0xC0) != 0x80) return std::nullopt;
        value = value << 6 | (byte(i) & 0x3F);
    }
    static constexpr uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (value < smallest[bytes] || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) return std::nullopt;
    return CodePoint{value, bytes};
}

std::string visible(std::string_view text) {
    const auto is_plain = [](char c) { return (c >= 0x20 && c < 0x7F) || c == '\n' || c == '\t'; };
    std::string out;
    for (size_t i = 0; i < text.size();) {
        const size_t plain =
            static_cast<size_t>(std::find_if_not(text.begin() + i, text.end(), is_plain) - text.begin());
        out += text.substr(i, plain - i);
        if ((i = plain) == text.size()) break;
        const std::optional<CodePoint> character = decode_utf8(text, i);
        const auto within = [&](uint32_t low, uint32_t high) {
            return character->value >= low && character->value <= high;
        };
        if (!character || character->value < 0x80) {
            out += fmt::format("\\x{:02x}", static_cast<uint8_t>(text[i++]));
            continue;
        }
        // Control characters of the second kind, marks and overrides of direction, separators of lines.
        const bool acts =
            within(0x80, 0x9F) || within(0x200E, 0x200F) || within(0x2028, 0x202E) || within(0x2066, 0x2069);
        if (acts) out += fmt::format("\\u{:04x}", character->value);
        else out += text.substr(i, character->bytes);
        i += character->bytes;
    }
    return out;
}

int display_width(uint32_t c) {
    auto within = [c](uint32_t low, uint32_t high) { return c >= low && c <= high; };
    // The blocks of Unicode's East Asian Width and combining classes that scripts may well contain.
    if (within(0x0300, 0x036F) || within(0x200B, 0x200F) || within(0x20D0, 0x20FF) || within(0xFE00, 0xFE0F)) return 0;
    if (within(0x1100, 0x115F) || within(0x2E80, 0x303E) || within(0x3041, 0x33FF) || within(0x3400, 0x4DBF) ||
        within(0x4E00, 0x9FFF) || within(0xA000, 0xA4CF) || within(0xAC00, 0xD7A3) || within(0xF900, 0xFAFF) ||
        within(0xFE30, 0xFE4F) || within(0xFF00, 0xFF60) || within(0xFFE0, 0xFFE6) || within(0x1F300, 0x1F64F) ||
        within(0x1F680, 0x1F6FF) || within(0x1F900, 0x1F9FF) || within(0x20000, 0x3FFFD)) {
        return 2;
    }
    return 1;
}

}  // namespace tenon
