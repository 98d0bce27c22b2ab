// Built-in functions and methods: tables of rows, one table a file of frontend/builtins/.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "frontend/syntax/ast.h"
#include "frontend/values/value.h"
#include "runtime/small_vector.h"
#include "runtime/span.h"

namespace tenon {

class Evaluator;
struct Arguments;

/// A set of kinds, for choosing a built-in by its first argument.
using KindSet = uint32_t;
static_assert(kind_count <= 32);
constexpr KindSet kinds(std::same_as<Kind> auto... each) {
    return (KindSet{0} | ... | (KindSet{1} << static_cast<int>(each)));
}
inline constexpr KindSet any_kind = ~KindSet{0};

enum BuiltinTraits : uint8_t {
    method_only = 1,      ///< found as `x.f(…)` only, not as `f(x, …)`
    breaks_graph = 2,     ///< ends the graph under capture before it runs: print, files, the clock
    scope_block = 4,      ///< `name { }` and `name(…) { }`: see Evaluator::run_scope; `call` is not used then
    takes_sizes = 16,     ///< ints among its arguments are sizes or positions: a graph takes them as symbols
    takes_symbolic = 32,  ///< knows symbolic numbers; every other row gets the numbers that they stand for
    reads_number = 8,     ///< its result is another at each call though its arguments are equal: now(), random numbers
};

/// One built-in. Several rows may share a name: the first whose `first` holds the kind of the first argument is taken
/// (a call without arguments takes the first row).
struct Builtin {
    std::string_view name;
    /// "x, dim?, *rest; keepdim?, **options": required; `?` may be left out; `*` takes the other positional arguments
    /// as a tuple, `**` the other keywords as a dict; after `;` only by keyword.
    std::string_view parameters;
    KindSet first = any_kind;
    Value (*call)(Evaluator&, Arguments&) = nullptr;
    uint8_t traits = 0;
    std::string_view doc;  ///< one line: what `tenon help` and docs/reference.md say; no row is without
};

/// The bound arguments of one call of a built-in, one a parameter, Kind::unset where none was given.
struct Arguments {
    std::span<Value> values;
    Span span;                         ///< of the whole call
    std::span<const Span> spans = {};  ///< beside `values`; no place where there is none
    uint64_t literals = 0;             ///< bit k: argument k is a literal of the source (a constant of the graph)
    /// The same where each is for the parameter at its place: as written, but for a receiver that comes before them.
    std::span<const ast::Argument> in_order = {};
    size_t receivers = 0;

    Value& operator[](size_t k) { return values[k]; }
    const Value& operator[](size_t k) const { return values[k]; }
    size_t size() const { return values.size(); }
    bool has(size_t k) const { return !values[k].is_unset(); }
    bool is_literal(size_t k) const {
        const ast::Expr* expr = written(k);
        return expr ? expr->is_literal : k < 64 && (literals >> k & 1);
    }
    Span span_of(size_t k) const {
        const ast::Expr* expr = written(k);
        return expr ? expr->span : k < spans.size() && spans[k] ? spans[k] : span;
    }
    const ast::Expr* written(size_t k) const {
        const size_t at = k - receivers;  // of the receiver more than there are
        return at < in_order.size() ? in_order[at].value : nullptr;
    }

    // Conversions with an error that names the parameter's place: "expected an int, found a str".
    int64_t integer(size_t k, std::string_view what) const;
    int64_t integer_or(size_t k, int64_t otherwise, std::string_view what) const;
    double number(size_t k, std::string_view what) const;
    double number_or(size_t k, double otherwise, std::string_view what) const;
    bool flag_or(size_t k, bool otherwise, std::string_view what) const;
    const std::string& text(size_t k, std::string_view what) const;
};

/// One table of built-ins, and what the reference calls it.
struct BuiltinSection {
    std::string_view title;
    std::span<const Builtin> rows;
};

/// All tables of built-ins, in the order in which rows of one name are asked. What they do lies above this room:
/// frontend/builtins/tables.cpp puts them together.
std::span<const BuiltinSection> builtin_sections();

}  // namespace tenon
