// The tables behind a Context.
#pragma once
#include <mutex>  // lock_guard
#include <optional>
#include <string>
#include <vector>

#include "ir/context.h"
#include "ir/intern_table.h"
#include "runtime/spin_lock.h"

namespace tenon {

struct SizeEntry {  // an atom, or a polynomial that is none and no constant that stands in its id
    std::optional<SizeAtom> atom;
    std::vector<SizeTerm> terms;  // of a polynomial
    bool operator==(const SizeEntry&) const = default;
};

struct Context::Tables {
    SpinLock mutex;  // an op of a script interns some five times
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
