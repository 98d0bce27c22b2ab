// Writes the loops of a kernel by hand (ir/loops.h), for rows that are lowered so (Lowering::tiles).
#pragma once
#include <span>
#include <string_view>

#include "ir/build/builder.h"
#include "runtime/function_ref.h"

namespace tenon {

class LoopWriter {
public:
    using Body = FunctionRef<void(NodeId variable)>;

    /// `node`: the tensor-level node; `buffers`: the parameters of the kernel's open region, its operands and then its
    /// results.
    LoopWriter(Builder& builder, const Graph& graph, NodeId node, std::span<const NodeId> buffers)
        : builder_(builder), context_(builder.context()), graph_(graph), node_(node), buffers_(buffers) {}

    // -- the node
    Context& context() { return context_; }
    const Graph& graph() const { return graph_; }
    const Region& region(unsigned k) const { return graph_.region_of(node_, k); }
    size_t operand_count() const { return graph_[node_].operands.count; }
    const Type& operand_type(size_t k) const { return graph_.type(graph_.operand(node_, k)); }
    Attributes attributes() const { return graph_.attributes(node_); }
    NodeId operand(size_t k) const { return buffers_[k]; }
    NodeId result(size_t k) const { return buffers_[operand_count() + k]; }

    // -- indices. What sizes say is best asked for before the first loop, so that it stands around all of them.
    NodeId size(SizeId);
    NodeId size(int64_t constant) { return size(SizeId(constant)); }
    NodeId add(NodeId a, NodeId b) { return index(op<"add">(), a, b); }
    NodeId sub(NodeId a, NodeId b) { return index(op<"sub">(), a, b); }
    NodeId mul(NodeId a, NodeId b) { return index(op<"mul">(), a, b); }
    NodeId floor_divide(NodeId a, NodeId b) { return index(op<"floor_divide">(), a, b); }
    NodeId remainder(NodeId a, NodeId b) { return index(op<"remainder">(), a, b); }
    NodeId minimum(NodeId a, NodeId b) { return index(op<"minimum">(), a, b); }
    NodeId maximum(NodeId a, NodeId b) { return index(op<"maximum">(), a, b); }

    // -- loops
    void parallel(NodeId low, NodeId high, Body body) { loop("parallel", low, high, 1, body); }
    void serial(NodeId low, NodeId high, int64_t step, Body body) { loop("serial", low, high, step, body); }
    void vector(NodeId low, NodeId high, Body body) { loop("vector", low, high, 1, body); }
    /// By rows, so inside a vector loop; by lanes, outside of one. `element` gives the scalar to fold.
    NodeId fold(std::string_view by, NodeId low, NodeId high, FunctionRef<NodeId(NodeId variable)> element,
                std::string_view order = "rows");

    // -- memory
    NodeId scratch(DType, NodeId elements);  // of the iteration at hand
    NodeId load(NodeId buffer, NodeId position) { return builder_.emit(op<"load">(), {buffer, position}); }
    void store(NodeId buffer, NodeId position, NodeId value);
    struct Tile {
        NodeId buffer, at, row;
    };
    /// c[m, n] = a[m, k] b[k, n], or added to what is in c; along a row of b and c elements are neighbours, along one of a they
    /// are `a_column` apart.
    void product(const Tile& a, NodeId a_column, const Tile& b, const Tile& c, NodeId m, NodeId n, NodeId k,
                 bool accumulate);
    /// to[places[at + i · row + j]] += terms[at + i · row + j] for i < m, j < n, in this order.
    void scatter(NodeId to, NodeId places, NodeId terms, NodeId at, NodeId row, NodeId m, NodeId n);

    // -- scalars
    NodeId literal(double value, DType dtype) { return builder_.literal(value, dtype); }
    NodeId literal(Scalar value, DType dtype) { return builder_.literal(value, dtype); }
    NodeId apply(Op o, std::initializer_list<NodeId> operands, AttrId attr = {}) {
        return builder_.emit(o, std::span(operands.begin(), operands.size()), attr);
    }
    NodeId apply(Op o, std::span<const NodeId> operands, AttrId attr) { return builder_.emit(o, operands, attr); }
    NodeId cast(NodeId value, DType dtype) {
        return builder_.type(value).dtype == dtype ? value : apply(op<"cast">(), {value}, attr({{"dtype", dtype}}));
    }
    NodeId number(NodeId index) { return apply(op<"number">(), {index}); }
    NodeId position(NodeId number) { return apply(op<"position">(), {number}); }

private:
    NodeId index(Op o, NodeId a, NodeId b) { return builder_.emit_typed(o, context_.index(), {a, b}); }
    void loop(std::string_view kind, NodeId low, NodeId high, int64_t step, Body body);
    AttrId attr(std::initializer_list<std::pair<std::string_view, AttrValue>> entries);

    Builder& builder_;
    Context& context_;
    const Graph& graph_;
    NodeId node_;
    std::span<const NodeId> buffers_;
};

}  // namespace tenon
