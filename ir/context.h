// What graphs share and never change: interned names, sizes, types, attributes, metadata, origins.
// Ids are dense and never reused; reading an entry needs no lock (entries never move), interning takes one, so frozen
// graphs can be read and compiled on other threads.
#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ir/ids.h"
#include "runtime/device.h"
#include "runtime/dtype.h"
#include "runtime/small_vector.h"
#include "runtime/span.h"

namespace tenon {

// ---- values of attributes and of metadata -------------------------------------------------------------------------
struct AttrValue;
using AttrList = std::vector<AttrValue>;
struct AttrValue {  // none, bool, int, float, text, dtype, size, type, or a list of these
    std::variant<std::monostate, bool, int64_t, double, NameId, DType, SizeId, TypeId, AttrList> value;
    AttrValue() = default;
    template <class T>
    AttrValue(T v) : value(std::move(v)) {}
    bool operator==(const AttrValue& other) const;  // floats compare by bits
};
struct AttrEntry {
    NameId key;
    AttrValue value;
    bool operator==(const AttrEntry&) const = default;
};
using Record = std::vector<AttrEntry>;  // in the order written; keys are unique

// ---- types --------------------------------------------------------------------------------------------------------
struct Type {
    enum class Kind : uint8_t { none, tensor, scalar, index, buffer, tuple } kind = Kind::none;
    DType dtype = DType::f32;      // tensor, scalar, buffer
    Device device;                 // tensor, buffer
    std::vector<SizeId> sizes;     // tensor
    std::vector<TypeId> elements;  // tuple
    bool operator==(const Type&) const = default;
    size_t rank() const { return sizes.size(); }
    bool is_tensor() const { return kind == Kind::tensor; }
};

// ---- origins ------------------------------------------------------------------------------------------------------
struct Origin {
    Span span;          // the script's text that this node computes
    NameId rule;        // the pass or rewrite rule that made the node, none for a captured one
    Op differentiated;  // the op whose gradient formula emitted it ("d sin"), none otherwise
    NameId path;        // the calls it was inlined through ("layers.0"), none at the top
    bool operator==(const Origin&) const = default;
};

// ---- sizes --------------------------------------------------------------------------------------------------------
using SizeList = SmallVector<SizeId, 6>;
struct SizeTerm {  // one summand of a polynomial
    int64_t coefficient = 0;
    SizeList atoms;  // factors, ascending by id
    bool operator==(const SizeTerm&) const = default;
};
struct SizeAtom {
    enum class Kind : uint8_t { symbol, floordiv, mod, min, max } kind = Kind::symbol;
    uint32_t symbol = 0;
    SizeId left, right;  // of the others
    bool operator==(const SizeAtom&) const = default;
};
struct SizeEquality {  // two sizes of one graph that are equal whenever it runs, since a guard says so
    SizeId left, right;
    bool operator==(const SizeEquality&) const = default;
};

class Context {
public:
    Context();
    ~Context();
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;

    NameId name(std::string_view text);
    std::string_view text(NameId) const;  // "" for none

    // Sizes: canonical polynomials with integer coefficients over symbols and over floordiv, mod, min and max of
    // polynomials. Equal polynomials have equal ids. Symbols are numbered per graph. Constants saturate; a coefficient
    // that 64 bits do not hold throws Error "overflow".
    SizeId constant(int64_t value);
    SizeId symbol(uint32_t number);
    SizeId add(SizeId, SizeId);
    SizeId sub(SizeId, SizeId);
    SizeId mul(SizeId, SizeId);
    SizeId floordiv(SizeId, SizeId);  // rounds towards minus infinity; the divisor is not 0
    SizeId mod(SizeId, SizeId);
    SizeId min(SizeId, SizeId);
    SizeId max(SizeId, SizeId);
    SizeId polynomial(std::vector<SizeTerm>);
    std::vector<SizeTerm> terms(SizeId) const;            // those of the highest degree first; none of 0
    std::optional<SizeAtom> atom(SizeId) const;           // where the size is just one
    std::optional<uint32_t> symbol_number(SizeId) const;  // where the size is just a symbol
    std::optional<int64_t> as_constant(SizeId) const;
    int64_t evaluate(SizeId, std::span<const int64_t> symbols) const;
    SizeId substitute(SizeId, std::span<const SizeId> symbols);   // symbol k becomes symbols[k]
    std::vector<uint32_t> symbols_of(SizeId) const;               // ascending
    void list_symbols(SizeId, std::vector<uint32_t>& out) const;  // appended in the order of to_string, again and again
    // "2*n + 1"; symbol k is written name_of(k)
    std::string to_string(SizeId, const std::vector<std::string>& symbol_names) const;

    TypeId type(Type);
    TypeId tensor(DType, std::span<const SizeId> sizes, Device = {});
    TypeId scalar(DType);
    TypeId index();
    TypeId buffer(DType, Device = {});
    TypeId tuple(std::span<const TypeId>);
    TypeId none();
    const Type& operator[](TypeId id) const;

    AttrId attr(std::span<const AttrEntry>);  // of none, AttrId::none()
    AttrId attr(std::initializer_list<AttrEntry> entries) { return attr(std::span(entries.begin(), entries.size())); }
    const Record& operator[](AttrId) const;
    MetaId meta(const Record&);
    const Record& operator[](MetaId) const;
    MetaId merge(MetaId outer, MetaId inner);  // inner keys override equal outer keys, new ones are appended

    OriginId origin(const Origin&);
    const Origin& operator[](OriginId) const;  // an empty Origin for none

private:
    struct Division {
        SizeId quotient, remainder;
    };
    std::optional<Division> divide(SizeId, SizeId);

    struct Tables;
    std::unique_ptr<Tables> tables_;
};

// Looking up attributes by key; the getters assert that the key is there and of the kind asked for.
const AttrValue* find(const Record&, NameId key);
class Attributes {  // a readable view of one record
public:
    Attributes(Context& context, AttrId id) : context_(&context), record_(&context[id]) {}
    const AttrValue* find(std::string_view key) const;
    bool has(std::string_view key) const { return find(key) != nullptr; }
    int64_t integer(std::string_view key) const;
    int64_t integer_or(std::string_view key, int64_t otherwise) const;
    double real(std::string_view key) const;
    bool flag(std::string_view key, bool otherwise = false) const;
    std::string_view text(std::string_view key) const;
    DType dtype(std::string_view key) const;
    SizeId size(std::string_view key) const;  // also from an int
    Dims integers(std::string_view key) const;
    SizeList sizes(std::string_view key) const;  // ints and sizes
private:
    Context* context_;
    const Record* record_;
};

}  // namespace tenon
