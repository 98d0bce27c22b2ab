#include "ir/stable_hash.h"

#include <bit>
#include <cstring>

#include <fmt/format.h>

#include "ir/intern_table.h"

namespace tenon {

void StableHash::mix(uint64_t value) {
    low_ = mix_hash(low_, value);
    high_ = mix_hash(high_ ^ 0x94D049BB133111EBull, value * 0xD6E8FEB86659FD93ull);
}

void StableHash::mix(std::string_view text) {
    mix(text.size());
    for (size_t begin = 0; begin < text.size(); begin += 8) {
        uint64_t word = 0;
        std::memcpy(&word, text.data() + begin, std::min<size_t>(8, text.size() - begin));
        mix(word);
    }
}

void StableHash::mix(const Context& context, SizeId size) {
    const std::vector<SizeTerm> terms = context.terms(size);
    mix(terms.size());
    for (const SizeTerm& term : terms) {
        mix(uint64_t(term.coefficient));
        mix(term.atoms.size());
        for (SizeId factor : term.atoms) {
            const std::optional<SizeAtom> atom = context.atom(factor);
            mix(uint64_t(atom->kind));
            if (atom->kind == SizeAtom::Kind::symbol) {
                mix(atom->symbol);
                continue;
            }
            mix(context, atom->left);
            mix(context, atom->right);
        }
    }
}

void StableHash::mix(const Context& context, const AttrValue& value) {
    mix(value.value.index());
    std::visit(
        [&]<class T>(const T& x) {
            if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, int64_t> || std::is_same_v<T, DType>)
                mix(uint64_t(x));
            else if constexpr (std::is_same_v<T, double>) mix(std::bit_cast<uint64_t>(x));
            else if constexpr (std::is_same_v<T, NameId>) mix(context.text(x));
            else if constexpr (std::is_same_v<T, SizeId> || std::is_same_v<T, TypeId>) mix(context, x);
            else if constexpr (std::is_same_v<T, AttrList>) {
                mix(x.size());
                for (const AttrValue& element : x) mix(context, element);
            }
        },
        value.value);
}

void StableHash::mix(const Context& context, AttrId id) {
    const Record& record = context[id];
    mix(record.size());
    for (const AttrEntry& entry : record) {
        mix(context.text(entry.key));
        mix(context, entry.value);
    }
}

void StableHash::mix(const Context& context, TypeId id) {
    const Type& type = context[id];
    mix(uint64_t(type.kind) << 8 | uint64_t(type.dtype));
    mix(uint64_t(type.device.kind) << 32 | uint64_t(type.device.index));
    mix(type.sizes.size());
    for (SizeId size : type.sizes) mix(context, size);
    mix(type.elements.size());
    for (TypeId element : type.elements) mix(context, element);
}

std::string StableHash::text() const { return fmt::format("{:016x}{:016x}", high_, low_); }

}  // namespace tenon
