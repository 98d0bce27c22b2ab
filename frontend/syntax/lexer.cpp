#include "frontend/syntax/lexer.h"

#include <fmt/format.h>
#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "frontend/syntax/utf8.h"
#include "frontend/syntax/words.h"

namespace tenon {

using K = grammar::Parser::token;

namespace {

constexpr Words<Lexer::Kind, 20> keywords({
    {"if", K::IF},       {"else", K::ELSE},         {"for", K::FOR},       {"while", K::WHILE},
    {"break", K::BREAK}, {"continue", K::CONTINUE}, {"return", K::RETURN}, {"assert", K::ASSERT},
    {"fn", K::FN},       {"try", K::TRY},           {"catch", K::CATCH},   {"in", K::IN},
    {"is", K::IS},       {"and", K::AND},           {"or", K::OR},         {"not", K::NOT},
    {"none", K::NONE},   {"true", K::TRUE},         {"false", K::FALSE},   {"graph_break", K::GRAPH_BREAK},
});

/// Words that the grammar also takes as names.
constexpr Words<Lexer::Kind, 7> soft_keywords({
    {"model", K::MODEL},
    {"param", K::PARAM},
    {"buffer", K::BUFFER},
    {"custom", K::CUSTOM},
    {"test", K::TEST},
    {"use", K::USE},
    {"annotate", K::ANNOTATE},
});

struct Reserved {
    Lexer::Kind ours = {};  // what to go on with, if anything
    const char* message;
    const char* help;
};

/// Words of other languages, and words kept for later.
constexpr Words<Reserved, 24> reserved_words({
    {"None", {K::NONE, "`None` is written `none`", "write `none`"}},
    {"True", {K::TRUE, "`True` is written `true`", "write `true`"}},
    {"False", {K::FALSE, "`False` is written `false`", "write `false`"}},
    {"def", {K::FN, "functions are declared with `fn`, not `def`", "write `fn name(x) { … }`, or `fn name(x) = …`"}},
    {"class", {K::MODEL, "there are models, not classes", "write `model Name(parameters) { … }`"}},
    {"lambda", {{}, "a function without a name is written with `fn`, not `lambda`", "write `fn(x) = x * 2`"}},
    {"elif", {{}, "`elif` is written `else if`", "write `else if condition { … }`"}},
    {"import", {{}, "`import` is written `use`", "write `use std.nn`, or `use \"./file.model\"`"}},
    {"from",
     {{},
      "`from … import` is written `use`",
      "write `use std.nn`, or `use \"./file.model\"`, which brings all its names"}},
    {"with", {{}, "there is no `with`", "a scope is written by its name: `no_grad { … }`, `device(cuda) { … }`"}},
    {"except", {K::CATCH, "`except` is written `catch`", "write `try { … } catch e { … }`"}},
    {"finally", {{}, "there is no `finally`", "write what must happen after `try { … } catch e { … }`"}},
    {"raise", {{}, "there is no `raise`", "write `fail(\"message\")`"}},
    {"pass", {{}, "there is no `pass`", "an empty block is written `{ }`"}},
    {"del", {{}, "there is no `del`", "a tensor is freed after its last use; an element is removed with `d.pop(key)`"}},
    {"global",
     {{},
      "there is no `global`",
      "a function reads outer names and does not rebind them: return the value, or change a field or an element"}},
    {"nonlocal",
     {{},
      "there is no `nonlocal`",
      "a function reads outer names and does not rebind them: return the value, or change a field or an element"}},
    {"let", {{}, "names are not declared", "assign: `x = 1`"}},
    {"const", {{}, "names are not declared", "assign: `x = 1`"}},
    {"yield", {{}, "there is no `yield`", "return a list, or write a model with `fn next()`, which `for` takes"}},
    {"struct", {{}, "there is no `struct`", "write a `model`, or a dict"}},
    {"async", {{}, "`async` is reserved", ""}},
    {"await", {{}, "`await` is reserved", ""}},
    {"match", {{}, "`match` is reserved", "write `if … else if …`"}},
});

bool is_word_byte(unsigned char c) { return std::isalnum(c) || c == '_'; }

}  // namespace

std::vector<std::string_view> language_words() {
    std::vector<std::string_view> words;
    const auto add = [&](const auto& entries) {
        for (const auto& [word, kind] : entries) words.push_back(word);
    };
    add(keywords.all());
    add(soft_keywords.all());
    std::ranges::sort(words);
    return words;
}

Lexer::Lexer(SourceId source, const SourceMap& sources, SymbolTable& symbols, SyntaxErrors& errors)
    : source_(source), symbols_(symbols), errors_(errors) {
    std::string_view text = sources.text(source);
    begin_ = reinterpret_cast<const Byte*>(text.data());
    end_ = begin_ + text.size();
    cursor_ = token_ = begin_;
}

Lexer::Token Lexer::next() {
    bool in_text =
        !f_strings_.empty() && (f_strings_.back().state == FString::text || f_strings_.back().state == FString::spec);
    return in_text ? f_string_piece() : code();
}

void Lexer::recover() {
    while (!brackets_.empty() && brackets_.back().bracket != Bracket::block &&
           brackets_.back().bracket != Bracket::body) {
        forgotten_.push_back(brackets_.back().bracket);
        brackets_.pop_back();
    }
    size_t before = f_strings_.size();
    while (!f_strings_.empty() && f_strings_.back().depth >= brackets_.size()) f_strings_.pop_back();
    if (f_strings_.size() != before) {
        while (cursor_ < end_ && *cursor_ != '\n') cursor_++;  // the rest of the string is not code
    }
}

// ---- Tokens

Lexer::Token Lexer::emit(Kind kind) {
    before_previous_ = std::exchange(previous_, kind);
    return Token(kind, span());
}

template <class Value> Lexer::Token Lexer::emit(Kind kind, Value value) {
    before_previous_ = std::exchange(previous_, kind);
    return Token(kind, std::move(value), span());
}
template Lexer::Token Lexer::emit(Kind, ast::BinaryOperator);

void Lexer::complain(Span span, std::string message, std::string help, std::vector<Label> labels) {
    errors_.add(span, std::move(message), std::move(help), std::move(labels));
}

Lexer::Token Lexer::wrong(std::string message, std::string help) {
    complain(span(), std::move(message), std::move(help));
    return emit(K::YYerror);
}

Lexer::Token Lexer::instead(Kind ours, std::string message, std::string help) {
    complain(span(), std::move(message), std::move(help));
    return emit(ours);
}

Lexer::Token Lexer::word() {
    std::string_view text = token_text();
    if (previous_ == K::DOT) return emit(K::IDENT, symbols_.intern(text));
    if (const Kind* soft = soft_keywords.find(text)) return emit(*soft, symbols_.intern(text));
    if (const Reserved* reserved = reserved_words.find(text)) {
        const auto& [ours, message, help] = *reserved;
        complain(span(), message, help);
        if (ours == K::MODEL) return emit(ours, symbols_.intern("model"));
        return emit(ours == Kind{} ? K::YYerror : ours);
    }
    const Kind* keyword = keywords.find(text);
    if (!keyword) return emit(K::IDENT, symbols_.intern(text));
    switch (*keyword) {
        case K::IS: return emit(followed_by_word("not") ? K::ISNOT : K::IS);
        case K::NOT: return emit(followed_by_word("in") ? K::NOTIN : K::NOT);
        case K::ELSE:
            else_of_statement_ = previous_ == K::RBRACE && last_closed_ == Bracket::body;
            return emit(K::ELSE);
        case K::IF:
        case K::FOR:
            if (at_statement_start()) push(Bracket::header);
            break;
        case K::WHILE: push(Bracket::header); break;
        default: break;
    }
    return emit(*keyword);
}

/// Takes the next word into this token if it is `word` and on the same line.
bool Lexer::followed_by_word(std::string_view word) {
    const Byte* at = cursor_;
    while (at < end_ && (*at == ' ' || *at == '\t')) at++;
    if (at == cursor_ || static_cast<size_t>(end_ - at) < word.size()) return false;
    if (std::string_view(reinterpret_cast<const char*>(at), word.size()) != word) return false;
    at += word.size();
    if (at < end_ && is_word_byte(*at)) return false;
    cursor_ = at;
    return true;
}

Lexer::Token Lexer::number(int base) {
    std::string digits(token_text().substr(base == 10 ? 0 : 2));
    std::erase(digits, '_');
    int64_t value = 0;
    auto [rest, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    if (problem != std::errc()) {
        complain(span(), "this int does not fit in 64 bits",
                 "the largest is 9223372036854775807; a float may be larger: write `1e20`");
    }
    return emit(K::INT, value);
}

bool Lexer::name_or_dot_follows() const { return cursor_ < end_ && (is_word_byte(*cursor_) || *cursor_ == '.'); }

Lexer::Token Lexer::floating() {
    std::string digits(token_text());
    std::erase(digits, '_');
    return emit(K::FLOAT, std::strtod(digits.c_str(), nullptr));
}

// ---- Strings

Lexer::Token Lexer::string_literal(Byte quote, bool triple) {
    const Byte* start = token_;
    std::string text;
    Stop stop = string_text(quote, triple, nullptr, text);
    if (stop == Stop::quote) {
        cursor_ += triple ? 3 : 1;
    } else {
        ended_in_string_ |= triple;
        complain(span(offset(start), triple ? 3 : 1), "this string is not closed",
                 triple ? "it ends with the same three quotes"
                        : fmt::format(
                              "close it with `{}` on the same line; a text of several lines is written \"\"\"…\"\"\"",
                              static_cast<char>(quote)));
    }
    token_ = start;
    return emit(K::STRING, symbols_.intern(text));
}

Lexer::Token Lexer::begin_f_string(Byte quote, bool triple) {
    f_strings_.push_back({FString::text, quote, triple, span().begin, brackets_.size()});
    return emit(K::FSTART);
}

Lexer::Token Lexer::f_string_piece() {
    FString& current = f_strings_.back();
    token_ = cursor_;
    std::string text;
    Stop stop = string_text(current.quote, current.triple, &current.state, text);
    if (current.state == FString::text && stop == Stop::close_brace) {
        complain(span(offset(cursor_), 1), "this `}` closes nothing", "a brace in an f-string is written `}}`");
        text += '}';
        cursor_++;
        return emit(K::FTEXT, symbols_.intern(text));
    }
    if (cursor_ != token_) return emit(K::FTEXT, symbols_.intern(text));
    switch (stop) {
        case Stop::open_brace:
            cursor_++;
            push(Bracket::hole);
            current.state = current.state == FString::text ? FString::hole : FString::spec_hole;
            return emit(K::FLB);
        case Stop::close_brace:
            cursor_++;
            current.state = FString::text;
            if (inside(Bracket::hole)) brackets_.pop_back();
            return emit(K::FRB);
        case Stop::quote:
            if (current.state == FString::text) {
                cursor_ += current.triple ? 3 : 1;
                f_strings_.pop_back();
                return emit(K::FEND);
            }
            [[fallthrough]];
        case Stop::unterminated: break;
    }
    bool in_spec = current.state == FString::spec;
    uint32_t opened = in_spec ? brackets_.back().position : current.position;
    ended_in_string_ |= current.triple;
    complain(span(opened, in_spec ? 1 : 2), in_spec ? "this `{` is not closed" : "this f-string is not closed",
             in_spec ? "a hole is written `{value}` or `{value:format}`" : "");
    while (!brackets_.empty() && brackets_.size() > current.depth) brackets_.pop_back();
    f_strings_.pop_back();
    return emit(K::YYerror);
}

// ---- Brackets

Lexer::Token Lexer::open_brace() {
    bool is_block =
        after_operand() || previous_ == K::TRY || previous_ == K::FN || (previous_ == K::ELSE && else_of_statement_);
    if (previous_ == K::ANNOTATE) is_block = false;
    if (!is_block) {
        push(Bracket::dict);
        return emit(K::LDICT);
    }
    if (inside(Bracket::header)) {
        brackets_.back() = {Bracket::body, span().begin};
        return emit(K::LBODY);
    }
    push(Bracket::block);
    return emit(K::LBLOCK);
}

Lexer::Token Lexer::close(Bracket bracket, Kind kind, char closer) {
    while (inside(Bracket::header)) brackets_.pop_back();
    if (inside(bracket)) {
        brackets_.pop_back();
        last_closed_ = bracket;
        return emit(kind);
    }
    if (was_forgotten(bracket)) return emit(K::YYerror);
    if (brackets_.empty()) return wrong(fmt::format("this `{}` closes nothing", closer));
    Open open = brackets_.back();
    complain(span(), fmt::format("this `{}` does not close what is open", closer), {},
             {{span(open.position, 1), "this is open"}});
    return emit(K::YYerror);
}

/// Whether a bracket of this kind was open when an error made us forget it: then its closing says nothing new.
bool Lexer::was_forgotten(Bracket bracket) {
    auto found = std::find(forgotten_.rbegin(), forgotten_.rend(), bracket);
    if (found == forgotten_.rend()) return false;
    forgotten_.erase(std::next(found).base());
    return true;
}

Lexer::Token Lexer::close_brace() {
    while (inside(Bracket::header)) brackets_.pop_back();
    if (brackets_.empty()) {
        if (was_forgotten(Bracket::dict) || was_forgotten(Bracket::hole)) return emit(K::YYerror);
        return wrong("this `}` closes nothing");
    }
    Open open = brackets_.back();
    switch (open.bracket) {
        case Bracket::hole:
            brackets_.pop_back();
            if (!f_strings_.empty()) {
                FString& current = f_strings_.back();
                current.state = current.state == FString::spec_hole ? FString::spec : FString::text;
            }
            return emit(K::FRB);
        case Bracket::dict:
            brackets_.pop_back();
            last_closed_ = open.bracket;
            return emit(K::RDICT);
        case Bracket::block:
        case Bracket::body:
            brackets_.pop_back();
            last_closed_ = open.bracket;
            return emit(K::RBRACE);
        default: break;
    }
    complain(span(open.position, 1),
             fmt::format("this `{}` is not closed", open.bracket == Bracket::square ? '[' : '('), {},
             {{span(), "here something else is closed"}});
    recover();
    if (brackets_.empty()) return emit(K::YYerror);
    last_closed_ = brackets_.back().bracket;
    brackets_.pop_back();
    return emit(K::RBRACE);
}

Lexer::Token Lexer::colon() {
    if (!f_strings_.empty() && f_strings_.back().state == FString::hole && !brackets_.empty() &&
        brackets_.back().bracket == Bracket::hole) {
        f_strings_.back().state = FString::spec;
        return emit(K::FCOLON);
    }
    return emit(K::COLON);
}

// ---- Ends of lines

bool Lexer::newline_counts() const {
    if (brackets_.empty()) return true;
    Bracket top = brackets_.back().bracket;
    return top == Bracket::block || top == Bracket::body || top == Bracket::header;
}

/// Whether this newline ends a statement.
bool Lexer::newline() {
    if (!newline_counts() || line_is_unfinished() || at_statement_start() || line_continues_below()) return false;
    if (brackets_.empty() || brackets_.back().bracket != Bracket::header) return true;
    if (brace_follows()) {
        complain(span(), "expected `{`, but found the end of the line",
                 "`{` stands on the same line as what it belongs to");
        return false;
    }
    brackets_.pop_back();
    return true;
}

bool Lexer::brace_follows() const {
    const Byte* at = cursor_;
    while (at < end_ && std::isspace(*at)) at++;
    return at < end_ && *at == '{';
}

Lexer::Token Lexer::end_of_text() {
    token_ = cursor_;
    if (newline_counts() && !line_is_unfinished() && !at_statement_start()) {
        if (inside(Bracket::header)) brackets_.pop_back();
        return emit(K::NL);
    }
    return emit(K::YYEOF);
}

bool Lexer::at_statement_start() const {
    switch (previous_) {
        case Kind{}:
        case K::NL:
        case K::SEMI:
        case K::LBLOCK:
        case K::LBODY: return true;
        case K::ELSE: return else_of_statement_;
        default: return false;
    }
}

/// Whether the token before ends an operand, so that `{` is a block.
bool Lexer::after_operand() const {
    switch (previous_) {
        case K::IDENT:
        case K::MODEL:
        case K::PARAM:
        case K::BUFFER:
        case K::CUSTOM:
        case K::TEST:
        case K::USE:
        case K::ANNOTATE:
        case K::INT:
        case K::FLOAT:
        case K::STRING:
        case K::FEND:
        case K::NONE:
        case K::TRUE:
        case K::FALSE:
        case K::ELLIPSIS:
        case K::RPAREN:
        case K::RBRACK:
        case K::RDICT:
        case K::RBRACE: return true;
        default: return false;
    }
}

/// Whether the token before asks for more, so that a newline does not count.
bool Lexer::line_is_unfinished() const {
    switch (previous_) {
        case K::PLUS:
        case K::MINUS:
        case K::STAR:
        case K::SLASH:
        case K::DSLASH:
        case K::PERCENT:
        case K::AT:
        case K::POW:
        case K::AMP:
        case K::PIPE:
        case K::CARET:
        case K::TILDE:
        case K::SHL:
        case K::SHR:
        case K::EQ:
        case K::NE:
        case K::LT:
        case K::LE:
        case K::GT:
        case K::GE:
        case K::AND:
        case K::OR:
        case K::NOT:
        case K::IN:
        case K::NOTIN:
        case K::IS:
        case K::ISNOT:
        case K::ASSIGN:
        case K::UPDATE:
        case K::COMMA:
        case K::ARROW:
        case K::DOT: return true;
        default: return false;
    }
}

bool Lexer::ends_statement_here() const {
    const Byte* at = cursor_;
    while (at < end_ && (*at == ' ' || *at == '\t' || *at == '\r')) at++;
    return at == end_ || *at == '\n' || *at == ';' || *at == '}' || *at == '#';
}

}  // namespace tenon
