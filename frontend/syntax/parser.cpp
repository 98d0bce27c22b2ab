// Runs the generated parser and says in words what it could not take.
#include "frontend/syntax/parser.h"

#include <fmt/format.h>
#include <algorithm>
#include <bitset>

#include "frontend/syntax/lexer.h"
#include "frontend/syntax/tree_builder.h"
#include "frontend/syntax/utf8.h"
#include "grammar/parser.hpp"

namespace tenon {

namespace {

using Parser = grammar::Parser;
using Symbols = Parser::symbol_kind;
using K = Parser::token;

/// What could have stood where an unexpected token stands.
class Expected {
public:
    explicit Expected(const Parser::context& context) {
        Parser::symbol_kind_type kinds[Symbols::YYNTOKENS];
        int count = context.expected_tokens(kinds, Symbols::YYNTOKENS);
        for (int i = 0; i < count; i++) has_.set(kinds[i]);
    }

    bool operator[](Parser::symbol_kind_type kind) const { return has_[kind]; }
    bool expression() const { return has_[Symbols::S_IDENT] && has_[Symbols::S_MINUS] && has_[Symbols::S_INT]; }
    bool operation_goes_on() const { return has_[Symbols::S_PLUS] && has_[Symbols::S_EQ]; }

    /// "`)` or an operator", or nothing where a list would not help.
    std::string in_words() const {
        std::vector<std::string> parts;
        if (expression()) {
            parts.push_back(operation_goes_on() ? "an operator" : "an expression");
        } else if (has_[Symbols::S_IDENT] && has_[Symbols::S_NONE]) {
            return "a type";
        } else if (has_[Symbols::S_IDENT]) {
            parts.push_back("a name");
        } else if (has_[Symbols::S_STRING]) {
            parts.push_back("a string");
        } else if (operation_goes_on()) {
            parts.push_back("an operator");
        }
        static constexpr std::pair<Parser::symbol_kind_type, const char*> signs[] = {
            {Symbols::S_COMMA, "`,`"},     {Symbols::S_RPAREN, "`)`"}, {Symbols::S_RBRACK, "`]`"},
            {Symbols::S_FRB, "`}`"},       {Symbols::S_RDICT, "`}`"},  {Symbols::S_LBLOCK, "`{`"},
            {Symbols::S_LBODY, "`{`"},     {Symbols::S_COLON, "`:`"},  {Symbols::S_IN, "`in`"},
            {Symbols::S_CATCH, "`catch`"}, {Symbols::S_ASSIGN, "`=`"}, {Symbols::S_ARROW, "`->`"}};
        for (auto [kind, text] : signs) {
            bool always_possible = kind == Symbols::S_IN || kind == Symbols::S_ASSIGN || kind == Symbols::S_LBLOCK;
            if (operation_goes_on() && always_possible) continue;  // it says nothing about this place
            if (has_[kind]) parts.push_back(text);
        }
        if (has_[Symbols::S_LPAREN] && !expression() && !operation_goes_on()) parts.push_back("`(`");
        if (has_[Symbols::S_ELSE] && !has_[Symbols::S_IF]) parts.push_back("`else`");
        if (has_[Symbols::S_FN] && !expression()) parts.push_back("`fn`");
        if (has_[Symbols::S_NL]) parts.push_back("the end of the line");
        if (has_[Symbols::S_RBRACE]) parts.push_back("`}`");
        if (parts.empty() || parts.size() > 4) return {};
        std::string words = parts[0];
        for (size_t i = 1; i < parts.size(); i++) words += (i + 1 < parts.size() ? ", " : " or ") + parts[i];
        return words;
    }

private:
    std::bitset<Symbols::YYNTOKENS> has_;
};

std::string found_in_words(Parser::symbol_kind_type kind, std::string_view text) {
    switch (kind) {
        case Symbols::S_YYEOF: return "the end of the text";
        case Symbols::S_NL: return "the end of the line";
        case Symbols::S_STRING: return text.size() > 20 ? "a string" : fmt::format("the string {}", text);
        case Symbols::S_FTEXT:
        case Symbols::S_FSTART:
        case Symbols::S_FEND: return "an f-string";
        default: return fmt::format("`{}`", text);
    }
}

std::string unexpected(const Expected& expected, Parser::symbol_kind_type found, std::string_view text) {
    std::string words = expected.in_words();
    if (words.empty()) return fmt::format("{} cannot stand here", found_in_words(found, text));
    return fmt::format("expected {}, but found {}", words, found_in_words(found, text));
}

bool is_keyword(Parser::symbol_kind_type kind) { return (kind >= Symbols::S_IF && kind <= Symbols::S_GRAPH_BREAK); }

/// The error as a sentence of its own, for what people bring from other languages; else empty.
struct Advice {
    std::string message, help;
};

Advice advice_for(Parser::symbol_kind_type found, std::string_view text, const Expected& expected, const Lexer& lexer) {
    using Bracket = Lexer::Bracket;
    const auto& open = lexer.open_brackets();
    bool inside = !open.empty() && open.back().bracket != Bracket::block && open.back().bracket != Bracket::body;
    Bracket top = inside ? open.back().bracket : Bracket::block;
    auto before = lexer.previous(1);  // the token before the one found
    switch (found) {
        case Symbols::S_COLON:
            if (expected[Symbols::S_LBODY] || (expected[Symbols::S_LBLOCK] && !expected.operation_goes_on()) ||
                before == K::ELSE || before == K::TRY) {
                return {"a block is written in braces, without a colon", "write `{ … }` in place of `:`"};
            }
            if (!inside && expected[Symbols::S_ASSIGN]) {
                return {"a type stands only behind parameters, results, `param` and `buffer`",
                        "assign without a type: `x = …`"};
            }
            break;
        case Symbols::S_ASSIGN:
            if (top == Bracket::dict) return {"an entry of a dict is written with a colon", "write `{\"key\": value}`"};
            if (top == Bracket::header) return {"`=` assigns; here something is compared", "write `==`"};
            if (inside || expected.operation_goes_on()) {
                return {"an assignment is a statement of its own, not a value", "to compare, write `==`"};
            }
            break;
        case Symbols::S_PLUS:
            if (expected.expression())
                return {"there is no sign `+`, only the operator between two values", "leave it away"};
            break;
        case Symbols::S_IDENT:
        case Symbols::S_STRING:
        case Symbols::S_INT:
        case Symbols::S_FLOAT:
        case Symbols::S_FSTART:
            if (before == K::IDENT && !inside && expected.operation_goes_on()) {
                return {fmt::format("expected an operator or the end of the line, but found {}",
                                    found_in_words(found, text)),
                        "a call is written with parentheses: `f(x)`; two statements on one line are separated by `;`"};
            }
            break;
        case Symbols::S_LBLOCK:
            if (before == K::RPAREN || before == K::IDENT || before == K::RBRACK) {
                return {"no block can stand here",
                        "`{` stands on its head's line; a dict is an argument, `f({…})`, or stands behind an operator"};
            }
            break;
        case Symbols::S_NL:
            if (expected[Symbols::S_ELSE] && !expected[Symbols::S_IF]) {
                return {"this conditional expression has no `else`",
                        "write `a if condition else b`, or `if condition { … }`"};
            }
            if (expected[Symbols::S_LBODY] || (expected[Symbols::S_LBLOCK] && !expected[Symbols::S_PLUS])) {
                return {"expected `{`, but found the end of the line",
                        "`{` stands on the same line as what it belongs to"};
            }
            break;
        case Symbols::S_ELSE:
            return {"this `else` belongs to no `if`",
                    "it stands behind the `}` of an `if`, or in `a if condition else b`"};
        case Symbols::S_RETURN:
        case Symbols::S_BREAK:
        case Symbols::S_CONTINUE:
        case Symbols::S_ASSERT:
            if (expected.expression()) {
                return {fmt::format("`{}` is a statement, not a value", text),
                        text == "return" ? "a short function has no `return`: `fn f(x) = x * 2`" : ""};
            }
            break;
        case Symbols::S_FRB:
            if (before == K::FLB) return {"this hole is empty", "write `{value}`, or `{{}}` for braces"};
            break;
        default: break;
    }
    if (is_keyword(found) && expected[Symbols::S_IDENT] && !expected.operation_goes_on()) {
        bool name_only = !expected.expression();
        if (name_only)
            return {fmt::format("`{}` is a word of the language and cannot be a name", text), "choose another name"};
    }
    return {};
}

/// What a bracket looks like.
char sign_of(Lexer::Bracket bracket) {
    return bracket == Lexer::Bracket::parenthesis ? '(' : bracket == Lexer::Bracket::square ? '[' : '{';
}

}  // namespace

/// Turns what the generated parser could not take into a diagnostic, and sets the lexer up for the next line.
class SyntaxReporter {
public:
    SyntaxReporter(Lexer& lexer, const SourceMap& sources, SyntaxErrors& errors, bool& incomplete)
        : lexer_(lexer), sources_(sources), errors_(errors), incomplete_(incomplete) {}

    void report(const Parser::context& context) const {
        say(context);
        lexer_.recover();
    }

private:
    void say(const Parser::context& context) const;

    Lexer& lexer_;
    const SourceMap& sources_;
    SyntaxErrors& errors_;
    bool& incomplete_;
};

void SyntaxReporter::say(const Parser::context& context) const {
    Span span = context.location();
    auto found = context.token();
    std::string_view text = sources_.text(span);
    Expected expected(context);

    // A bracket that is open since an earlier line, or at the end: that is what is wrong, not what follows.
    const auto& open = lexer_.open_brackets();
    bool at_end = found == Symbols::S_YYEOF;
    if (at_end) incomplete_ = true;
    if (!open.empty() && open.back().bracket != Lexer::Bracket::header) {
        auto [bracket, position] = open.back();
        Span opener{span.source, position, position + 1};
        bool is_block = bracket == Lexer::Bracket::block || bracket == Lexer::Bracket::body;
        if (at_end) {
            errors_.add(opener, fmt::format("this `{}` is not closed", sign_of(bracket)));
            return;
        }
        if (!is_block && sources_.line(opener) != sources_.line(span) && expected.operation_goes_on()) {
            errors_.add(span, unexpected(expected, found, text),
                        fmt::format("is the `{}` of line {} not closed?", sign_of(bracket), sources_.line(opener)),
                        {{opener, "open since here"}});
            return;
        }
    }

    Advice advice = advice_for(found, text, expected, lexer_);
    if (advice.message.empty()) advice.message = unexpected(expected, found, text);
    errors_.add(span, std::move(advice.message), std::move(advice.help));
}

namespace {

/// The first byte that is not UTF-8, if there is one.
std::optional<uint32_t> not_utf8(std::string_view text) {
    for (size_t i = 0; i < text.size();) {
        auto character = decode_utf8(text, i);
        if (!character) return static_cast<uint32_t>(i);
        i += character->bytes;
    }
    return std::nullopt;
}

}  // namespace

ParseResult parse(SourceId source, const SourceMap& sources, SymbolTable& symbols, Arena& arena) {
    SyntaxErrors errors(sources);
    NodeBuilder nodes(source, sources, symbols, arena, errors);
    ExpressionBuilder expression(nodes);
    TypeBuilder type(nodes);
    StatementBuilder statement(nodes, expression);
    std::string_view text = sources.text(source);
    ParseResult result{.script = statement.script()};
    if (text.size() > UINT32_MAX / 2) {
        errors.add({source, 0, 1}, "this text is larger than 2 GiB");
    } else if (auto bad = not_utf8(text)) {
        errors.add({source, *bad, *bad + 1},
                   fmt::format("the byte 0x{:02x} is not text in UTF-8", static_cast<uint8_t>(text[*bad])),
                   "scripts are saved as UTF-8");
    } else {
        Lexer lexer(source, sources, symbols, errors);
        bool incomplete = false;
        const SyntaxReporter reporter(lexer, sources, errors, incomplete);
        Parser(lexer, expression, type, statement, reporter).parse();
        result.incomplete = incomplete || lexer.ended_in_string();
    }
    result.script = statement.script();
    result.diagnostics = errors.take();
    return result;
}

void grammar::Parser::report_syntax_error(const context& context) const { reporter.report(context); }

/// Bison calls this for running out of memory only.
void grammar::Parser::error(const location_type&, const std::string&) { throw std::bad_alloc(); }

}  // namespace tenon
