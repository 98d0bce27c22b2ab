// The tables behind a Context.
#pragma once
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "ir/context.h"
#include "ir/intern_table.h"

namespace tenon {

struct SizeEntry {  // an atom, or a polynomial that is none and no constant that stands in its id
    std::optional<SizeAtom> atom;
    std::vector<SizeTerm> terms;  // of a polynomial
    bool operator==(const SizeEntry&) const = default;
};

struct Context::Tables {
    std::mutex mutex;
    InternTable<std::string> names;
    InternTable<SizeEntry> sizes;
    InternTable<Type> types;
    InternTable<Record> attrs, metas;
    InternTable<Origin> origins;

    SizeId intern(SizeEntry entry);
    SizeId intern(const SizeAtom& atom) { return intern(SizeEntry{atom, {}}); }
    const SizeEntry& entry(SizeId id) const { return sizes[uint32_t(-(id.bits + 1))]; }
};

}  // namespace tenon
