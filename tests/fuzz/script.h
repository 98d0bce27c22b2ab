// A script as a tree of statements, so that it can be written with and without its marks, and made smaller.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace tenon::fuzz {

struct Statement {
    enum class Kind {
        line,        ///< `text`
        block,       ///< `text { body }`, and where there is an `otherwise`, `else { … }` or `catch e { … }`
        mark,        ///< a line that changes no value: graph_break
        mark_block,  ///< `text { body }`, whose body alone means the same: annotate, no_compile, checkpoint
    };
    Kind kind = Kind::line;
    std::string text;
    std::vector<Statement> body;
    std::string joint;  ///< of a block: "else" or "catch e"; empty where there is no second body
    std::vector<Statement> otherwise;
};
using Statements = std::vector<Statement>;

inline Statement line(std::string text) { return {Statement::Kind::line, std::move(text), {}, {}, {}}; }
inline Statement mark(std::string text) { return {Statement::Kind::mark, std::move(text), {}, {}, {}}; }
inline Statement block(std::string text, Statements body, std::string joint = {}, Statements otherwise = {}) {
    return {Statement::Kind::block, std::move(text), std::move(body), std::move(joint), std::move(otherwise)};
}
inline Statement mark_block(std::string text, Statements body) {
    return {Statement::Kind::mark_block, std::move(text), std::move(body), {}, {}};
}

enum class Marks { kept, removed };

/// The text of a script, each statement on lines of its own.
std::string text_of(const Statements& script, Marks marks);
bool has_marks(const Statements& script);

/// Every script that is smaller by one statement, or by one block around its body; the largest pieces first.
std::vector<Statements> smaller_ones(const Statements& script);

}  // namespace tenon::fuzz
