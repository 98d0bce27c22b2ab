// All built-in names of a session, found by number, as the resolver wrote them into the tree.
#pragma once

#include <deque>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "frontend/syntax/symbols.h"
#include "frontend/values/builtin.h"
#include "frontend/values/value.h"

namespace tenon {

/// The parameters of a row, parsed.
struct Signature {
    struct Parameter {
        Symbol name;
        bool required;
    };
    std::vector<Parameter> parameters;
    size_t positional = 0;  ///< how many may be given by position, `*rest` not counted
    int rest = -1;          ///< which parameter takes the other positional arguments
    int keywords = -1;      ///< which takes the other keywords
    /// How many arguments are enough where all are given by position; more than any call has where they never are.
    size_t least = 0;

    /// Whether so many arguments are for the parameters at their places, and nothing is left to do.
    bool takes_in_order(size_t count) const { return count >= least && count <= positional; }
};

struct BuiltinRow {
    const Builtin* builtin;
    Signature signature;
    std::string_view section;  ///< the title of its table
};

/// The rows of one name, or a constant.
struct BuiltinGroup {
    std::string_view name;
    Symbol symbol;
    std::vector<BuiltinRow> rows;
    Value value;                    ///< what the name is worth: a BuiltinObject, or a constant
    std::string_view constant_doc;  ///< what a constant is, as a row's doc; empty where the name is none
    bool is_scope = false;
    bool is_method_only = false;  ///< all its rows are

    /// The row for a first argument of this kind (unset: a call without arguments); null where none fits.
    const BuiltinRow* pick(Kind first, bool as_method) const {
        for (const BuiltinRow& row : rows) {
            if ((row.builtin->traits & method_only) && !as_method) continue;
            if (first == Kind::unset || (row.builtin->first >> static_cast<int>(first) & 1)) return &row;
        }
        return nullptr;
    }
};

class BuiltinTable {
public:
    /// `args` is what follows the script on the command line.
    BuiltinTable(SymbolTable& symbols, std::span<const std::string> args);

    const BuiltinGroup& operator[](uint32_t number) const { return groups_[number]; }
    /// A name that stands for itself: `print`, `f32`, `pi`.
    std::optional<uint32_t> find(Symbol name) const;
    /// Also the names that are methods only.
    const BuiltinGroup* find_method(Symbol name) const {
        const uint32_t number = index_of(name) < numbers_.size() ? numbers_[index_of(name)] : 0;
        return number == 0 ? nullptr : &groups_[number - 1];
    }
    const std::deque<BuiltinGroup>& groups() const { return groups_; }

private:
    BuiltinGroup& group(std::string_view name);
    void add_rows(const BuiltinSection& section);
    void add_constant(std::string_view name, Value value, std::string_view doc);
    Signature parse(std::string_view text);

    SymbolTable& symbols_;
    std::deque<BuiltinGroup> groups_;
    std::vector<uint32_t> numbers_;  // by symbol, number + 1
};

}  // namespace tenon
