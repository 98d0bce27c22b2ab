#include "ir/text/text_cursor.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <limits>

#include "runtime/diagnostic.h"

namespace tenon {

void TextCursor::fail(const std::string& wanted) {
    skip();
    Diagnostic d;
    d.kind = "graph";
    const std::string_view word = peek_word();
    const std::string found =
        at_ < text_.size() ? "`" + std::string(word.empty() ? text_.substr(at_, 1) : word) + "`" : "the end";
    d.message = "graph text needs " + wanted + " here, but found " + found;
    d.span = {source_, uint32_t(at_), uint32_t(std::min(at_ + 1, text_.size()))};
    d.help = "print(graph) shows the form";
    throw Error(std::move(d));
}

void TextCursor::skip() {
    while (at_ < text_.size()) {
        if (std::isspace(uint8_t(text_[at_]))) ++at_;
        else if (text_[at_] == '#' && (at_ + 1 == text_.size() || text_[at_ + 1] == ' '))
            while (at_ < text_.size() && text_[at_] != '\n') ++at_;
        else break;
    }
}

// ---- characters and words -----------------------------------------------------------------------------------------
char TextCursor::peek() {
    skip();
    return at_ < text_.size() ? text_[at_] : '\0';
}

bool TextCursor::at_end() {
    skip();
    return at_ == text_.size();
}

bool TextCursor::accept(std::string_view token) {
    skip();
    if (text_.substr(at_, token.size()) != token) return false;
    at_ += token.size();
    return true;
}

void TextCursor::expect(std::string_view token) {
    if (!accept(token)) fail("`" + std::string(token) + "`");
}

bool TextCursor::at_minus() { return peek() == '-' && text_.substr(at_, 2) != "->"; }

std::string_view TextCursor::peek_word() {
    skip();
    const auto continues = [](char c) { return std::isalnum(uint8_t(c)) || c == '_' || c == '.'; };
    size_t end = at_;
    if (end < text_.size() && (std::isalpha(uint8_t(text_[end])) || text_[end] == '_'))
        while (end < text_.size() && continues(text_[end])) ++end;
    return text_.substr(at_, end - at_);
}

bool TextCursor::accept_word(std::string_view word) {
    if (peek_word() != word) return false;
    at_ += word.size();
    return true;
}

void TextCursor::expect_word(std::string_view word) {
    if (!accept_word(word)) fail("`" + std::string(word) + "`");
}

std::string_view TextCursor::word(const std::string& wanted) {
    const std::string_view word = peek_word();
    if (word.empty()) fail(wanted);
    at_ += word.size();
    return word;
}

void TextCursor::skip_word() {
    while (at_ < text_.size() && !std::isspace(uint8_t(text_[at_]))) ++at_;
}

// ---- literals -----------------------------------------------------------------------------------------------------
int64_t TextCursor::integer() {
    skip();
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (error != std::errc()) fail("an integer");
    at_ = size_t(end - text_.data());
    return value;
}

AttrValue TextCursor::number() {
    skip();
    const bool minus = text_.substr(at_, 1) == "-";
    const std::string_view rest = text_.substr(at_ + minus);
    if (rest.starts_with("inf") || rest.starts_with("nan")) {
        at_ += 3 + minus;
        if (rest[0] == 'n') return std::numeric_limits<double>::quiet_NaN();
        return minus ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
    }
    size_t end = at_ + minus;
    bool real = false;
    while (end < text_.size() && (std::isdigit(uint8_t(text_[end])) || text_[end] == '.' || text_[end] == 'e' ||
                                  ((text_[end] == '-' || text_[end] == '+') && text_[end - 1] == 'e'))) {
        real |= text_[end] == '.' || text_[end] == 'e';
        ++end;
    }
    if (!real) return integer();
    double value = 0;
    const auto [stop, error] = std::from_chars(text_.data() + at_, text_.data() + end, value);
    if (error != std::errc()) fail("a number");
    at_ = size_t(stop - text_.data());
    return value;
}

std::string TextCursor::quoted() {
    expect("\"");
    std::string out;
    while (at_ < text_.size() && text_[at_] != '"') {
        char c = text_[at_++];
        if (c == '\\' && at_ < text_.size()) {
            c = text_[at_++];
            if (c == 'n') c = '\n';
            else if (c == 't') c = '\t';
            else if (c == 'x') {
                unsigned code = 0;
                if (std::from_chars(text_.data() + at_, text_.data() + std::min(at_ + 2, text_.size()), code, 16).ec !=
                    std::errc())
                    fail("two hexadecimal digits");
                at_ += 2;
                c = char(code);
            }
        }
        out += c;
    }
    expect("\"");
    return out;
}

}  // namespace tenon
