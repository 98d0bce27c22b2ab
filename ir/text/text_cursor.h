// A place in the text of a graph: blanks and comments skipped, words and numbers read, errors that name the place.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "ir/context.h"
#include "runtime/span.h"

namespace tenon {

class TextCursor {
public:
    TextCursor(std::string_view text, uint32_t source) : text_(text), source_(source) {}

    /// Throws Error "graph": what is wanted here, and what is found.
    [[noreturn]] void fail(const std::string& wanted);

    void skip();  // blanks, and comments from "# " to the end of the line
    bool at_end();
    char peek();  // '\0' at the end
    bool accept(std::string_view token);
    void expect(std::string_view token);
    bool at_minus();  // the sign, not an arrow

    std::string_view peek_word();  // a name, dots included; empty where none begins here
    bool accept_word(std::string_view word);
    void expect_word(std::string_view word);
    std::string_view word(const std::string& wanted);

    int64_t integer();
    AttrValue number();  // an int, a float, inf or nan
    std::string quoted();
    void skip_word();  // up to the next blank

    size_t place() const { return at_; }
    void go_back(size_t place) { at_ = place; }
    Span span_from(size_t begin) const { return {source_, uint32_t(begin), uint32_t(at_)}; }

    class Nesting {  // hostile text must not overflow the stack
    public:
        explicit Nesting(TextCursor& cursor) : cursor_(cursor) {
            if (++cursor_.depth_ > 100) cursor_.fail("less nesting");
        }
        ~Nesting() { --cursor_.depth_; }
        Nesting(const Nesting&) = delete;
        Nesting& operator=(const Nesting&) = delete;

    private:
        TextCursor& cursor_;
    };

private:
    std::string_view text_;
    uint32_t source_;
    size_t at_ = 0;
    int depth_ = 0;
};

}  // namespace tenon
