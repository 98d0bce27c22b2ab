// The scalar code of one kernel before it has a place: an expression graph over buffers and loop variables, in which
// every distinct computation is one entry and knows the innermost loop that it depends on. schedule() builds it from
// the tensor-level nodes of a fusion, then writes each entry into the loop it belongs to.
#pragma once
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "ir/build/builder.h"
#include "ir/positions.h"

namespace tenon {

using ExpressionId = uint32_t;

struct Expression {
    enum class Kind : uint8_t { node, variable, buffer, literal, fold } kind = Kind::node;
    Op op;
    TypeId type;
    AttrId attr;
    std::vector<ExpressionId> operands;  // of a fold: its body, lo, hi
    int depth = 0;                       // loops around it: 0 is the kernel's top
    uint32_t number = 0;                 // of a variable or buffer; of a fold: its variable; else the loops asked for
    NodeId source;                       // the tensor-level node it computes, for stamps; of a literal: the literal,
                                         // or none, where `attr` has its value
    int cost = 0;                        // of itself, in additions
};

class Expressions {
public:
    // `buffers`: values that are read from memory; buffer b is the region's parameter b.
    Expressions(const Graph& graph, Positions& positions);

    const Expression& operator[](ExpressionId id) const { return entries_[id]; }
    size_t size() const { return entries_.size(); }
    Positions& positions() { return positions_; }
    const Positions& positions() const { return positions_; }

    void bind(NodeId value, uint32_t buffer) { buffer_of_[value] = buffer; }
    void unbind(NodeId value) { buffer_of_.erase(value); }
    uint32_t add_variable(int depth);  // its number; use positions().variable(number, extent)
    ExpressionId variable(uint32_t number) const { return variables_[number]; }

    // The folds of a nest run over this variable; a fold's operand is read at (kept positions, split of the variable).
    struct Reduction {
        uint32_t variable = 0;
        Position position;
        SizeId extent;
        NameId order;
        int depth = 0;
    };
    void set_reduction(const Reduction& r) { reduction_ = r; }
    const Reduction& reduction() const { return reduction_; }
    // An earlier nest folded the reduction's chunks into a buffer: [kept, chunks] for lanes, [chunks, kept] for rows.
    void bind_partial(NodeId reduce, uint32_t buffer, int64_t chunk) { partials_[reduce] = {buffer, chunk}; }

    ExpressionId value(NodeId, const PositionList& at);  // the scalar that `value` has at a position
    ExpressionId index(Position);                        // the position as an index
    ExpressionId load(uint32_t buffer, DType, Position);
    // The fold of `reduce` at a position of its result, over reduced positions low … high - 1.
    ExpressionId fold_between(NodeId reduce, const PositionList& at, ExpressionId low, ExpressionId high);
    // `inside`: so many loops are around it at least, though its operands depend on fewer.
    ExpressionId call(Op, std::vector<ExpressionId> operands, AttrId = {}, NodeId source = {}, int inside = 0);

    // Every position that is used: loads, stores, numbers. For the analysis of which loops may collapse, and which go in tiles.
    struct Use {
        Position at;
        int64_t bytes = 0;  // of the element there; of a number 0
    };
    const std::vector<Use>& used_positions() const { return used_; }
    void note_position(Position p, int64_t bytes = 0) { used_.push_back({p, bytes}); }
    int64_t cost() const;        // of all entries, in additions
    int64_t arithmetic() const;  // the same but for what folds are more dear than their terms

private:
    ExpressionId intern(Expression);
    ExpressionId fold(NodeId reduce, ExpressionId body, uint32_t variable, ExpressionId low, ExpressionId high,
                      int depth = 0);
    ExpressionId fold_of_partials(NodeId reduce, const PositionList& at);
    struct Wanted {  // a value at a position, while it is worked out
        NodeId id;
        PositionList at;
        std::vector<ExpressionId> operands;  // what is known of it
    };
    std::optional<ExpressionId> known(NodeId, const PositionList& at) const;
    std::optional<ExpressionId> leaf(NodeId, const PositionList& at);
    size_t operand_count(NodeId) const;
    Wanted operand(const Wanted&, size_t k);
    ExpressionId combine(const Wanted&);
    ExpressionId drawn(const Wanted&);
    ExpressionId cast(ExpressionId, DType, NodeId source);
    ExpressionId literal(double, DType);
    int depth_of(const PositionList& at);
    PositionList folded_position(NodeId reduce, const PositionList& at);
    ExpressionId extent(SizeId);
    ExpressionId sum_of(const Positions::Form&);

    const Graph& graph_;
    Context& context_;
    Positions& positions_;
    std::vector<Expression> entries_;
    std::vector<ExpressionId> variables_;
    std::vector<std::optional<ExpressionId>> indices_;  // of positions
    std::unordered_map<NodeId, uint32_t> buffer_of_;
    std::map<std::pair<uint32_t, std::vector<uint32_t>>, ExpressionId> values_;  // (node, positions)
    std::map<std::vector<uint64_t>, ExpressionId> ids_;
    std::vector<Use> used_;
    Reduction reduction_;
    struct Partial {
        uint32_t buffer = 0;
        int64_t chunk = 0;
    };
    std::unordered_map<NodeId, Partial> partials_;
};

}  // namespace tenon
