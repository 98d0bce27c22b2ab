#include "frontend/values/builtin.h"
#include "frontend/values/errors.h"

#include <cassert>

#include <fmt/format.h>

#include "runtime/diagnostic.h"

namespace tenon {

namespace {

[[noreturn]] void refuse(const Arguments& arguments, size_t k, std::string_view what, std::string_view expected) {
    throw_error_at(arguments.span_of(k), "type",
                   fmt::format("{} is {}, found {}", what, expected, with_article(arguments[k].kind())));
}

}  // namespace

int64_t Arguments::integer(size_t k, std::string_view what) const {
    assert(!values[k].is_symbolic() && "a row that takes symbolic numbers reads them itself");
    if (!values[k].is_int()) refuse(*this, k, what, "an int");
    return values[k].as_int();
}

int64_t Arguments::integer_or(size_t k, int64_t otherwise, std::string_view what) const {
    return has(k) ? integer(k, what) : otherwise;
}

double Arguments::number(size_t k, std::string_view what) const {
    assert(!values[k].is_symbolic() && "a row that takes symbolic numbers reads them itself");
    if (!values[k].is_number()) refuse(*this, k, what, "a number");
    return values[k].as_number();
}

double Arguments::number_or(size_t k, double otherwise, std::string_view what) const {
    return has(k) ? number(k, what) : otherwise;
}

bool Arguments::flag_or(size_t k, bool otherwise, std::string_view what) const {
    if (!has(k)) return otherwise;
    assert(!values[k].is_symbolic() && "a row that takes symbolic numbers reads them itself");
    if (!values[k].is_bool()) refuse(*this, k, what, "a bool");
    return values[k].as_bool();
}

const std::string& Arguments::text(size_t k, std::string_view what) const {
    if (!values[k].is<StringObject>()) refuse(*this, k, what, "a str");
    return text_of(values[k]);
}

}  // namespace tenon
