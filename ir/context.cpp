#include "ir/context.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <mutex>
#include <stdexcept>

#include "ir/context_tables.h"

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

uint64_t hash_record(std::span<const AttrEntry> r) {
    uint64_t h = r.size();
    for (const AttrEntry& e : r) h = mix_hash(mix_hash(h, e.key.index), hash_value(e.value));
    return h;
}

}  // namespace

bool AttrValue::operator==(const AttrValue& other) const {
    if (value.index() != other.value.index()) return false;
    if (const double* x = std::get_if<double>(&value))
        return std::bit_cast<uint64_t>(*x) == std::bit_cast<uint64_t>(std::get<double>(other.value));
    return value == other.value;
}

Context::Context() : tables_(std::make_unique<Tables>()) {}
Context::~Context() = default;

NameId Context::name(std::string_view text) {
    std::lock_guard lock(tables_->mutex);
    return NameId(tables_->names.intern(
        hash_text(text), [&](const std::string& s) { return s == text; }, [&] { return std::string(text); }));
}
std::string_view Context::text(NameId id) const { return id ? std::string_view(tables_->names[id.index]) : ""; }

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
IdType intern_record(SpinLock& mutex, InternTable<Record>& table, std::span<const AttrEntry> r) {
    if (r.empty()) return IdType::none();
    std::lock_guard lock(mutex);
    return IdType(table.intern(
        hash_record(r), [&](const Record& e) { return std::equal(e.begin(), e.end(), r.begin(), r.end()); },
        [&] { return Record(r.begin(), r.end()); }));
}

// A size that is a constant is stored as an int: `sizes: [2, 3]` is one record, however it was made.
bool has_constant_size(const Context& context, const AttrValue& v) {
    if (const SizeId* size = std::get_if<SizeId>(&v.value)) return context.as_constant(*size).has_value();
    const AttrList* list = std::get_if<AttrList>(&v.value);
    return list && std::any_of(list->begin(), list->end(),
                               [&](const AttrValue& element) { return has_constant_size(context, element); });
}
void store_constants_as_ints(const Context& context, AttrValue& v) {
    if (const SizeId* size = std::get_if<SizeId>(&v.value)) {
        if (const auto constant = context.as_constant(*size)) v.value = *constant;
    } else if (AttrList* list = std::get_if<AttrList>(&v.value)) {
        for (AttrValue& element : *list) store_constants_as_ints(context, element);
    }
}
}  // namespace

AttrId Context::attr(std::span<const AttrEntry> entries) {
    const auto is_other = [&](const AttrEntry& e) { return has_constant_size(*this, e.value); };
    if (std::none_of(entries.begin(), entries.end(), is_other))
        return intern_record<AttrId>(tables_->mutex, tables_->attrs, entries);
    Record stored(entries.begin(), entries.end());
    for (AttrEntry& e : stored) store_constants_as_ints(*this, e.value);
    return intern_record<AttrId>(tables_->mutex, tables_->attrs, stored);
}
MetaId Context::meta(const Record& r) { return intern_record<MetaId>(tables_->mutex, tables_->metas, r); }
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
Dims Attributes::integers(std::string_view key) const {
    Dims out;
    for (const AttrValue& v : get<AttrList>(find(key))) out.push_back(std::get<int64_t>(v.value));
    return out;
}
SizeList Attributes::sizes(std::string_view key) const {
    SizeList out;
    for (const AttrValue& v : get<AttrList>(find(key))) out.push_back(as_size(*context_, v));
    return out;
}

}  // namespace tenon
