// Sizes: integer polynomials over symbols and atoms, in one canonical form.
#include <algorithm>
#include <cassert>

#include "ir/context_tables.h"
#include "runtime/diagnostic.h"
#include "runtime/integer.h"

namespace tenon {

namespace {

uint64_t hash_size(const SizeEntry& e) {
    uint64_t h = e.atom.has_value();
    if (e.atom) {
        h = mix_hash(mix_hash(h, uint64_t(e.atom->kind)), e.atom->symbol);
        h = mix_hash(mix_hash(h, uint64_t(e.atom->left.bits)), uint64_t(e.atom->right.bits));
    }
    for (const SizeTerm& t : e.terms) {
        h = mix_hash(h, uint64_t(t.coefficient));
        for (SizeId a : t.atoms) h = mix_hash(h, uint64_t(a.bits));
    }
    return h;
}

[[noreturn]] void fail_overflow() {
    throw Error(Diagnostic{"overflow", "a size is too large for 64 bits", {}, {}, {}});
}
int64_t checked_sum(int64_t a, int64_t b) {
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum)) fail_overflow();
    return sum;
}
int64_t checked_product(int64_t a, int64_t b) {
    int64_t product;
    if (__builtin_mul_overflow(a, b, &product)) fail_overflow();
    return product;
}

// `a` without the atoms of `b`, if it has them all; both ascend.
std::optional<SizeList> without(const SizeList& a, const SizeList& b) {
    if (!std::includes(a.begin(), a.end(), b.begin(), b.end())) return std::nullopt;
    SizeList rest;
    std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(rest));
    return rest;
}

}  // namespace

SizeId Context::Tables::intern(SizeEntry entry) {
    std::lock_guard lock(mutex);
    const uint32_t index =
        sizes.intern(hash_size(entry), [&](const SizeEntry& e) { return e == entry; }, [&] { return entry; });
    return SizeId(-int64_t(index) - 1);
}

std::vector<SizeTerm> Context::terms(SizeId id) const {
    if (id.is_inline_constant()) return id.bits == 0 ? std::vector<SizeTerm>{} : std::vector<SizeTerm>{{id.bits, {}}};
    const SizeEntry& e = tables_->entry(id);
    return e.atom ? std::vector<SizeTerm>{{1, {id}}} : e.terms;
}

SizeId Context::polynomial(std::vector<SizeTerm> terms) {
    std::sort(terms.begin(), terms.end(), [](const SizeTerm& a, const SizeTerm& b) {
        return a.atoms.size() != b.atoms.size() ? a.atoms.size() > b.atoms.size() : a.atoms > b.atoms;
    });
    size_t kept = 0;  // those before are merged
    for (size_t k = 1; k < terms.size(); ++k) {
        if (terms[kept].atoms == terms[k].atoms)
            terms[kept].coefficient = checked_sum(terms[kept].coefficient, terms[k].coefficient);
        else terms[++kept] = terms[k];
    }
    terms.resize(std::min(kept + 1, terms.size()));
    std::erase_if(terms, [](const SizeTerm& t) { return t.coefficient == 0; });
    if (terms.empty()) return SizeId(0);
    if (terms.size() == 1) {
        const SizeTerm& only = terms[0];
        if (only.atoms.empty() && only.coefficient >= 0) return SizeId(only.coefficient);
        if (only.atoms.size() == 1 && only.coefficient == 1) return only.atoms[0];
    }
    return tables_->intern(SizeEntry{{}, std::move(terms)});
}

std::optional<SizeAtom> Context::atom(SizeId id) const {
    return id.is_inline_constant() ? std::nullopt : tables_->entry(id).atom;
}
std::optional<uint32_t> Context::symbol_number(SizeId id) const {
    if (id.is_inline_constant()) return std::nullopt;
    const SizeEntry& e = tables_->entry(id);
    return e.atom && e.atom->kind == SizeAtom::Kind::symbol ? std::optional(e.atom->symbol) : std::nullopt;
}

SizeId Context::constant(int64_t value) { return value >= 0 ? SizeId(value) : polynomial({{value, {}}}); }
SizeId Context::symbol(uint32_t number) {
    return tables_->intern(SizeAtom{SizeAtom::Kind::symbol, number, SizeId(0), SizeId(0)});
}
SizeId Context::add(SizeId a, SizeId b) {
    if (a.is_inline_constant() && b.is_inline_constant()) return SizeId(add_saturated(a.bits, b.bits));
    std::vector<SizeTerm> sum = terms(a);
    for (SizeTerm& t : terms(b)) sum.push_back(std::move(t));
    return polynomial(std::move(sum));
}
SizeId Context::sub(SizeId a, SizeId b) { return a == b ? SizeId(0) : add(a, mul(constant(-1), b)); }
SizeId Context::mul(SizeId a, SizeId b) {
    if (a.is_inline_constant() && b.is_inline_constant()) return SizeId(multiply_saturated(a.bits, b.bits));
    if (a == SizeId(1) || b == SizeId(0)) return b;
    if (b == SizeId(1) || a == SizeId(0)) return a;
    std::vector<SizeTerm> product;
    const std::vector<SizeTerm> left = terms(a), right = terms(b);
    for (const SizeTerm& s : left)
        for (const SizeTerm& t : right) {
            SizeTerm p{checked_product(s.coefficient, t.coefficient), {}};
            std::merge(s.atoms.begin(), s.atoms.end(), t.atoms.begin(), t.atoms.end(), std::back_inserter(p.atoms));
            product.push_back(std::move(p));
        }
    return polynomial(std::move(product));
}

// a = quotient · b + remainder with as little as can be left in the remainder, where b is one term: ⌊a / b⌋ is then
// quotient + ⌊remainder / b⌋.
std::optional<Context::Division> Context::divide(SizeId a, SizeId b) {
    const std::vector<SizeTerm> divisor = terms(b);
    if (divisor.size() != 1 || divisor[0].coefficient <= 0) return std::nullopt;
    std::vector<SizeTerm> quotient, remainder;
    for (SizeTerm& t : terms(a)) {
        const auto rest = without(t.atoms, divisor[0].atoms);
        const int64_t times = rest ? floor_divide(t.coefficient, divisor[0].coefficient) : 0;
        if (times != 0) quotient.push_back({times, *rest});
        const int64_t left = t.coefficient - times * divisor[0].coefficient;
        if (left != 0) remainder.push_back({left, std::move(t.atoms)});
    }
    return Division{polynomial(std::move(quotient)), polynomial(std::move(remainder))};
}
SizeId Context::floordiv(SizeId a, SizeId b) {
    const auto x = as_constant(a), y = as_constant(b);
    if (x && y && *y != 0) {
        if (*y == -1) return *x == INT64_MIN ? SizeId(INT64_MAX) : constant(-*x);
        return constant(floor_divide(*x, *y));
    }
    if (y == 1 || x == 0) return a;
    const auto parts = divide(a, b);
    if (!parts) return tables_->intern(SizeAtom{SizeAtom::Kind::floordiv, 0, a, b});
    if (parts->remainder == SizeId(0)) return parts->quotient;
    const auto left = as_constant(parts->remainder);
    const SizeId rest = left && y ? constant(floor_divide(*left, *y))
                                  : tables_->intern(SizeAtom{SizeAtom::Kind::floordiv, 0, parts->remainder, b});
    return add(parts->quotient, rest);
}
SizeId Context::mod(SizeId a, SizeId b) {
    const auto x = as_constant(a), y = as_constant(b);
    if (x && y && *y != 0) return *y == -1 ? SizeId(0) : constant(*x - floor_divide(*x, *y) * *y);
    if (x == 0) return SizeId(0);
    if (const auto parts = divide(a, b)) {
        if (as_constant(parts->remainder) && (y || parts->remainder == SizeId(0))) return parts->remainder;
        a = parts->remainder;
    }
    return tables_->intern(SizeAtom{SizeAtom::Kind::mod, 0, a, b});
}
SizeId Context::min(SizeId a, SizeId b) {
    const auto x = as_constant(a), y = as_constant(b);
    if (a == b) return a;
    if (x && y) return constant(std::min(*x, *y));
    return tables_->intern(SizeAtom{SizeAtom::Kind::min, 0, std::min(a, b), std::max(a, b)});
}
SizeId Context::max(SizeId a, SizeId b) {
    const auto x = as_constant(a), y = as_constant(b);
    if (a == b) return a;
    if (x && y) return constant(std::max(*x, *y));
    return tables_->intern(SizeAtom{SizeAtom::Kind::max, 0, std::min(a, b), std::max(a, b)});
}
std::optional<int64_t> Context::as_constant(SizeId id) const {
    if (id.is_inline_constant()) return id.bits;
    const SizeEntry& e = tables_->entry(id);
    if (!e.atom && e.terms.size() == 1 && e.terms[0].atoms.empty()) return e.terms[0].coefficient;
    return std::nullopt;
}

int64_t Context::evaluate(SizeId id, std::span<const int64_t> symbols) const {
    if (id.is_inline_constant()) return id.bits;
    const SizeEntry& e = tables_->entry(id);
    if (!e.atom) {
        int64_t sum = 0;
        for (const SizeTerm& t : e.terms) {
            int64_t product = t.coefficient;
            for (SizeId atom : t.atoms) product = multiply_saturated(product, evaluate(atom, symbols));
            sum = add_saturated(sum, product);
        }
        return sum;
    }
    if (e.atom->kind == SizeAtom::Kind::symbol) {
        assert(e.atom->symbol < symbols.size());
        return symbols[e.atom->symbol];
    }
    const int64_t left = evaluate(e.atom->left, symbols), right = evaluate(e.atom->right, symbols);
    switch (e.atom->kind) {
        case SizeAtom::Kind::floordiv:
            if (right == -1) return multiply_saturated(left, -1);
            return right == 0 ? 0 : floor_divide(left, right);
        case SizeAtom::Kind::mod: return right == 0 || right == -1 ? 0 : left - floor_divide(left, right) * right;
        case SizeAtom::Kind::min: return std::min(left, right);
        default: return std::max(left, right);
    }
}

SizeId Context::substitute(SizeId id, std::span<const SizeId> symbols) {
    if (id.is_inline_constant()) return id;
    const SizeEntry& e = tables_->entry(id);
    if (!e.atom) {
        SizeId sum(0);
        for (const SizeTerm& t : e.terms) {
            SizeId product = constant(t.coefficient);
            for (SizeId atom : t.atoms) product = mul(product, substitute(atom, symbols));
            sum = add(sum, product);
        }
        return sum;
    }
    if (e.atom->kind == SizeAtom::Kind::symbol) {
        assert(e.atom->symbol < symbols.size());
        return symbols[e.atom->symbol];
    }
    const SizeId left = substitute(e.atom->left, symbols), right = substitute(e.atom->right, symbols);
    switch (e.atom->kind) {
        case SizeAtom::Kind::floordiv: return floordiv(left, right);
        case SizeAtom::Kind::mod: return mod(left, right);
        case SizeAtom::Kind::min: return min(left, right);
        default: return max(left, right);
    }
}

void Context::list_symbols(SizeId id, std::vector<uint32_t>& out) const {
    if (id.is_inline_constant()) return;
    const SizeEntry& e = tables_->entry(id);
    if (!e.atom) {
        for (const SizeTerm& t : e.terms)
            for (SizeId atom : t.atoms) list_symbols(atom, out);
    } else if (e.atom->kind == SizeAtom::Kind::symbol) {
        out.push_back(e.atom->symbol);
    } else {
        list_symbols(e.atom->left, out);
        list_symbols(e.atom->right, out);
    }
}

std::vector<uint32_t> Context::symbols_of(SizeId id) const {
    std::vector<uint32_t> found;
    list_symbols(id, found);
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
}

std::string Context::to_string(SizeId id, const std::vector<std::string>& names) const {
    if (const auto c = as_constant(id)) return std::to_string(*c);
    const SizeEntry& e = tables_->entry(id);
    if (e.atom) {
        if (e.atom->kind == SizeAtom::Kind::symbol)
            return e.atom->symbol < names.size() ? names[e.atom->symbol] : "s" + std::to_string(e.atom->symbol);
        static constexpr const char* functions[] = {"", "floordiv", "mod", "min", "max"};
        return std::string(functions[size_t(e.atom->kind)]) + "(" + to_string(e.atom->left, names) + ", " +
               to_string(e.atom->right, names) + ")";
    }
    std::string out;
    for (const SizeTerm& t : e.terms) {
        const bool negative = t.coefficient < 0;
        if (!out.empty()) out += negative ? " - " : " + ";
        std::string coefficient = std::to_string(t.coefficient);
        if (negative && !out.empty()) coefficient.erase(0, 1);
        const bool bare = !t.atoms.empty() && coefficient == "1";
        if (!bare) out += coefficient;
        for (size_t i = 0; i < t.atoms.size(); ++i) {
            if (!bare || i > 0) out += "*";
            out += to_string(t.atoms[i], names);
        }
    }
    return out;
}

}  // namespace tenon
