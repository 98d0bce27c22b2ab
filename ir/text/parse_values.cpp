#include "ir/text/parse_values.h"

#include <cctype>

namespace tenon {

// ---- sizes --------------------------------------------------------------------------------------------------------
SizeId ValueParser::size() {
    const TextCursor::Nesting nesting(cursor_);
    SizeId sum = term();
    for (;;) {
        if (cursor_.accept("+")) sum = context_.add(sum, term());
        else if (cursor_.at_minus()) {
            cursor_.expect("-");
            sum = context_.sub(sum, term());
        } else return sum;
    }
}

SizeId ValueParser::term() {
    SizeId product = factor();
    while (cursor_.accept("*")) product = context_.mul(product, factor());
    return product;
}

SizeId ValueParser::factor() {
    const char c = cursor_.peek();
    if (std::isdigit(uint8_t(c)) || c == '-') return context_.constant(cursor_.integer());
    const std::string_view word = cursor_.word("a size");
    if (cursor_.accept("(")) {
        const SizeId a = size();
        cursor_.expect(",");
        const SizeId b = size();
        cursor_.expect(")");
        if (word == "min") return context_.min(a, b);
        if (word == "max") return context_.max(a, b);
        if (word != "floordiv" && word != "mod") cursor_.fail("floordiv, mod, min or max");
        if (b == SizeId(0)) cursor_.fail("a divisor that is not 0");
        return word == "mod" ? context_.mod(a, b) : context_.floordiv(a, b);
    }
    if (!head_ && !numbers_.contains(word)) cursor_.fail("a size that a parameter names");
    return context_.symbol(symbol(std::string(word)));
}

uint32_t ValueParser::symbol(const std::string& name) {
    const auto [known, fresh] = numbers_.try_emplace(name, uint32_t(symbols_.size()));
    if (fresh) symbols_.push_back(name);
    return known->second;
}

// ---- types --------------------------------------------------------------------------------------------------------
TypeId ValueParser::type() {
    const TextCursor::Nesting nesting(cursor_);
    if (cursor_.accept("(")) {
        std::vector<TypeId> elements;
        if (!cursor_.accept(")")) {
            do elements.push_back(type());
            while (cursor_.accept(","));
            cursor_.expect(")");
        }
        return context_.tuple(elements);
    }
    const std::string_view word = cursor_.word("a type");
    if (word == "none") return context_.none();
    if (word == "index") return context_.index();
    if (word == "buffer") return context_.buffer(dtype(cursor_.word("a dtype")));
    const DType d = dtype(word);
    if (!cursor_.accept("[")) return context_.scalar(d);
    std::vector<SizeId> sizes;
    if (!cursor_.accept("]")) {
        do sizes.push_back(size());
        while (cursor_.accept(","));
        cursor_.expect("]");
    }
    for (SizeId s : sizes)
        if (const auto c = context_.as_constant(s); c && *c < 0) cursor_.fail("sizes of 0 or more");
    Device device;
    if (cursor_.accept_word("cuda")) {
        device.kind = Device::cuda;
        cursor_.expect("(");
        device.index = int16_t(cursor_.integer());
        cursor_.expect(")");
    }
    return context_.tensor(d, sizes, device);
}

DType ValueParser::dtype(std::string_view word) {
    const auto d = dtype_from_name(word);
    if (!d) cursor_.fail("a dtype before this");
    return *d;
}

// ---- records ------------------------------------------------------------------------------------------------------
AttrValue ValueParser::value() {
    const TextCursor::Nesting nesting(cursor_);
    if (cursor_.peek() == '"') return context_.name(cursor_.quoted());
    if (cursor_.accept("[")) {
        AttrList list;
        if (!cursor_.accept("]")) {
            do list.push_back(value());
            while (cursor_.accept(","));
            cursor_.expect("]");
        }
        return list;
    }
    if (cursor_.accept_word("true")) return true;
    if (cursor_.accept_word("false")) return false;
    if (cursor_.accept_word("none")) return {};
    const std::string_view word = cursor_.peek_word();
    if (word == "inf" || word == "nan") return cursor_.number();
    if (word.empty()) {  // a number; a size polynomial may begin with one
        const size_t start = cursor_.place();
        const AttrValue plain = cursor_.number();
        const char next = cursor_.peek();
        if (next != '*' && next != '+' && !cursor_.at_minus()) return plain;
        cursor_.go_back(start);
    } else if (const auto d = dtype_from_name(word)) {
        cursor_.expect_word(word);
        return *d;
    }
    return size();
}

AttrEntry ValueParser::entry() {
    const NameId key = context_.name(cursor_.word("a key"));
    cursor_.expect(":");
    return {key, value()};
}

MetaId ValueParser::meta() {
    Record record;
    cursor_.expect("{");
    if (!cursor_.accept("}")) {
        do record.push_back(entry());
        while (cursor_.accept(","));
        cursor_.expect("}");
    }
    return context_.meta(record);
}

}  // namespace tenon
