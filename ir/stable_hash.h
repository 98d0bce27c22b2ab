// A hash that every session, process and machine agrees on: of names instead of ids, of values instead of addresses.
#pragma once
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "ir/context.h"

namespace tenon {

class StableHash {
public:
    void mix(uint64_t value);
    void mix(std::string_view text);   ///< its length too
    void mix(const Context&, SizeId);  ///< symbols by number
    void mix(const Context&, const AttrValue&);
    void mix(const Context&, AttrId);
    void mix(const Context&, TypeId);

    auto operator<=>(const StableHash&) const = default;
    uint64_t low() const { return low_; }
    std::string text() const;  ///< 32 hexadecimal digits

private:
    uint64_t low_ = 0, high_ = 0;
};

}  // namespace tenon
