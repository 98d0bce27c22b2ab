// Errors that a script's author can cause, as data. The frontend renders them; bugs of ours are asserts instead.
#pragma once

#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "runtime/span.h"

namespace tenon {

/// One half of the sentence: a part of the source and what is to be said about it.
struct Label {
    Span span;
    std::string text;
};

/// What went wrong. `kind` is what a script sees as `e.kind`: syntax name type shape dtype index key value overflow
/// arity assertion user io memory gradient graph internal. `help` names a way out, or is empty.
struct Diagnostic {
    std::string kind;
    std::string message;
    Span span;
    std::vector<Label> labels;
    std::string help;
};

class Error : public std::exception {
public:
    explicit Error(Diagnostic what_happened) : diagnostic(std::move(what_happened)) {}
    const char* what() const noexcept override { return diagnostic.message.c_str(); }

    Diagnostic diagnostic;
};

/// Throws an Error without a place; whoever knows the place adds it on the way up.
[[noreturn]] inline void throw_error(std::string kind, std::string message, std::string help = {}) {
    throw Error(Diagnostic{std::move(kind), std::move(message), {}, {}, std::move(help)});
}

}  // namespace tenon
