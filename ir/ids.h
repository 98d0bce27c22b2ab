// Strong ids of the graph IR. An id is an index; none() is the absent one. Nodes refer to each other by id only.
#pragma once
#include <compare>
#include <cstdint>
#include <functional>

namespace tenon {

template <class Tag>
struct Id {
    uint32_t index = UINT32_MAX;
    constexpr Id() = default;
    constexpr explicit Id(uint32_t i) : index(i) {}
    static constexpr Id none() { return Id(); }
    constexpr explicit operator bool() const { return index != UINT32_MAX; }
    constexpr auto operator<=>(const Id&) const = default;
};

using NodeId = Id<struct NodeTag>;      // a value of one graph
using RegionId = Id<struct RegionTag>;  // a region of one graph
using TypeId = Id<struct TypeTag>;      // interned in Context
using AttrId = Id<struct AttrTag>;      // interned record of attributes; none() is the empty record
using MetaId = Id<struct MetaTag>;      // interned annotation metadata; none() is the empty record
using NameId = Id<struct NameTag>;      // interned text
using OriginId = Id<struct OriginTag>;  // interned origin: source span, rule, differentiated op

// An extent of a tensor: a constant, or a polynomial over the graph's symbols interned in Context.
// Constants 0 and up are stored in place, so static shapes never touch the interner.
struct SizeId {
    int64_t bits = 0;
    constexpr SizeId() = default;
    constexpr explicit SizeId(int64_t b) : bits(b) {}
    constexpr bool is_inline_constant() const { return bits >= 0; }
    constexpr auto operator<=>(const SizeId&) const = default;
};

struct Op {  // row index into the op tables
    uint16_t row = UINT16_MAX;
    constexpr auto operator<=>(const Op&) const = default;
    constexpr explicit operator bool() const { return row != UINT16_MAX; }
};

}  // namespace tenon

template <class Tag>
struct std::hash<tenon::Id<Tag>> {
    size_t operator()(tenon::Id<Tag> id) const noexcept { return id.index * 0x9E3779B97F4A7C15ull; }
};
template <>
struct std::hash<tenon::SizeId> {
    size_t operator()(tenon::SizeId id) const noexcept { return uint64_t(id.bits) * 0x9E3779B97F4A7C15ull; }
};
