// What a row's gradient formula sees, and reverse mode over a graph.
//
// A formula is a lazy expression: `d.x(0) += d.g * (1 - d.y * d.y)` emits nothing if operand 0 needs no gradient,
// otherwise its nodes post-order, left to right.
//
// Over 40 members: beside what a formula reads and adds, a row with regions asks for sums that it goes on with.
#pragma once
#include <initializer_list>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "ir/build/builder.h"

namespace tenon {

class Gradient;
class Reverse;

// An expression of a gradient formula, not yet emitted: a number, or an entry of the arena that Reverse keeps.
class Term {
public:
    Term(double number) : number_(number) {}
    Term(int number) : number_(number) {}
    Term() = default;

private:
    friend class Reverse;
    friend class Gradient;
    friend Term apply(Op, std::initializer_list<Term>, AttrId);
    Reverse* owner_ = nullptr;
    uint32_t entry_ = 0;
    double number_ = 0;
};
// One of the operands is no number. Numbers take the dtype of the others (of the values, for `where`).
Term apply(Op, std::initializer_list<Term>, AttrId attr = {});
Term operator+(const Term&, const Term&);
Term operator-(const Term&, const Term&);
Term operator*(const Term&, const Term&);
Term operator/(const Term&, const Term&);
Term operator-(const Term&);

class Gradient {
public:
    struct Slot {
        Gradient& gradient;
        size_t operand;
        int element = -1;              // of an operand that is a tuple
        void operator+=(const Term&);  // the cotangent this use adds to the operand; un-broadcast to its shape
    };
    Slot x(size_t operand) { return {*this, operand}; }
    Slot element_of(size_t operand, size_t k) { return {*this, operand, int(k)}; }
    bool needs(size_t operand) const;  // for formulas that choose; += asks by itself

    Term g;        // cotangent of the result, where there is one result
    Term a, b, c;  // operands 0 to 2 (numbers where the row has fewer)
    Term y;        // the result, where there is one
    // Of several: formulas ask which have a cotangent, one at least, and emit nothing for the others.
    size_t result_count() const;
    bool has_cotangent(size_t result) const;
    Term cotangent(size_t result) const;
    Term result(size_t) const;
    Term operand(size_t) const;
    size_t operand_count() const;
    std::optional<double> literal(size_t operand) const;  // its value
    const Type& type(size_t operand) const;
    const Type& result_type() const;  // of several: a tuple

    Term number(double value, size_t like) const;  // a literal of operand `like`'s dtype
    Term zero_like(size_t operand) const;          // zeros of the operand's shape
    Term positions(SizeId count) const;            // 0, 1, …: i64[count]
    Term zero()
        const;  // a slope of 0: zeros that come of the cotangent, for where that is absent, and through which nothing flows
    Term cast(const Term&, DType) const;
    Term reshape_to(const Term&, std::span<const SizeId> sizes) const;
    Term expand_to(const Term&, size_t operand) const;  // broadcast to the operand's shape
    Term replay(const Term& other) const;               // this node's op and attributes on another operand 0
    // The movement ops that lead from operand `base` to operand `view`, applied to another value.
    Term replay_view(size_t view, size_t base, const Term& new_base) const;

    // ---- of rows with regions, which write graphs where others write terms (ir/differentiate/regions.h)
    Builder& builder() const;
    NodeId node() const { return node_; }
    NodeId cotangent_node(size_t result) const;     // none where there is none
    NodeId result_node(size_t result) const;
    NodeId sum(size_t operand) const;               // of the operand's cotangent so far, none before its first term
    void set_sum(size_t operand, NodeId sum);       // which this node has gone on with
    void add(size_t operand, NodeId contribution);  // one term
    void name(NodeId value);                        // a forward value that the gradient reads
    // Of another forward value than an operand: one whose cotangent is told apart from that of a stack of it.
    NodeId value_of(NodeId node, size_t result) const;  // none where nothing that is differentiated reads it
    bool needs_value(NodeId value) const;
    void add_to(NodeId value, NodeId contribution);
    NodeId sum_of(NodeId value) const;
    void set_sum_of(NodeId value, NodeId sum);
    bool is_inside_region() const;
    bool is_used_before(size_t operand) const;      // by a node that may add to the operand's sum later on

    Context& context() const;
    Attributes attributes() const;
    AttrId node_attr() const;
    AttrId reduction_attr() const;  // this reduction's axes, with keepdim
    AttrId attr(std::initializer_list<std::pair<std::string_view, AttrValue>>) const;

private:
    friend class Reverse;
    Gradient(Reverse& reverse, NodeId node);
    Reverse& reverse_;
    NodeId node_;
};

// Whether values of this type may have a cotangent: floats, and tuples with any.
bool is_differentiable(const Context&, TypeId);

// Appends to `builder` the cotangents of `wrt` for the given results. Goes through the nodes of the main body that
// depend on `wrt`, in descending position, operands ascending (so that sums at a fan-out are one left fold, the numeric
// contract). A node with several results has a cotangent for each that is reached: what its `get`s have added up when the
// sweep comes to it. Nodes flagged no_grad are not gone through. What a checkpoint computes again is seen to after all
// differentiation (the pass recompute).
struct ReverseRequest {
    std::span<const NodeId> results;
    std::span<const NodeId> cotangents;  // as many; empty: ones of each result's shape
    std::span<const NodeId> wrt;
    std::span<const NodeId> running = {};  // optional, as many as wrt: a cotangent sum to continue, none to start anew
    struct Named {
        NodeId value, by;  // a forward value, and the op whose formula names it
    };
    std::vector<Named>* named = nullptr;  // receives them in the order in which ops are differentiated
    // By node: whether it has a gradient that others may ask for. `named` gets what its formulas would name, too: op by op
    // that is saved, and missed, whatever a backward is for.
    std::span<const uint8_t> differentiable = {};
    // The graph is a region, or will be a part of one: its derivative is taken apart before it is differentiated again.
    bool inside_region = false;
    // Of a piece of a body: where it begins, and for its values, by value, what formulas name in their place.
    size_t begin = 0;
    std::span<const std::pair<NodeId, NodeId>> given = {};
};
/// The value whose history this one has (Row::history_of), or itself: to gradients they are one value, with one cotangent.
NodeId history_owner(const Builder&, NodeId);
NodeId history_owner(const Graph&, NodeId);

// By node of the builder: does a gradient lead from it to one of these?
std::vector<bool> dependents(Builder& builder, std::span<const NodeId> wrt);
// One node per wrt, none where no path leads there. Throws Error kind "gradient" at a row without a gradient.
std::vector<NodeId> reverse(Builder& builder, const ReverseRequest&);

}  // namespace tenon
