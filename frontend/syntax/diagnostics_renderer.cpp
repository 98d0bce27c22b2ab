// The look of errors:
//
//     error: matmul needs the inner sizes to be equal, but they are 128 and 64
//        ┌─ net.model:9:19
//      9 │         h = relu(x @ w)
//        │                  ─ ─ f32[64, 10]
//        │                  f32[32, 128]
//        = did you mean `w: f32[128, 10]`?
//
// The primary part is underlined with ^, unless labels lie in it; these with ─. A text stands behind the last underline
// of its line, the texts of those before it below, each under its own.
#include "frontend/syntax/diagnostics_renderer.h"

#include <fmt/format.h>
#include <algorithm>
#include <map>

#include "frontend/syntax/utf8.h"

namespace tenon {

namespace {

constexpr int widest_line = 160;  // columns shown of a long line
constexpr int tab_width = 4;

/// A part of one line, in columns of the terminal from 0.
struct Mark {
    int begin, end;
    bool primary;
    std::string text;
};

/// A line of source as it is shown, and where its bytes went.
struct ShownLine {
    std::string text;
    std::vector<int> columns;  // of each byte, and of the end
};

ShownLine show(std::string_view line) {
    ShownLine shown;
    int column = 0;
    for (size_t i = 0; i < line.size();) {
        auto character = decode_utf8(line, i);
        uint32_t bytes = character ? character->bytes : 1;
        shown.columns.insert(shown.columns.end(), bytes, column);
        if (line[i] == '\t') {
            int spaces = tab_width - column % tab_width;
            shown.text.append(spaces, ' ');
            column += spaces;
        } else if (!character || character->value < 0x20 || character->value == 0x7f) {
            shown.text += "\uFFFD";  // what is no character, or would move the cursor
            column++;
        } else {
            shown.text += line.substr(i, bytes);
            column += display_width(character->value);
        }
        i += bytes;
    }
    shown.columns.push_back(column);
    return shown;
}

/// The text from column `from` on, at most `width` columns of it.
std::string cut(const std::string& text, int from, int width) {
    std::string result;
    int column = 0;
    for (size_t i = 0; i < text.size();) {
        auto character = decode_utf8(text, i);
        int wide = display_width(character->value);
        if (column >= from && column + wide <= from + width) result += text.substr(i, character->bytes);
        column += wide;
        i += character->bytes;
    }
    return result;
}

class Renderer {
public:
    Renderer(const SourceMap& sources, bool colour) : sources_(sources), colour_(colour) {}

    std::string render(const Diagnostic& diagnostic) {
        if (diagnostic.kind == "interrupted") {
            out_ = paint("interrupted", red) + "\n";
        } else {
            std::string word = diagnostic.kind == "internal" ? "internal error" : "error";
            out_ = fmt::format("{}{}\n", paint(word + ":", red), paint(" " + visible(diagnostic.message), bold));
        }
        if (diagnostic.span) {
            add(diagnostic.span, "", true);
            for (const Label& label : diagnostic.labels) add_label(diagnostic, {label.span, visible(label.text)});
            margin_ = static_cast<int>(std::to_string(highest_line()).size());
            source_block(diagnostic.span.source, sources_.place(diagnostic.span));
            for (auto& [source, lines] : marks_) {
                if (source != diagnostic.span.source) {
                    source_block(source, fmt::format("{}:{}", sources_.name(source), lines.begin()->first));
                }
            }
        }
        if (!diagnostic.help.empty()) {
            out_ += fmt::format("{:{}}{} {}\n", "", margin_ + 2, paint("=", blue), visible(diagnostic.help));
        }
        return std::move(out_);
    }

private:
    static constexpr const char* red = "1;31";
    static constexpr const char* blue = "34";
    static constexpr const char* bold = "1";

    std::string paint(std::string_view text, const char* how) const {
        return colour_ ? fmt::format("\x1b[{}m{}\x1b[0m", how, text) : std::string(text);
    }

    /// A label on the primary part itself gives it its text.
    void add_label(const Diagnostic& diagnostic, const Label& label) {
        if (!label.span) return;
        if (label.span == diagnostic.span) {
            auto& marks = marks_[label.span.source][sources_.line(label.span)];
            auto primary = std::ranges::find(marks, true, &Mark::primary);
            if (primary != marks.end() && primary->text.empty()) {
                primary->text = label.text;
                return;
            }
        }
        add(label.span, label.text, false);
    }

    /// Of a part of several lines the first is marked to its end.
    void add(Span span, std::string text, bool primary) {
        uint32_t number = sources_.line(span);
        Span line = sources_.line_span(span.source, number);
        ShownLine shown = show(sources_.text(line));
        auto column = [&](uint32_t offset) {
            return shown
                .columns[std::min<size_t>(offset > line.begin ? offset - line.begin : 0, shown.columns.size() - 1)];
        };
        int begin = column(span.begin);
        int end = std::max(column(std::max(span.end, span.begin)), begin + 1);
        if (span.end > line.end && !text.empty()) {
            uint32_t last = sources_.line({span.source, span.end - 1, span.end});
            if (last > number) text += fmt::format(" (to line {})", last);
        }
        marks_[span.source][number].push_back({begin, end, primary, std::move(text)});
    }

    uint32_t highest_line() const {
        uint32_t highest = 1;
        for (const auto& [source, lines] : marks_) highest = std::max(highest, lines.rbegin()->first);
        return highest;
    }

    void source_block(uint32_t source, const std::string& place) {
        out_ += fmt::format("{:{}}{} {}\n", "", margin_ + 2, paint("┌─", blue), place);
        uint32_t previous = 0;
        for (auto& [number, marks] : marks_[source]) {
            if (previous && number > previous + 1) out_ += fmt::format("{:{}}{}\n", "", margin_ + 2, paint("·", blue));
            previous = number;
            line(source, number, marks);
        }
    }

    void line(uint32_t source, uint32_t number, std::vector<Mark>& marks) {
        std::erase_if(marks, [&](const Mark& whole) {  // its parts say more than the whole
            return whole.primary && whole.text.empty() && std::ranges::any_of(marks, [&](const Mark& part) {
                       return !part.primary && part.begin >= whole.begin && part.end <= whole.end;
                   });
        });
        std::ranges::stable_sort(marks, {}, &Mark::begin);
        ShownLine shown = show(sources_.text(sources_.line_span(source, number)));
        int from = 0;
        if (shown.columns.back() > widest_line) {
            from = std::max(0, marks.front().begin - widest_line / 3);
            std::string part = cut(shown.text, from, widest_line);
            std::string dots = from > 0 ? "…" : "";
            shown.text = dots + part + (from + widest_line < shown.columns.back() ? "…" : "");
            from -= from > 0;  // the dots take a column
        }
        std::string numbered = fmt::format(" {:>{}} ", number, margin_);
        out_ += fmt::format("{}{} {}\n", paint(numbered, blue), paint("│", blue), shown.text);

        std::vector<Mark> shifted = marks;
        for (Mark& mark : shifted) {
            mark.begin = std::clamp(mark.begin - from, 0, widest_line + 1);
            mark.end = std::clamp(mark.end - from, mark.begin + 1, widest_line + 2);
        }
        underline(shifted);
    }

    void underline(const std::vector<Mark>& marks) {
        std::string row;
        int column = 0;
        for (const Mark& mark : marks) {
            if (mark.begin > column) row += std::string(mark.begin - column, ' ');
            int begin = std::max(mark.begin, column);
            std::string sign;
            for (int i = begin; i < mark.end; i++) sign += mark.primary ? "^" : "─";
            row += paint(sign, mark.primary ? red : blue);
            column = std::max(column, mark.end);
        }
        const Mark& last = marks.back();
        if (!last.text.empty()) row += " " + last.text;
        gutter(row);
        for (size_t i = marks.size() - 1; i-- > 0;) {
            if (!marks[i].text.empty()) gutter(std::string(marks[i].begin, ' ') + marks[i].text);
        }
    }

    void gutter(const std::string& row) { out_ += fmt::format("{:{}}{} {}\n", "", margin_ + 2, paint("│", blue), row); }

    const SourceMap& sources_;
    bool colour_;
    int margin_ = 1;
    std::string out_;
    std::map<uint32_t, std::map<uint32_t, std::vector<Mark>>> marks_;
};

}  // namespace

std::string render(const Diagnostic& diagnostic, const SourceMap& sources, bool colour) {
    return Renderer(sources, colour).render(diagnostic);
}

}  // namespace tenon
