#include "frontend/syntax/symbols.h"

namespace tenon {

SymbolTable::SymbolTable() {
    intern("");
#define X(name) intern(#name);
    TENON_SYMBOLS(X)
#undef X
}

Symbol SymbolTable::intern(std::string_view text) {
    if (auto found = numbers_.find(text); found != numbers_.end()) return found->second;
    auto symbol = static_cast<Symbol>(texts_.size());
    texts_.emplace_back(text);
    numbers_.emplace(texts_.back(), symbol);
    return symbol;
}

Symbol SymbolTable::find(std::string_view text) const {
    auto found = numbers_.find(text);
    return found == numbers_.end() ? Symbol::none : found->second;
}

}  // namespace tenon
