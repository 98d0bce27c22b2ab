// The words and signs of the language. A newline is a token where a statement may end; a brace is one of three tokens,
// told apart by what stands before it (frontend/syntax/lexer.cpp).

#include "frontend/syntax/lexer.h"
#include "frontend/syntax/utf8.h"

namespace tenon {

using K = grammar::Parser::token;

/*!re2c
    re2c:define:YYCTYPE = "unsigned char";
    re2c:define:YYLIMIT = end_;
    re2c:define:YYCURSOR = cursor_;
    re2c:define:YYMARKER = marker;
    re2c:yyfill:enable = 0;
    re2c:eof = 0;

    blank       = [ \t\r];
    newline     = "\r"? "\n";
    comment     = "#" [^\n]*;
    letter      = [A-Za-z_];
    digit       = [0-9];
    digits      = digit ("_"? digit)*;
    hex         = [0-9a-fA-F];
    exponent    = [eE] [+-]? digits;
    character   = [\x01-\x7f] | [\xc2-\xdf] [\x80-\xbf] | [\xe0-\xef] [\x80-\xbf]{2} | [\xf0-\xf4] [\x80-\xbf]{3};
*/

Lexer::Token Lexer::code() {
    const Byte* marker;
again:
    token_ = cursor_;
    /*!re2c
        blank+              { goto again; }
        comment             { goto again; }
        "\\" blank* newline { goto again; }
        newline             { if (newline()) return emit(K::NL); goto again; }
        $                   { return end_of_text(); }
        ";"                 { return emit(K::SEMI); }

        letter (letter | digit)*                    { return word(); }

        digits                                      { return number(10); }
        "0" [xX] hex ("_"? hex)*                    { return number(16); }
        "0" [bB] [01] ("_"? [01])*                  { return number(2); }
        digits "." digits exponent?                 { return floating(); }
        digits exponent                             { return floating(); }
        "." digits exponent?                        { return floating(); }
        digits "." exponent                         { return floating(); }
        digits "."                                  { if (name_or_dot_follows()) { --cursor_; return number(10); }  // 5.max(3)
                                                      return floating(); }
        (digits | digits "." digits) exponent? "_"* letter (letter | digit)*
                            { return wrong("this is neither a number nor a name", "a name begins with a letter"); }

        "\""                { return string_literal('"', false); }
        "'"                 { return string_literal('\'', false); }
        "\"\"\""            { return string_literal('"', true); }
        "'''"               { return string_literal('\'', true); }
        "f\""               { return begin_f_string('"', false); }
        "f'"                { return begin_f_string('\'', false); }
        "f\"\"\""           { return begin_f_string('"', true); }
        "f'''"              { return begin_f_string('\'', true); }

        "("                 { push(Bracket::parenthesis); return emit(K::LPAREN); }
        "["                 { push(Bracket::square); return emit(K::LBRACK); }
        "{"                 { return open_brace(); }
        ")"                 { return close(Bracket::parenthesis, K::RPAREN, ')'); }
        "]"                 { return close(Bracket::square, K::RBRACK, ']'); }
        "}"                 { return close_brace(); }

        "="                 { return emit(K::ASSIGN); }
        ","                 { return emit(K::COMMA); }
        ":"                 { return colon(); }
        "."                 { return emit(K::DOT); }
        "..."               { return emit(K::ELLIPSIS); }
        "->"                { return emit(K::ARROW); }
        "+"                 { return emit(K::PLUS); }
        "-"                 { return emit(K::MINUS); }
        "*"                 { return emit(K::STAR); }
        "/"                 { return emit(K::SLASH); }
        "//"                { return emit(K::DSLASH); }
        "%"                 { return emit(K::PERCENT); }
        "@"                 { return emit(K::AT); }
        "**"                { return emit(K::POW); }
        "&"                 { return emit(K::AMP); }
        "|"                 { return emit(K::PIPE); }
        "^"                 { return emit(K::CARET); }
        "~"                 { return emit(K::TILDE); }
        "<<"                { return emit(K::SHL); }
        ">>"                { return emit(K::SHR); }
        "=="                { return emit(K::EQ); }
        "!="                { return emit(K::NE); }
        "<"                 { return emit(K::LT); }
        "<="                { return emit(K::LE); }
        ">"                 { return emit(K::GT); }
        ">="                { return emit(K::GE); }

        "+="                { return emit(K::UPDATE, ast::BinaryOperator::add); }
        "-="                { return emit(K::UPDATE, ast::BinaryOperator::subtract); }
        "*="                { return emit(K::UPDATE, ast::BinaryOperator::multiply); }
        "/="                { return emit(K::UPDATE, ast::BinaryOperator::divide); }
        "//="               { return emit(K::UPDATE, ast::BinaryOperator::floor_divide); }
        "%="                { return emit(K::UPDATE, ast::BinaryOperator::modulo); }
        "@="                { return emit(K::UPDATE, ast::BinaryOperator::matmul); }
        "**="               { return emit(K::UPDATE, ast::BinaryOperator::power); }
        "&="                { return emit(K::UPDATE, ast::BinaryOperator::bit_and); }
        "|="                { return emit(K::UPDATE, ast::BinaryOperator::bit_or); }
        "^="                { return emit(K::UPDATE, ast::BinaryOperator::bit_xor); }
        "<<="               { return emit(K::UPDATE, ast::BinaryOperator::shift_left); }
        ">>="               { return emit(K::UPDATE, ast::BinaryOperator::shift_right); }

        "&&"                { return instead(K::AND, "`&&` is not an operator", "write `and`"); }
        "||"                { return instead(K::OR, "`||` is not an operator", "write `or`"); }
        "!"                 { return instead(K::NOT, "`!` is not an operator", "write `not x`; in an f-string, `{repr(x)}`"); }
        "==="               { return instead(K::EQ, "`===` is not an operator", "`==` compares values, `is` compares identity"); }
        "!=="               { return instead(K::NE, "`!==` is not an operator", "`!=` compares values, `is not` compares identity"); }
        "<>"                { return instead(K::NE, "`<>` is not an operator", "write `!=`"); }
        "++"                { return wrong("`++` is not an operator", "write `x += 1`"); }
        "--"                { if (after_operand() && ends_statement_here()) {
                                  return wrong("`--` is not an operator", "write `x -= 1`");
                              }
                              cursor_ = token_ + 1; return emit(K::MINUS); }
        "?"                 { return wrong("`?` is not an operator", "write `a if condition else b`"); }
        "?."                { return wrong("`?.` is not an operator", "write `x.f if x is not none else none`"); }
        "=>"                { return wrong("`=>` is not an operator", "a function without a name is written `fn(x) = x * 2`"); }
        "|>"                { return wrong("`|>` is not an operator", "write `x.f()`, which is `f(x)`"); }
        ":="                { if (inside(Bracket::hole)) { cursor_ = token_ + 1; return colon(); }
                              return wrong("`:=` is not an operator", "assign on a line of its own: `x = …`"); }
        "::"                { if (inside(Bracket::hole) || inside(Bracket::square)) { cursor_ = token_ + 1; return colon(); }
                              return wrong("`::` is not an operator", "a field is written `x.name`"); }
        ".."                { return wrong("`..` is not an operator", "write `range(a, b)`, or `...` for the remaining dimensions"); }
        "$"                 { return wrong("`$` means nothing here"); }
        "`"                 { return wrong("a backtick means nothing here", "strings are written \"…\" or '…'"); }
        "\\"                { return wrong("a backslash may only stand at the end of a line, which it continues"); }

        "\xe2\x80" [\x98-\x9f]  { return wrong("this is a typographic quotation mark", "strings are written \"…\" or '…'"); }
        "\xe2\x88\x92"      { return instead(K::MINUS, "this is the sign U+2212, which only looks like a minus", "write `-`"); }
        "\xc3\x97"          { return instead(K::STAR, "`×` is not an operator", "write `*`, or `@` for a matrix product"); }
        "\xe2\x89\xa4"      { return instead(K::LE, "`≤` is not an operator", "write `<=`"); }
        "\xe2\x89\xa5"      { return instead(K::GE, "`≥` is not an operator", "write `>=`"); }
        "\xe2\x89\xa0"      { return instead(K::NE, "`≠` is not an operator", "write `!=`"); }
        "\xc2\xa0"          { return wrong("this is a no-break space (U+00A0)", "write an ordinary space"); }
        "\xef\xbb\xbf"      { if (token_ == begin_) goto again; return wrong("this is a byte order mark (U+FEFF)", "remove it"); }
        "\x00"              { return wrong("this is a NUL byte", "a script is text: remove it"); }
        [\x01-\x7f]         { return wrong("this character means nothing here"); }
        character           { return wrong("`" + std::string(token_text()) + "` means nothing here",
                                           "names are written in the letters a to z, digits and `_`"); }
        *                   { return wrong("this byte is not text in UTF-8"); }
    */
}

/// Reads the text of a string up to what ends it, which is left unread. `braces` is null in a plain string; in an
/// f-string it says whether this is text, where `{{` is a brace, or a format spec, where it is not.
Lexer::Stop Lexer::string_text(Byte quote, bool triple, FString::State* braces, std::string& text) {
    const Byte* marker;
    const bool raw_braces = braces == nullptr;
    const bool spec = braces && *braces == FString::spec;
    for (;;) {
        const Byte* start = cursor_;
        auto piece = [&] {
            return std::string_view(reinterpret_cast<const char*>(start), static_cast<size_t>(cursor_ - start));
        };
        auto stop = [&](Stop reason) { cursor_ = start; return reason; };
        auto code_point = [&](size_t skip, size_t drop) {
            std::string_view number = piece().substr(skip);
            number.remove_suffix(drop);
            uint64_t value = number.size() > 8 ? 0x110000 : std::stoul(std::string(number), nullptr, 16);
            if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) {
                complain(span(offset(start), piece().size()), "there is no character with this number",
                         "the last one is \\u{10FFFF}");
                return;
            }
            append_utf8(text, static_cast<uint32_t>(value));
        };
        /*!re2c
            $                       { return stop(Stop::unterminated); }
            newline                 { if (!triple) return stop(Stop::unterminated); text += '\n'; continue; }
            ["']                    { if (start[0] != quote) { text += static_cast<char>(start[0]); continue; }
                                      if (!triple || (end_ - start >= 3 && start[1] == quote && start[2] == quote)) return stop(Stop::quote);
                                      text += static_cast<char>(quote); continue; }
            "{{"                    { if (spec) return stop(Stop::open_brace); text += raw_braces ? "{{" : "{"; continue; }
            "}}"                    { if (spec) return stop(Stop::close_brace); text += raw_braces ? "}}" : "}"; continue; }
            "{"                     { if (!raw_braces) return stop(Stop::open_brace); text += '{'; continue; }
            "}"                     { if (!raw_braces) return stop(Stop::close_brace); text += '}'; continue; }

            "\\n"                   { text += '\n'; continue; }
            "\\t"                   { text += '\t'; continue; }
            "\\r"                   { text += '\r'; continue; }
            "\\0"                   { text += '\0'; continue; }
            "\\e"                   { text += '\x1b'; continue; }
            "\\" [\\"'{}]           { text += static_cast<char>(start[1]); continue; }
            "\\" newline            { continue; }
            "\\x" hex{2}            { code_point(2, 0); continue; }
            "\\u" hex{4}            { code_point(2, 0); continue; }
            "\\u{" hex+ "}"         { code_point(3, 1); continue; }
            "\\" character?         { complain(span(offset(start), piece().size()), "this escape means nothing",
                                      "the escapes are \\n \\t \\r \\0 \\e \\\\ \\\" \\' \\x41 \\u{1F600}; a backslash itself is \\\\");
                                      continue; }

            [^\x00\r\n"'{}\\]+      { text += piece(); continue; }
            *                       { text += static_cast<char>(start[0]); continue; }
        */
    }
}

/// After a newline: whether the next line goes on with this statement, which it does when it begins with `else`, `catch`
/// or `.name`. (In the grammar a newline before `else` would be a conflict.)
bool Lexer::line_continues_below() const {
    const Byte* cursor_ = this->cursor_;
    const Byte* marker;
    for (;;) {
        /*!re2c
            (blank | newline)+                          { continue; }
            comment                                     { continue; }
            ("else" | "catch") (letter | digit)         { return false; }
            "else" | "catch" | "." letter               { return true; }
            $                                           { return false; }
            *                                           { return false; }
        */
    }
}

}  // namespace tenon
