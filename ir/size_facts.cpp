#include "ir/size_facts.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace tenon {

SizeId product(Context& context, std::span<const SizeId> sizes) {
    SizeId n(1);
    for (SizeId s : sizes) n = context.mul(n, s);
    return n;
}

namespace {

// a − b with the common factor of its coefficients taken out; none where they are equal or differ by a constant alone.
std::vector<SizeTerm> difference(Context& context, SizeId a, SizeId b) {
    std::vector<SizeTerm> terms = context.terms(context.sub(a, b));
    int64_t common = 0;
    for (const SizeTerm& t : terms) common = std::gcd(common, t.coefficient);
    for (SizeTerm& t : terms) t.coefficient /= common;
    return terms;
}

// What terms[k], of coefficient 1 or −1, is where all of them add up to 0.
SizeId solved_for(Context& context, std::vector<SizeTerm> terms, size_t k) {
    const bool negate = terms[k].coefficient == 1;
    terms.erase(terms.begin() + ptrdiff_t(k));
    if (negate)
        for (SizeTerm& t : terms) t.coefficient = -t.coefficient;
    return context.polynomial(std::move(terms));
}

// What is 0 where the two are equal: the same size for all pairs that are equal for the same reason.
SizeId nought(Context& context, SizeId a, SizeId b) {
    std::vector<SizeTerm> terms = difference(context, a, b);
    if (!terms.empty() && terms[0].coefficient < 0)
        for (SizeTerm& t : terms) t.coefficient = -t.coefficient;
    return context.polynomial(std::move(terms));
}

bool is_unit(const SizeTerm& t) { return t.coefficient == 1 || t.coefficient == -1; }

}  // namespace

// Each equality gives the product of its highest degree (the first term, in the order of `terms`). Multiplying keeps
// that order, so that rewriting comes to an end.
SizeFacts::SizeFacts(Context& context, std::span<const SizeEquality> equalities) : context_(&context) {
    for (const SizeEquality& e : equalities) {
        noughts_.push_back(nought(context, e.left, e.right));
        std::vector<SizeTerm> terms = difference(context, normal(e.left), normal(e.right));
        if (terms.empty() || terms[0].atoms.empty() || !is_unit(terms[0])) continue;
        SizeList lead = terms[0].atoms;
        rules_.push_back({std::move(lead), solved_for(context, std::move(terms), 0)});
    }
}

bool SizeFacts::equal(SizeId a, SizeId b) const {
    if (a == b) return true;
    if (noughts_.empty()) return false;
    return normal(a) == normal(b) ||
           std::find(noughts_.begin(), noughts_.end(), nought(*context_, a, b)) != noughts_.end();
}

SizeId SizeFacts::normal(SizeId size) const {
    if (rules_.empty() || size.is_inline_constant()) return size;
    for (bool again = true; again;) {
        again = false;
        SizeId sum(0);
        for (const SizeTerm& t : context_->terms(size)) {
            const auto rule = std::find_if(rules_.begin(), rules_.end(), [&](const Rule& r) {
                return std::includes(t.atoms.begin(), t.atoms.end(), r.product.begin(), r.product.end());
            });
            if (rule == rules_.end()) {
                sum = context_->add(sum, context_->polynomial({t}));
                continue;
            }
            again = true;
            SizeTerm rest{t.coefficient, {}};
            std::set_difference(t.atoms.begin(), t.atoms.end(), rule->product.begin(), rule->product.end(),
                                std::back_inserter(rest.atoms));
            sum = context_->add(sum, context_->mul(context_->polynomial({rest}), rule->size));
        }
        size = sum;
    }
    return size;
}

SizeId SizeFacts::product(std::span<const SizeId> sizes) const { return normal(tenon::product(*context_, sizes)); }

// ---- what is not negative -----------------------------------------------------------------------------------------
// What is inside an atom is taken as it is: its normal form may name the atom again.
bool SizeFacts::is_nonnegative_atom(SizeId id) const {
    const SizeAtom atom = *context_->atom(id);
    const auto holds = [&](SizeId part) { return nonnegative(part, 0); };
    switch (atom.kind) {
        case SizeAtom::Kind::symbol: return true;
        case SizeAtom::Kind::floordiv: return holds(atom.left) && holds(atom.right);  // by 0 it is 0
        case SizeAtom::Kind::mod: return holds(atom.right);
        case SizeAtom::Kind::min: return holds(atom.left) && holds(atom.right);
        case SizeAtom::Kind::max: return holds(atom.left) || holds(atom.right);
    }
    return false;
}

bool SizeFacts::nonnegative(SizeId size) const { return nonnegative(normal(size), 4); }

// A polynomial whose coefficients and atoms are not negative is not. Where a coefficient is, an atom of its term may
// have an upper bound that is a polynomial again: then the whole is no less than what the bound makes of it.
bool SizeFacts::nonnegative(SizeId size, int bounds) const {
    if (const auto c = context_->as_constant(size)) return *c >= 0 && *c != INT64_MAX;  // which stands for any size
    const std::vector<SizeTerm> terms = context_->terms(size);
    for (const SizeTerm& t : terms)
        for (SizeId atom : t.atoms)
            if (!is_nonnegative_atom(atom)) return false;
    const auto negative = std::find_if(terms.begin(), terms.end(), [](const SizeTerm& t) { return t.coefficient < 0; });
    if (negative == terms.end()) return true;
    if (bounds == 0) return false;
    int64_t scale = 1;
    const auto bound = bounded(*negative, scale);
    if (!bound) return false;
    SizeId sum = *bound;
    for (const SizeTerm& t : terms)
        if (&t != &*negative) sum = context_->add(sum, context_->mul(SizeId(scale), context_->polynomial({t})));
    return nonnegative(normal(sum), bounds - 1);
}

// A size that scale · term is no less than.
std::optional<SizeId> SizeFacts::bounded(const SizeTerm& term, int64_t& scale) const {
    for (size_t k = 0; k < term.atoms.size(); ++k) {
        const SizeAtom atom = *context_->atom(term.atoms[k]);
        const auto divisor = context_->as_constant(atom.right);
        SizeTerm rest = term;
        rest.atoms.erase(rest.atoms.begin() + ptrdiff_t(k));
        SizeId bound;
        if (atom.kind == SizeAtom::Kind::floordiv && divisor && *divisor > 0) {  // d ⌊x / d⌋ ≤ x
            scale = *divisor;
            bound = atom.left;
        } else if (atom.kind == SizeAtom::Kind::mod && divisor && *divisor > 0) {
            bound = SizeId(*divisor - 1);
        } else if (atom.kind == SizeAtom::Kind::min) {
            bound = divisor ? atom.right : atom.left;
        } else {
            continue;
        }
        return context_->mul(context_->polynomial({rest}), bound);
    }
    return std::nullopt;
}

// ---- solving ------------------------------------------------------------------------------------------------------
namespace {

struct Solution {
    uint32_t symbol = 0;
    SizeId size;
    bool is_sum = false;  // nothing is subtracted: of such a size more can be proved
};

// The symbol whose value follows from the equality; where there are several, one that is a sum of others, the last.
std::optional<Solution> solution(Context& context, const SizeEquality& e) {
    const std::vector<SizeTerm> terms = difference(context, e.left, e.right);
    std::optional<Solution> best;
    for (size_t k = 0; k < terms.size(); ++k) {
        const auto symbol =
            terms[k].atoms.size() == 1 ? context.symbol_number(terms[k].atoms[0]) : std::optional<uint32_t>();
        if (!symbol || !is_unit(terms[k])) continue;  // 3·n = 12 is n = 4: its coefficients have 3 in common
        const SizeId size = solved_for(context, terms, k);
        const std::vector<uint32_t> others = context.symbols_of(size);
        if (std::binary_search(others.begin(), others.end(), *symbol)) continue;
        const std::vector<SizeTerm> summands = context.terms(size);
        const bool is_sum =
            std::all_of(summands.begin(), summands.end(), [](const SizeTerm& t) { return t.coefficient > 0; });
        if (!best || std::pair(is_sum, *symbol) > std::pair(best->is_sum, best->symbol)) best = {*symbol, size, is_sum};
    }
    return best;
}

// Symbols that are equal to each other become the first of them, or the constant that one of them is.
void join_symbols(Context& context, std::vector<SizeId>& sizes, std::span<const SizeEquality> equalities) {
    std::vector<uint32_t> first(sizes.size());
    std::iota(first.begin(), first.end(), 0u);
    const auto root = [&](uint32_t k) {
        while (first[k] != k) k = first[k] = first[first[k]];
        return k;
    };
    for (const SizeEquality& e : equalities) {
        const auto a = context.symbol_number(e.left), b = context.symbol_number(e.right);
        if (!a || !b) continue;
        const auto [low, high] = std::minmax({root(*a), root(*b)});
        first[high] = low;
        if (context.as_constant(sizes[high])) sizes[low] = sizes[high];
    }
    for (uint32_t k = 0; k < sizes.size(); ++k) sizes[k] = sizes[root(k)];
}

}  // namespace

SolvedSizes solve(Context& context, std::vector<SizeId> sizes, std::span<const SizeEquality> equalities) {
    SolvedSizes out{std::move(sizes), {}};
    join_symbols(context, out.sizes, equalities);
    std::vector<SizeId> step;  // what each symbol becomes when one is solved
    for (uint32_t k = 0; k < out.sizes.size(); ++k) step.push_back(context.symbol(k));
    std::vector<SizeEquality>& open = out.left;
    for (const SizeEquality& e : equalities) {
        const SizeEquality now{context.substitute(e.left, out.sizes), context.substitute(e.right, out.sizes)};
        if (now.left != now.right && std::find(open.begin(), open.end(), now) == open.end()) open.push_back(now);
    }
    for (size_t k = 0; k < open.size();) {
        const auto solved = solution(context, open[k]);
        if (!solved) {
            ++k;
            continue;
        }
        const SizeId before = std::exchange(step[solved->symbol], solved->size);
        for (SizeId& size : out.sizes) size = context.substitute(size, step);
        for (SizeEquality& e : open) e = {context.substitute(e.left, step), context.substitute(e.right, step)};
        step[solved->symbol] = before;
        std::erase_if(open, [](const SizeEquality& e) { return e.left == e.right; });
        k = 0;  // what was left may be solved now
    }
    return out;
}

}  // namespace tenon
