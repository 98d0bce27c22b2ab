// From characters to tokens. The rules are in grammar/lexer.re; this is what they remember between tokens.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/syntax/source_map.h"
#include "frontend/syntax/symbols.h"
#include "frontend/syntax/syntax_errors.h"
#include "grammar/parser.hpp"

namespace tenon {

/// The words that the grammar knows, in alphabetical order; the soft ones, which are also taken as names, among them.
std::vector<std::string_view> language_words();

class Lexer {
public:
    using Token = grammar::Parser::symbol_type;
    using Kind = grammar::Parser::token_kind_type;

    /// An open bracket. What it is decides what newlines and braces mean inside.
    enum class Bracket : uint8_t {
        parenthesis,
        square,
        dict,
        block,
        body,    // of if, for and while: an `else` after it belongs to the statement
        header,  // no bracket: after `if`, `for` or `while` at the start of a statement, up to its body
        hole,    // of an f-string
    };

    struct Open {
        Bracket bracket;
        uint32_t position;
    };

    Lexer(SourceId source, const SourceMap& sources, SymbolTable& symbols, SyntaxErrors& errors);

    Token next();

    /// After a syntax error: forgets the brackets opened within the innermost block, so that the next newline counts.
    void recover();

    /// Brackets that are open now, outermost first.
    const std::vector<Open>& open_brackets() const { return brackets_; }
    /// The kinds of the last two tokens handed out, the last one first; 0 where there is none.
    Kind previous(int back) const { return back == 0 ? previous_ : before_previous_; }
    /// True when the text ended inside a string.
    bool ended_in_string() const { return ended_in_string_; }

private:
    using Byte = unsigned char;

    /// An f-string that is being read.
    struct FString {
        enum State : uint8_t { text, hole, spec, spec_hole } state;
        Byte quote;
        bool triple;
        uint32_t position;
        size_t depth;  // brackets open around it
    };

    /// What ends a piece of string text.
    enum class Stop : uint8_t { quote, open_brace, close_brace, unterminated };

    // grammar/lexer.re
    Token code();
    Stop string_text(Byte quote, bool triple, FString::State* braces, std::string& text);
    bool line_continues_below() const;

    Token string_literal(Byte quote, bool triple);
    Token begin_f_string(Byte quote, bool triple);
    Token f_string_piece();
    Token word();
    Token number(int base);
    Token floating();
    bool name_or_dot_follows() const;
    Token open_brace();
    Token close_brace();
    Token close(Bracket bracket, Kind kind, char closer);
    bool was_forgotten(Bracket bracket);
    Token colon();
    Token end_of_text();
    bool newline();

    Token emit(Kind kind);
    template <class Value> Token emit(Kind kind, Value value);
    /// Reports what the rules cannot make sense of; the parser recovers without a word of its own.
    Token wrong(std::string message, std::string help = {});
    void complain(Span span, std::string message, std::string help = {}, std::vector<Label> labels = {});
    /// Reports another language's spelling and goes on as if ours stood there.
    Token instead(Kind ours, std::string message, std::string help);

    bool at_statement_start() const;
    bool after_operand() const;
    /// Whether the innermost open bracket is of this kind.
    bool inside(Bracket bracket) const { return !brackets_.empty() && brackets_.back().bracket == bracket; }
    bool line_is_unfinished() const;
    bool newline_counts() const;
    bool brace_follows() const;
    bool followed_by_word(std::string_view word);
    bool ends_statement_here() const;
    void push(Bracket bracket) { brackets_.push_back({bracket, span().begin}); }

    uint32_t offset(const Byte* at) const { return static_cast<uint32_t>(at - begin_); }
    Span span() const { return {source_, offset(token_), offset(cursor_)}; }
    Span span(uint32_t begin, uint32_t length) const { return {source_, begin, begin + length}; }
    std::string_view token_text() const {
        return {reinterpret_cast<const char*>(token_), static_cast<size_t>(cursor_ - token_)};
    }

    SourceId source_;
    SymbolTable& symbols_;
    SyntaxErrors& errors_;
    const Byte *begin_, *end_, *cursor_, *token_;
    std::vector<Open> brackets_;
    std::vector<Bracket> forgotten_;  // by `recover`
    std::vector<FString> f_strings_;
    Kind previous_ = {}, before_previous_ = {};
    Bracket last_closed_ = Bracket::parenthesis;
    bool else_of_statement_ = false;
    bool ended_in_string_ = false;
};

}  // namespace tenon
