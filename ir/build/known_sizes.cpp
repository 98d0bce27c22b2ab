#include "ir/build/known_sizes.h"

#include <algorithm>

namespace tenon {

void KnownSizes::clear() {
    hints_.clear();
    equalities_.clear();
    facts_.reset();
    equal_symbol_.clear();
}

void KnownSizes::add_symbol(int64_t hint) {
    hints_.push_back(hint);
    equal_symbol_.push_back(uint32_t(equal_symbol_.size()));
}

void KnownSizes::add(std::span<const SizeEquality> equalities) {
    equalities_.insert(equalities_.end(), equalities.begin(), equalities.end());
    facts_.reset();
}

void KnownSizes::guard(SizeId a, SizeId b, SkeletonHash& hash) {
    equalities_.push_back({a, b});
    facts_.reset();
    hash.mix(uint64_t(a.bits));
    hash.mix(uint64_t(b.bits));
}

uint32_t KnownSizes::first_equal(uint32_t symbol) const {
    while (equal_symbol_[symbol] != symbol) symbol = equal_symbol_[symbol] = equal_symbol_[equal_symbol_[symbol]];
    return symbol;
}

bool KnownSizes::equal(SizeId a, SizeId b) const {
    if (a == b) return true;
    const auto x = context_->symbol_number(a), y = context_->symbol_number(b);
    return x && y && first_equal(*x) == first_equal(*y);
}

bool KnownSizes::must_be_equal(SizeId a, SizeId b, SkeletonHash& hash) {
    if (!assume_hints_) {
        if (equalities_.empty()) return false;
        if (!facts_) facts_.emplace(*context_, equalities_);
        return facts_->equal(a, b);
    }
    if (equal(a, b)) return true;
    if (context_->evaluate(a, hints_) != context_->evaluate(b, hints_)) return false;
    guard(a, b, hash);
    const auto x = context_->symbol_number(a), y = context_->symbol_number(b);
    if (x && y) {
        const auto [first, second] = std::minmax({first_equal(*x), first_equal(*y)});
        equal_symbol_[second] = first;
    }
    return true;
}

TypeId KnownSizes::decided(TypeId id, SkeletonHash& hash) {
    if (!decide_small_) return id;
    const Type& type = (*context_)[id];
    for (size_t d = 0; d < type.sizes.size(); ++d) {
        if (type.sizes[d].is_inline_constant() || context_->evaluate(type.sizes[d], hints_) > 1) continue;
        Type small = type;
        for (SizeId& size : small.sizes) {
            const int64_t value = size.is_inline_constant() ? 2 : context_->evaluate(size, hints_);
            if (value < 0 || value > 1) continue;
            guard(size, SizeId(value), hash);
            size = SizeId(value);
        }
        return context_->type(std::move(small));
    }
    return id;
}

}  // namespace tenon
