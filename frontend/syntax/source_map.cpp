#include "frontend/syntax/source_map.h"

#include <fmt/format.h>
#include <algorithm>

#include "frontend/syntax/utf8.h"

namespace tenon {

SourceId SourceMap::add(std::string name, std::string text, bool is_used) {
    Source source{visible(name), std::move(text), {0}, is_used};
    for (uint32_t i = 0; i < source.text.size(); i++) {
        if (source.text[i] == '\n') source.line_starts.push_back(i + 1);
    }
    sources_.push_back(std::move(source));
    return static_cast<SourceId>(sources_.size());
}

std::string_view SourceMap::text(Span span) const {
    std::string_view whole = text(span.source);
    uint32_t begin = std::min<uint32_t>(span.begin, whole.size());
    return whole.substr(begin, std::max(span.end, begin) - begin);
}

uint32_t SourceMap::line(Span span) const {
    const std::vector<uint32_t>& starts = sources_[span.source - 1].line_starts;
    return static_cast<uint32_t>(std::upper_bound(starts.begin(), starts.end(), span.begin) - starts.begin());
}

Position SourceMap::position(SourceId number, uint32_t offset) const {
    const Source& source = sources_[number - 1];
    offset = std::min<uint32_t>(offset, source.text.size());
    uint32_t line = this->line({number, offset, offset});
    uint32_t column = 1;
    for (uint32_t i = source.line_starts[line - 1]; i < offset; i++) {
        if ((source.text[i] & 0xC0) != 0x80) column++;  // continuation bytes of UTF-8 begin no character
    }
    return {line, column};
}

uint32_t SourceMap::line_count(SourceId source) const {
    return static_cast<uint32_t>(sources_[source - 1].line_starts.size());
}

Span SourceMap::line_span(SourceId number, uint32_t line) const {
    const Source& source = sources_[number - 1];
    uint32_t begin = source.line_starts[line - 1];
    uint32_t end =
        line < source.line_starts.size() ? source.line_starts[line] - 1 : static_cast<uint32_t>(source.text.size());
    if (end > begin && source.text[end - 1] == '\r') end--;
    return {number, begin, end};
}

std::string SourceMap::place(Span span) const {
    Position at = position(span);
    return fmt::format("{}:{}:{}", name(span.source), at.line, at.column);
}

std::string SourceMap::place_in_listing(Span span) const {
    const Position at = position(span);
    const Source& source = sources_[span.source - 1];
    if (!source.is_used) return fmt::format("{}:{}", at.line, at.column);
    std::string file = source.name.starts_with("std/") ? source.name : source.name.substr(source.name.rfind('/') + 1);
    std::replace(file.begin(), file.end(), ' ', '_');
    return fmt::format("{}:{}:{}", file, at.line, at.column);
}

}  // namespace tenon
