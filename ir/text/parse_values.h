// What stands beside the nodes in the text of a graph: sizes and their symbols, types, attributes, metadata.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "ir/context.h"
#include "ir/text/text_cursor.h"

namespace tenon {

class ValueParser {
public:
    ValueParser(Context& context, TextCursor& cursor) : context_(context), cursor_(cursor) {}

    SizeId size();
    TypeId type();
    DType dtype(std::string_view word);
    AttrEntry entry();  // `key: value`
    MetaId meta();      // `{…}`

    /// Symbols are what sizes name while the graph's head is read; afterwards they must be known.
    void set_head(bool inside) { head_ = inside; }
    const std::vector<std::string>& symbols() const { return symbols_; }  // by number
    uint32_t symbol(const std::string& name);                             // its number; a new one where it is not known
    void forget_symbols() {
        symbols_.clear();
        numbers_.clear();
    }

private:
    SizeId term();
    SizeId factor();
    AttrValue value();

    Context& context_;
    TextCursor& cursor_;
    bool head_ = false;
    std::vector<std::string> symbols_;
    std::map<std::string, uint32_t, std::less<>> numbers_;
};

}  // namespace tenon
