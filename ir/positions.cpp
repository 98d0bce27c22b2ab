#include "ir/positions.h"

#include <algorithm>
#include <cassert>

#include "ir/marks.h"
#include "ir/row.h"

namespace tenon {

Position Positions::intern(Form form) {
    const auto [it, fresh] = ids_.try_emplace(std::move(form), uint32_t(forms_.size()));
    if (fresh) forms_.push_back(&it->first);
    return {it->second};
}

uint32_t Positions::intern(Atom atom) {
    const auto [it, fresh] = atom_ids_.try_emplace(atom, uint32_t(atoms_.size()));
    if (fresh) atoms_.push_back(atom);
    return it->second;
}

Position Positions::variable(uint32_t number, SizeId extent) {
    if (extent == SizeId(1)) return constant(SizeId(0));
    return named(number, extent);
}
Position Positions::named(uint32_t number, SizeId extent) {
    return intern(Form{SizeId(0), {{intern(Atom{Atom::Kind::variable, number, 0, SizeId(0), extent}), SizeId(1)}}});
}

std::optional<SizeId> Positions::as_constant(Position p) const {
    const Form& form = (*this)[p];
    return form.terms.empty() ? std::optional(form.offset) : std::nullopt;
}

Position Positions::add(Position a, Position b) {
    const Form &x = (*this)[a], &y = (*this)[b];
    Form sum{facts_->add(x.offset, y.offset), {}};
    auto i = x.terms.begin(), j = y.terms.begin();
    while (i != x.terms.end() || j != y.terms.end()) {
        if (j == y.terms.end() || (i != x.terms.end() && i->atom < j->atom)) sum.terms.push_back(*i++);
        else if (i == x.terms.end() || j->atom < i->atom) sum.terms.push_back(*j++);
        else {
            const SizeId stride = facts_->add(i->stride, j->stride);
            if (stride != SizeId(0)) sum.terms.push_back({i->atom, stride});
            ++i, ++j;
        }
    }
    join_quotients(sum);
    return intern(std::move(sum));
}

// stride · size · (p / size) + stride · (p mod size) = stride · p
void Positions::join_quotients(Form& form) {
    for (size_t r = 0; r < form.terms.size(); ++r) {
        const Atom remainder = atoms_[form.terms[r].atom];
        if (remainder.kind != Atom::Kind::remainder) continue;
        const SizeId stride = form.terms[r].stride, wanted = facts_->mul(stride, remainder.divisor);
        for (size_t q = 0; q < form.terms.size(); ++q) {
            const Atom& quotient = atoms_[form.terms[q].atom];
            if (quotient.kind != Atom::Kind::quotient || quotient.inner != remainder.inner ||
                quotient.divisor != remainder.divisor || form.terms[q].stride != wanted)
                continue;
            Form rest = form;
            rest.terms.erase(rest.terms.begin() + ptrdiff_t(std::max(q, r)));
            rest.terms.erase(rest.terms.begin() + ptrdiff_t(std::min(q, r)));
            form = (*this)[add(intern(std::move(rest)), scale({remainder.inner}, stride))];
            return;
        }
    }
}

Position Positions::scale(Position p, SizeId factor) {
    if (factor == SizeId(1)) return p;
    Form scaled{facts_->mul((*this)[p].offset, factor), {}};
    for (const Term& t : (*this)[p].terms) {
        const SizeId stride = facts_->mul(t.stride, factor);
        if (stride != SizeId(0)) scaled.terms.push_back({t.atom, stride});
    }
    return intern(std::move(scaled));
}

bool Positions::within(const Form& form, SizeId bound) const {
    if (!facts_->nonnegative(form.offset)) return false;
    SizeId largest = form.offset;
    for (const Term& t : form.terms) {
        if (atoms_[t.atom].extent == SizeId(0) || !facts_->nonnegative(t.stride)) return false;
        largest = facts_->add(largest, facts_->mul(t.stride, facts_->sub(atoms_[t.atom].extent, SizeId(1))));
    }
    return facts_->nonnegative(facts_->sub(facts_->sub(bound, SizeId(1)), largest));
}

// Whether an offset stays with what a division leaves: where it does not divide, and where there is something to take
// from it (a dimension backwards), so that what is left is not negative.
bool Positions::leaves_offset(const Form& rest, SizeId offset, SizeId divisor) const {
    return context_->mod(offset, divisor) != SizeId(0) ||
           std::any_of(rest.terms.begin(), rest.terms.end(),
                       [&](const Term& t) { return !facts_->nonnegative(t.stride); });
}

// Along a dimension of size 0 there is no position. What stands for one still depends on a loop without a turn, so that
// nothing is read before that loop: hence `p` for a division by 0, and an atom without a value is within no bound.
Position Positions::floordiv(Position p, SizeId divisor) {
    if (divisor == SizeId(0) || divisor == SizeId(1)) return p;
    Form whole, rest;
    for (const Term& t : (*this)[p].terms) {
        if (context_->mod(t.stride, divisor) == SizeId(0))
            whole.terms.push_back({t.atom, context_->floordiv(t.stride, divisor)});
        else rest.terms.push_back(t);
    }
    const SizeId offset = (*this)[p].offset;
    if (leaves_offset(rest, offset, divisor)) rest.offset = offset;
    else whole.offset = context_->floordiv(offset, divisor);
    const Position quotient = intern(std::move(whole));
    if (within(rest, divisor)) return quotient;
    const SizeId extent = [&] {  // of a quotient of a nonnegative form: largest / divisor + 1
        SizeId smallest = rest.offset, largest = rest.offset;
        for (const Term& t : rest.terms) {
            if (atoms_[t.atom].extent == SizeId(0)) return SizeId(0);
            const bool rises = facts_->nonnegative(t.stride);
            if (!rises && !facts_->nonnegative(facts_->sub(SizeId(0), t.stride))) return SizeId(0);
            SizeId& end = rises ? largest : smallest;
            end = facts_->add(end, facts_->mul(t.stride, facts_->sub(atoms_[t.atom].extent, SizeId(1))));
        }
        return facts_->nonnegative(smallest) ? facts_->add(context_->floordiv(largest, divisor), SizeId(1)) : SizeId(0);
    }();
    const Position inner = intern(std::move(rest));
    const uint32_t atom = intern(Atom{Atom::Kind::quotient, 0, inner.id, divisor, extent});
    return add(quotient, intern(Form{SizeId(0), {{atom, SizeId(1)}}}));
}

Position Positions::mod(Position p, SizeId divisor) {
    if (divisor == SizeId(0)) return p;
    if (divisor == SizeId(1)) return constant(SizeId(0));
    Form rest;
    for (const Term& t : (*this)[p].terms)
        if (context_->mod(t.stride, divisor) != SizeId(0)) rest.terms.push_back(t);
    if (leaves_offset(rest, (*this)[p].offset, divisor)) rest.offset = (*this)[p].offset;
    const bool small = within(rest, divisor);
    const Position inner = intern(std::move(rest));
    if (small) return inner;
    const uint32_t atom = intern(Atom{Atom::Kind::remainder, 0, inner.id, divisor, divisor});
    return intern(Form{SizeId(0), {{atom, SizeId(1)}}});
}

Position Positions::linear(std::span<const Position> at, std::span<const SizeId> sizes) {
    assert(at.size() == sizes.size());
    Position sum = constant(SizeId(0));
    SizeId stride(1);
    for (size_t d = sizes.size(); d-- > 0;) {
        sum = add(sum, scale(at[d], stride));
        stride = facts_->mul(stride, sizes[d]);
    }
    return sum;
}

PositionList Positions::split(Position linear, std::span<const SizeId> sizes) {
    PositionList at(sizes.size());
    size_t first = 0;  // the first dimension that is not 1 takes what is left: it needs no remainder
    while (first + 1 < sizes.size() && sizes[first] == SizeId(1)) at[first++] = constant(SizeId(0));
    for (size_t d = sizes.size(); d-- > first;) {
        at[d] = d == first ? (sizes[d] == SizeId(1) ? constant(SizeId(0)) : linear) : mod(linear, sizes[d]);
        if (d > first) linear = floordiv(linear, sizes[d]);
    }
    return at;
}

SizeId Positions::stride_of(const Form& form, uint32_t variable) const {
    for (const Term& t : form.terms)
        if (atoms_[t.atom].kind == Atom::Kind::variable && atoms_[t.atom].number == variable) return t.stride;
    return SizeId(0);
}

std::optional<SizeId> Positions::stride(Position p, uint32_t variable) const {
    const Form& form = (*this)[p];
    const auto divides = [&](const Term& t) { return atoms_[t.atom].kind != Atom::Kind::variable; };
    if (std::any_of(form.terms.begin(), form.terms.end(), divides)) return std::nullopt;
    return stride_of(form, variable);
}

// A quotient and a remainder of the same form stand side by side: each form is looked at once.
bool Positions::collapses(std::span<const Position> of, uint32_t outer, uint32_t inner, SizeId extent) const {
    Marks met;
    met.begin(forms_.size());
    std::vector<uint32_t> forms;
    const auto add = [&](uint32_t form) {
        if (met.add(form)) forms.push_back(form);
    };
    for (Position p : of) add(p.id);
    while (!forms.empty()) {
        const Form& form = *forms_[forms.back()];
        forms.pop_back();
        if (stride_of(form, outer) != facts_->mul(stride_of(form, inner), extent)) return false;
        for (const Term& t : form.terms)
            if (atoms_[t.atom].kind != Atom::Kind::variable) add(atoms_[t.atom].inner);
    }
    return true;
}

// ---- the index rules of movement rows -----------------------------------------------------------------------------
namespace {

class MovementMap : public IndexMap {
public:
    MovementMap(Positions& positions, const Graph& graph, NodeId node, std::span<const Position> at)
        : positions_(positions), graph_(graph), node_(node), at_(at), set_(operand().rank()) {}

    Context& context() override { return positions_.context(); }
    Attributes attributes() override { return graph_.attributes(node_); }
    const Type& operand() const override { return graph_.type(graph_.operand(node_, 0)); }
    const Type& result() const override { return graph_.type(node_); }
    Position at(size_t dimension) override { return at_[dimension]; }
    Position linear() override { return positions_.linear(at_, result().sizes); }
    Position size(SizeId value) override { return positions_.constant(value); }
    Position add(Position a, Position b) override { return positions_.add(a, b); }
    Position sub(Position a, Position b) override { return positions_.sub(a, b); }
    Position mul(Position a, Position b) override {
        if (const auto factor = positions_.as_constant(b)) return positions_.scale(a, *factor);
        assert(positions_.as_constant(a));
        return positions_.scale(b, *positions_.as_constant(a));
    }
    void set(size_t dimension, Position p) override { set_[dimension] = p; }
    void set_linear(Position p) override { set_ = positions_.split(p, operand().sizes); }
    PositionList take() { return std::move(set_); }

private:
    Positions& positions_;
    const Graph& graph_;
    NodeId node_;
    std::span<const Position> at_;
    PositionList set_;
};

}  // namespace

PositionList operand_positions(Positions& positions, const Graph& graph, NodeId node, size_t k,
                               std::span<const Position> at) {
    const Row& r = row(graph[node].op);
    if (r.lowering == Lowering::movement) {
        MovementMap map(positions, graph, node, at);
        r.index(map);
        return map.take();
    }
    // Elementwise: shapes are aligned on the right, a size of 1 is repeated.
    const Type &from = graph.type(graph.operand(node, k)), &to = graph.type(node);
    const size_t extra = to.rank() - from.rank();
    PositionList out(from.rank());
    for (size_t d = 0; d < from.rank(); ++d)
        out[d] = from.sizes[d] == SizeId(1) ? positions.constant(SizeId(0)) : at[d + extra];
    return out;
}

}  // namespace tenon
