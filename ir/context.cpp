#include "ir/context.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <mutex>
#include <stdexcept>

#include "ir/intern_table.h"
#include "runtime/integer.h"

namespace tenon {

namespace {

uint64_t hash_text(std::string_view text) { return mix_hash(0x7E4, std::hash<std::string_view>{}(text)); }

uint64_t hash_value(const AttrValue& v) {
    const uint64_t kind = v.value.index();
    return std::visit(
        [&](const auto& x) -> uint64_t {
            using T = std::decay_t<decltype(x)>;
            if constexpr (std::is_same_v<T, std::monostate>) return mix_hash(kind, 0);
            else if constexpr (std::is_same_v<T, double>) return mix_hash(kind, std::bit_cast<uint64_t>(x));
            else if constexpr (std::is_same_v<T, NameId> || std::is_same_v<T, TypeId>) return mix_hash(kind, x.index);
            else if constexpr (std::is_same_v<T, SizeId>) return mix_hash(kind, uint64_t(x.bits));
            else if constexpr (std::is_same_v<T, AttrList>) {
                uint64_t h = mix_hash(kind, x.size());
                for (const AttrValue& e : x) h = mix_hash(h, hash_value(e));
                return h;
            } else return mix_hash(kind, uint64_t(x));
        },
        v.value);
}

uint64_t hash_record(const Record& r) {
    uint64_t h = r.size();
    for (const AttrEntry& e : r) h = mix_hash(mix_hash(h, e.key.index), hash_value(e.value));
    return h;
}

// One summand of a polynomial: coefficient times atoms (symbols and floordiv, mod, min, max), atoms ascending by id.
struct SizeTerm {
    int64_t coefficient = 0;
    std::vector<SizeId> atoms;
    bool operator==(const SizeTerm&) const = default;
};

struct SizeEntry {
    enum class Kind : uint8_t { polynomial, symbol, floordiv, mod, min, max } kind = Kind::polynomial;
    uint32_t symbol = 0;
    SizeId left, right;           // of floordiv, mod, min, max
    std::vector<SizeTerm> terms;  // of a polynomial
    bool operator==(const SizeEntry&) const = default;
};

uint64_t hash_size(const SizeEntry& e) {
    uint64_t h = mix_hash(uint64_t(e.kind), e.symbol);
    h = mix_hash(mix_hash(h, uint64_t(e.left.bits)), uint64_t(e.right.bits));
    for (const SizeTerm& t : e.terms) {
        h = mix_hash(h, uint64_t(t.coefficient));
        for (SizeId a : t.atoms) h = mix_hash(h, uint64_t(a.bits));
    }
    return h;
}

}  // namespace

bool AttrValue::operator==(const AttrValue& other) const {
    if (value.index() != other.value.index()) return false;
    if (const double* x = std::get_if<double>(&value))
        return std::bit_cast<uint64_t>(*x) == std::bit_cast<uint64_t>(std::get<double>(other.value));
    return value == other.value;
}

struct Context::Tables {
    std::mutex mutex;
    InternTable<std::string> names;
    InternTable<SizeEntry> sizes;
    InternTable<Type> types;
    InternTable<Record> attrs, metas;
    InternTable<Origin> origins;

    SizeId intern(SizeEntry entry) {
        std::lock_guard lock(mutex);
        const uint32_t index =
            sizes.intern(hash_size(entry), [&](const SizeEntry& e) { return e == entry; }, [&] { return entry; });
        return SizeId(-int64_t(index) - 1);
    }
    const SizeEntry& entry(SizeId id) const { return sizes[uint32_t(-(id.bits + 1))]; }

    std::vector<SizeTerm> terms(SizeId id) const {
        if (id.is_inline_constant())
            return id.bits == 0 ? std::vector<SizeTerm>{} : std::vector<SizeTerm>{{id.bits, {}}};
        const SizeEntry& e = entry(id);
        return e.kind == SizeEntry::Kind::polynomial ? e.terms : std::vector<SizeTerm>{{1, {id}}};
    }
    SizeId polynomial(std::vector<SizeTerm> terms) {
        std::sort(terms.begin(), terms.end(), [](const SizeTerm& a, const SizeTerm& b) {
            return a.atoms.size() != b.atoms.size() ? a.atoms.size() > b.atoms.size() : a.atoms > b.atoms;
        });
        std::vector<SizeTerm> merged;
        for (SizeTerm& t : terms) {
            if (!merged.empty() && merged.back().atoms == t.atoms) merged.back().coefficient += t.coefficient;
            else merged.push_back(std::move(t));
        }
        std::erase_if(merged, [](const SizeTerm& t) { return t.coefficient == 0; });
        if (merged.empty()) return SizeId(0);
        if (merged.size() == 1) {
            const SizeTerm& only = merged[0];
            if (only.atoms.empty() && only.coefficient >= 0) return SizeId(only.coefficient);
            if (only.atoms.size() == 1 && only.coefficient == 1) return only.atoms[0];
        }
        SizeEntry e;
        e.terms = std::move(merged);
        return intern(std::move(e));
    }
    SizeId combine(SizeEntry::Kind kind, SizeId a, SizeId b) {
        SizeEntry e;
        e.kind = kind;
        e.left = a;
        e.right = b;
        return intern(std::move(e));
    }
    // a / b when b is one term that divides every term of a.
    std::optional<SizeId> divide_exactly(SizeId a, SizeId b) {
        const std::vector<SizeTerm> divisor = terms(b);
        if (divisor.size() != 1) return std::nullopt;
        std::vector<SizeTerm> quotient = terms(a);
        for (SizeTerm& t : quotient) {
            if (t.coefficient % divisor[0].coefficient != 0) return std::nullopt;
            t.coefficient /= divisor[0].coefficient;
            for (SizeId atom : divisor[0].atoms) {
                auto it = std::find(t.atoms.begin(), t.atoms.end(), atom);
                if (it == t.atoms.end()) return std::nullopt;
                t.atoms.erase(it);
            }
        }
        return polynomial(std::move(quotient));
    }
};

Context::Context() : tables_(std::make_unique<Tables>()) {}
Context::~Context() = default;

NameId Context::name(std::string_view text) {
    std::lock_guard lock(tables_->mutex);
    return NameId(tables_->names.intern(
        hash_text(text), [&](const std::string& s) { return s == text; }, [&] { return std::string(text); }));
}
std::string_view Context::text(NameId id) const { return id ? std::string_view(tables_->names[id.index]) : ""; }

// ---- sizes --------------------------------------------------------------------------------------------------------
SizeId Context::constant(int64_t value) { return value >= 0 ? SizeId(value) : tables_->polynomial({{value, {}}}); }
SizeId Context::symbol(uint32_t number) {
    SizeEntry e;
    e.kind = SizeEntry::Kind::symbol;
    e.symbol = number;
    return tables_->intern(std::move(e));
}
// What does not fit in 64 bits stays the largest size there is: no machine has it, which the allocator says.
SizeId Context::add(SizeId a, SizeId b) {
    int64_t sum_of_constants;
    if (a.is_inline_constant() && b.is_inline_constant())
        return SizeId(__builtin_add_overflow(a.bits, b.bits, &sum_of_constants) ? INT64_MAX : sum_of_constants);
    std::vector<SizeTerm> sum = tables_->terms(a);
    for (SizeTerm& t : tables_->terms(b)) sum.push_back(std::move(t));
    return tables_->polynomial(std::move(sum));
}
SizeId Context::sub(SizeId a, SizeId b) { return a == b ? SizeId(0) : add(a, mul(constant(-1), b)); }
SizeId Context::mul(SizeId a, SizeId b) {
    int64_t product_of_constants;
    if (a.is_inline_constant() && b.is_inline_constant())
        return SizeId(__builtin_mul_overflow(a.bits, b.bits, &product_of_constants) ? INT64_MAX : product_of_constants);
    std::vector<SizeTerm> product;
    for (const SizeTerm& s : tables_->terms(a))
        for (const SizeTerm& t : tables_->terms(b)) {
            SizeTerm p{s.coefficient * t.coefficient, s.atoms};
            p.atoms.insert(p.atoms.end(), t.atoms.begin(), t.atoms.end());
            std::sort(p.atoms.begin(), p.atoms.end());
            product.push_back(std::move(p));
        }
    return tables_->polynomial(std::move(product));
}
SizeId Context::floordiv(SizeId a, SizeId b) {
    const auto x = as_constant(a), y = as_constant(b);
    if (x && y && *y != 0) return constant(floor_divide(*x, *y));
    if (y == 1) return a;
    if (x == 0) return a;
    if (auto q = tables_->divide_exactly(a, b)) return *q;
    return tables_->combine(SizeEntry::Kind::floordiv, a, b);
}
SizeId Context::mod(SizeId a, SizeId b) {
    const auto x = as_constant(a), y = as_constant(b);
    if (x && y && *y != 0) return constant(*x - floor_divide(*x, *y) * *y);
    if (x == 0 || tables_->divide_exactly(a, b)) return SizeId(0);
    return tables_->combine(SizeEntry::Kind::mod, a, b);
}
SizeId Context::min(SizeId a, SizeId b) {
    const auto x = as_constant(a), y = as_constant(b);
    if (a == b) return a;
    if (x && y) return constant(std::min(*x, *y));
    return tables_->combine(SizeEntry::Kind::min, std::min(a, b), std::max(a, b));
}
SizeId Context::max(SizeId a, SizeId b) {
    const auto x = as_constant(a), y = as_constant(b);
    if (a == b) return a;
    if (x && y) return constant(std::max(*x, *y));
    return tables_->combine(SizeEntry::Kind::max, std::min(a, b), std::max(a, b));
}
std::optional<int64_t> Context::as_constant(SizeId id) const {
    if (id.is_inline_constant()) return id.bits;
    const SizeEntry& e = tables_->entry(id);
    if (e.kind == SizeEntry::Kind::polynomial && e.terms.size() == 1 && e.terms[0].atoms.empty())
        return e.terms[0].coefficient;
    return std::nullopt;
}
int64_t Context::evaluate(SizeId id, std::span<const int64_t> symbols) const {
    if (id.is_inline_constant()) return id.bits;
    const SizeEntry& e = tables_->entry(id);
    const auto left = [&] { return evaluate(e.left, symbols); };
    const auto right = [&] { return evaluate(e.right, symbols); };
    switch (e.kind) {
        case SizeEntry::Kind::symbol: assert(e.symbol < symbols.size()); return symbols[e.symbol];
        case SizeEntry::Kind::floordiv: {
            const int64_t d = right();
            return d == 0 ? 0 : floor_divide(left(), d);
        }
        case SizeEntry::Kind::mod: {
            const int64_t d = right(), n = left();
            return d == 0 ? 0 : n - floor_divide(n, d) * d;
        }
        case SizeEntry::Kind::min: return std::min(left(), right());
        case SizeEntry::Kind::max: return std::max(left(), right());
        case SizeEntry::Kind::polynomial: break;
    }
    int64_t sum = 0;
    for (const SizeTerm& t : e.terms) {
        int64_t product = t.coefficient;
        for (SizeId atom : t.atoms) product *= evaluate(atom, symbols);
        sum += product;
    }
    return sum;
}
SizeId Context::substitute(SizeId id, std::span<const SizeId> symbols) {
    if (id.is_inline_constant()) return id;
    const SizeEntry& e = tables_->entry(id);
    switch (e.kind) {
        case SizeEntry::Kind::symbol: assert(e.symbol < symbols.size()); return symbols[e.symbol];
        case SizeEntry::Kind::floordiv: return floordiv(substitute(e.left, symbols), substitute(e.right, symbols));
        case SizeEntry::Kind::mod: return mod(substitute(e.left, symbols), substitute(e.right, symbols));
        case SizeEntry::Kind::min: return min(substitute(e.left, symbols), substitute(e.right, symbols));
        case SizeEntry::Kind::max: return max(substitute(e.left, symbols), substitute(e.right, symbols));
        case SizeEntry::Kind::polynomial: break;
    }
    SizeId sum(0);
    for (const SizeTerm& t : e.terms) {
        SizeId product = constant(t.coefficient);
        for (SizeId atom : t.atoms) product = mul(product, substitute(atom, symbols));
        sum = add(sum, product);
    }
    return sum;
}
std::vector<uint32_t> Context::symbols_of(SizeId id) const {
    std::vector<uint32_t> found;
    const auto visit = [&](auto&& self, SizeId s) -> void {
        if (s.is_inline_constant()) return;
        const SizeEntry& e = tables_->entry(s);
        if (e.kind == SizeEntry::Kind::symbol) found.push_back(e.symbol);
        else if (e.kind == SizeEntry::Kind::polynomial) {
            for (const SizeTerm& t : e.terms)
                for (SizeId atom : t.atoms) self(self, atom);
        } else {
            self(self, e.left);
            self(self, e.right);
        }
    };
    visit(visit, id);
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
}
std::string Context::to_string(SizeId id, const std::vector<std::string>& names) const {
    if (const auto c = as_constant(id)) return std::to_string(*c);
    const SizeEntry& e = tables_->entry(id);
    const auto call = [&](const char* f) {
        return std::string(f) + "(" + to_string(e.left, names) + ", " + to_string(e.right, names) + ")";
    };
    switch (e.kind) {
        case SizeEntry::Kind::symbol: return e.symbol < names.size() ? names[e.symbol] : "s" + std::to_string(e.symbol);
        case SizeEntry::Kind::floordiv: return call("floordiv");
        case SizeEntry::Kind::mod: return call("mod");
        case SizeEntry::Kind::min: return call("min");
        case SizeEntry::Kind::max: return call("max");
        case SizeEntry::Kind::polynomial: break;
    }
    std::string out;
    for (const SizeTerm& t : e.terms) {
        int64_t c = t.coefficient;
        if (!out.empty()) {
            out += c < 0 ? " - " : " + ";
            c = c < 0 ? -c : c;
        }
        const bool bare = !t.atoms.empty() && c == 1;
        if (!bare) out += std::to_string(c);
        for (size_t i = 0; i < t.atoms.size(); ++i) {
            if (!bare || i > 0) out += "*";
            out += to_string(t.atoms[i], names);
        }
    }
    return out;
}

// ---- types --------------------------------------------------------------------------------------------------------
namespace {
uint64_t hash_type(Type::Kind kind, DType dtype, Device device, std::span<const SizeId> sizes,
                   std::span<const TypeId> elements) {
    uint64_t h = mix_hash(uint64_t(kind) << 8 | uint64_t(dtype), uint64_t(device.kind) << 16 | uint16_t(device.index));
    for (SizeId s : sizes) h = mix_hash(h, uint64_t(s.bits));
    for (TypeId t : elements) h = mix_hash(h, t.index);
    return h;
}
}  // namespace

TypeId Context::type(Type t) {
    std::lock_guard lock(tables_->mutex);
    return TypeId(tables_->types.intern(
        hash_type(t.kind, t.dtype, t.device, t.sizes, t.elements), [&](const Type& e) { return e == t; },
        [&] { return t; }));
}
TypeId Context::tensor(DType dtype, std::span<const SizeId> sizes, Device device) {
    std::lock_guard lock(tables_->mutex);
    return TypeId(tables_->types.intern(
        hash_type(Type::Kind::tensor, dtype, device, sizes, {}),
        [&](const Type& e) {
            return e.kind == Type::Kind::tensor && e.dtype == dtype && e.device == device &&
                   std::equal(e.sizes.begin(), e.sizes.end(), sizes.begin(), sizes.end());
        },
        [&] { return Type{Type::Kind::tensor, dtype, device, {sizes.begin(), sizes.end()}, {}}; }));
}
TypeId Context::scalar(DType d) { return type({Type::Kind::scalar, d, {}, {}, {}}); }
TypeId Context::index() { return type({Type::Kind::index, DType::i64, {}, {}, {}}); }
TypeId Context::buffer(DType d, Device device) { return type({Type::Kind::buffer, d, device, {}, {}}); }
TypeId Context::tuple(std::span<const TypeId> elements) {
    return type({Type::Kind::tuple, DType::f32, {}, {}, {elements.begin(), elements.end()}});
}
TypeId Context::none() { return type({}); }
const Type& Context::operator[](TypeId id) const { return tables_->types[id.index]; }

// ---- records ------------------------------------------------------------------------------------------------------
namespace {
const Record empty_record;
const Origin empty_origin;
template <class IdType>
IdType intern_record(std::mutex& mutex, InternTable<Record>& table, Record r) {
    if (r.empty()) return IdType::none();
    std::lock_guard lock(mutex);
    return IdType(table.intern(hash_record(r), [&](const Record& e) { return e == r; }, [&] { return r; }));
}
}  // namespace

namespace {
// A size that is a constant is stored as an int: `sizes: [2, 3]` is one record, however it was made.
void store_constants_as_ints(const Context& context, AttrValue& v) {
    if (const SizeId* size = std::get_if<SizeId>(&v.value)) {
        if (const auto constant = context.as_constant(*size)) v.value = *constant;
    } else if (AttrList* list = std::get_if<AttrList>(&v.value)) {
        for (AttrValue& element : *list) store_constants_as_ints(context, element);
    }
}
}  // namespace

AttrId Context::attr(Record r) {
    for (AttrEntry& e : r) store_constants_as_ints(*this, e.value);
    return intern_record<AttrId>(tables_->mutex, tables_->attrs, std::move(r));
}
MetaId Context::meta(Record r) { return intern_record<MetaId>(tables_->mutex, tables_->metas, std::move(r)); }
const Record& Context::operator[](AttrId id) const { return id ? tables_->attrs[id.index] : empty_record; }
const Record& Context::operator[](MetaId id) const { return id ? tables_->metas[id.index] : empty_record; }

MetaId Context::merge(MetaId outer, MetaId inner) {
    if (!outer) return inner;
    if (!inner) return outer;
    Record merged = (*this)[outer];
    for (const AttrEntry& e : (*this)[inner]) {
        auto it = std::find_if(merged.begin(), merged.end(), [&](const AttrEntry& m) { return m.key == e.key; });
        if (it != merged.end()) it->value = e.value;
        else merged.push_back(e);
    }
    return meta(std::move(merged));
}

OriginId Context::origin(const Origin& o) {
    if (o == empty_origin) return OriginId::none();
    uint64_t h = mix_hash(uint64_t(o.span.source) << 32 | o.span.begin, uint64_t(o.span.end) << 32 | o.rule.index);
    h = mix_hash(h, uint64_t(o.differentiated.row) << 32 | o.path.index);
    std::lock_guard lock(tables_->mutex);
    return OriginId(tables_->origins.intern(h, [&](const Origin& e) { return e == o; }, [&] { return o; }));
}
const Origin& Context::operator[](OriginId id) const { return id ? tables_->origins[id.index] : empty_origin; }

// ---- reading attributes -------------------------------------------------------------------------------------------
const AttrValue* find(const Record& record, NameId key) {
    for (const AttrEntry& e : record)
        if (e.key == key) return &e.value;
    return nullptr;
}
const AttrValue* Attributes::find(std::string_view key) const {
    for (const AttrEntry& e : *record_)
        if (context_->text(e.key) == key) return &e.value;
    return nullptr;
}
namespace {
template <class T>
const T& get(const AttrValue* v) {
    if (!v) throw std::out_of_range("an attribute is missing");  // verify() turns it into a message
    return std::get<T>(v->value);
}
}  // namespace
int64_t Attributes::integer(std::string_view key) const { return get<int64_t>(find(key)); }
int64_t Attributes::integer_or(std::string_view key, int64_t otherwise) const {
    const AttrValue* v = find(key);
    return v ? get<int64_t>(v) : otherwise;
}
double Attributes::real(std::string_view key) const {
    const AttrValue* v = find(key);
    if (v && std::holds_alternative<int64_t>(v->value)) return double(std::get<int64_t>(v->value));
    return get<double>(v);
}
bool Attributes::flag(std::string_view key, bool otherwise) const {
    const AttrValue* v = find(key);
    return v ? get<bool>(v) : otherwise;
}
std::string_view Attributes::text(std::string_view key) const { return context_->text(get<NameId>(find(key))); }
DType Attributes::dtype(std::string_view key) const { return get<DType>(find(key)); }
namespace {
SizeId as_size(Context& context, const AttrValue& v) {
    if (const int64_t* i = std::get_if<int64_t>(&v.value)) return context.constant(*i);
    return std::get<SizeId>(v.value);
}
}  // namespace
SizeId Attributes::size(std::string_view key) const {
    const AttrValue* v = find(key);
    if (!v) throw std::out_of_range("an attribute is missing");
    return as_size(*context_, *v);
}
std::vector<int64_t> Attributes::integers(std::string_view key) const {
    std::vector<int64_t> out;
    for (const AttrValue& v : get<AttrList>(find(key))) out.push_back(std::get<int64_t>(v.value));
    return out;
}
std::vector<SizeId> Attributes::sizes(std::string_view key) const {
    std::vector<SizeId> out;
    for (const AttrValue& v : get<AttrList>(find(key))) out.push_back(as_size(*context_, v));
    return out;
}

}  // namespace tenon
