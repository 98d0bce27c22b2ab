// Names and string literals as small numbers: equal text, equal number.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

namespace tenon {

/// The number of a text in a SymbolTable. `Symbol::none` is the empty text.
enum class Symbol : uint32_t { none = 0 };

constexpr uint32_t index_of(Symbol symbol) { return static_cast<uint32_t>(symbol); }

/// The names the language itself knows have fixed numbers in every table.
namespace symbols {
// clang-format off
#define TENON_SYMBOLS(X) \
    X(self) \
    X(forward) X(backward) X(next) X(train) X(eval) X(training) X(annotate) X(checkpoint) X(args) X(stats) X(message) \
    X(kind) X(line) X(shape) X(dtype) X(device) X(grad) X(items) X(keys) X(values) X(lambda) X(append)
// clang-format on
enum class Number : uint32_t {
    none,
#define X(name) name,
    TENON_SYMBOLS(X)
#undef X
};
#define X(name) inline constexpr Symbol name = static_cast<Symbol>(Number::name);
TENON_SYMBOLS(X)
#undef X
}  // namespace symbols

/// Interns texts. Views stay valid as long as the table.
class SymbolTable {
public:
    SymbolTable();
    SymbolTable(const SymbolTable&) = delete;
    SymbolTable& operator=(const SymbolTable&) = delete;

    Symbol intern(std::string_view text);
    /// The symbol of `text`, or Symbol::none if nobody interned it.
    Symbol find(std::string_view text) const;
    const std::string& text(Symbol symbol) const { return texts_[index_of(symbol)]; }
    /// Every symbol's number is below this.
    uint32_t size() const { return static_cast<uint32_t>(texts_.size()); }

private:
    std::deque<std::string> texts_;
    std::unordered_map<std::string_view, Symbol> numbers_;
};

}  // namespace tenon
