// Positions of elements as affine forms over loop variables: offset + Σ stride · atom, where strides are sizes
// (constants or polynomials over the graph's symbols) and an atom is a loop variable, or the quotient or remainder of a
// form that really mixes dimensions. Equal forms have equal ids, and what reshapes take apart and put together again
// cancels:
//   stride · size · (p / size) + stride · (p mod size) = stride · p
#pragma once
#include <compare>
#include <map>
#include <span>
#include <vector>

#include "ir/graph.h"
#include "ir/index_map.h"
#include "ir/size_facts.h"

namespace tenon {

using Position = IndexMap::Position;
using PositionList = std::vector<Position>;  // one per dimension

class Positions {
public:
    struct Atom {
        enum class Kind : uint8_t { variable, quotient, remainder } kind = Kind::variable;
        uint32_t number = 0;  // of a variable: the caller's
        uint32_t inner = 0;   // of a quotient or remainder: the form divided …
        SizeId divisor;       // … and by what
        SizeId extent;        // 0 ≤ atom < extent
        auto operator<=>(const Atom&) const = default;
    };
    struct Term {
        uint32_t atom = 0;
        SizeId stride;
        auto operator<=>(const Term&) const = default;
    };
    struct Form {
        SizeId offset;
        std::vector<Term> terms;  // ascending by atom
        auto operator<=>(const Form&) const = default;
    };

    // What is taken for granted about positions is proved by the facts, which outlive this.
    explicit Positions(const SizeFacts& facts) : facts_(&facts), context_(&facts.context()) { constant(SizeId(0)); }

    Context& context() const { return *context_; }
    const SizeFacts& facts() const { return *facts_; }
    Position constant(SizeId value) { return intern({value, {}}); }
    Position variable(uint32_t number, SizeId extent);  // 0 ≤ variable < extent; of extent 1: the constant 0
    Position named(uint32_t number, SizeId extent);     // the same, but of extent 1 a variable too, which is always 0
    Position add(Position, Position);
    Position scale(Position, SizeId factor);
    Position sub(Position a, Position b) { return add(a, scale(b, context_->constant(-1))); }
    Position floordiv(Position, SizeId divisor);
    Position mod(Position, SizeId divisor);
    Position linear(std::span<const Position>, std::span<const SizeId> sizes);  // row-major
    PositionList split(Position linear, std::span<const SizeId> sizes);         // its inverse

    const Form& operator[](Position p) const { return *forms_[p.id]; }
    const Atom& atom(uint32_t id) const { return atoms_[id]; }
    std::optional<SizeId> as_constant(Position) const;

    // By how much the position moves with the variable; none where there is a quotient or a remainder in it.
    std::optional<SizeId> stride(Position, uint32_t variable) const;

    // May the loops over variables `outer` and `inner` (of extent `extent`) become one, as far as these positions go:
    // is outer's stride that of inner times the extent, wherever they occur?
    bool collapses(std::span<const Position>, uint32_t outer, uint32_t inner, SizeId extent) const;

private:
    Position intern(Form);
    uint32_t intern(Atom);
    void join_quotients(Form&);
    bool within(const Form&, SizeId bound) const;  // provably 0 ≤ form < bound
    bool leaves_offset(const Form& rest, SizeId offset, SizeId divisor) const;
    SizeId stride_of(const Form&, uint32_t variable) const;

    const SizeFacts* facts_;
    Context* context_;
    std::map<Form, uint32_t> ids_;
    std::vector<const Form*> forms_;
    std::map<Atom, uint32_t> atom_ids_;
    std::vector<Atom> atoms_;
};

// Where operand `k` of a movement or elementwise node is read for the element of the node's result at `at`.
PositionList operand_positions(Positions&, const Graph&, NodeId node, size_t k, std::span<const Position> at);

}  // namespace tenon
