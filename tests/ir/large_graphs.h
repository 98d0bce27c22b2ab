// Graphs with many nodes, each of another form: what the middle end must take in time that grows as they do.
#pragma once
#include <functional>
#include <string_view>
#include <vector>

#include "ir/build/builder.h"

namespace tenon {

struct LargeGraph {
    std::string_view name;
    GraphRef (*make)(Context&, size_t nodes);
};

namespace large_graphs {

inline AttrId attr(Context& c, std::string_view key, AttrValue value) {
    return c.attr({{c.name(key), std::move(value)}});
}
inline NodeId input(Builder& b, std::vector<SizeId> sizes = {SizeId(10)}) {
    return b.parameter(b.context().tensor(DType::f32, sizes));
}

// One op after the other, of the same elements.
inline GraphRef chain(Context& c, size_t nodes) {
    Builder b(c);
    NodeId x = input(b);
    const NodeId y = input(b);
    for (size_t k = 0; k < nodes; ++k) x = b.emit(k % 3 ? op<"add">() : op<"mul">(), {x, y});
    return b.finish({x});
}
// The same, and every tenth value is dear and used again.
inline GraphRef shared_chain(Context& c, size_t nodes) {
    Builder b(c);
    NodeId x = input(b), kept = x;
    for (size_t k = 0; k < nodes; ++k) {
        if (k % 10 == 9) kept = x = b.emit(op<"tanh">(), {x});
        else x = b.emit(op<"add">(), {x, kept});
    }
    return b.finish({x});
}
// Rows that are normalised again and again.
inline GraphRef reductions(Context& c, size_t nodes) {
    Builder b(c);
    NodeId x = input(b, {SizeId(8), SizeId(16)});
    const AttrId rows = c.attr({{c.name("axes"), AttrList{int64_t(1)}}, {c.name("keepdim"), AttrValue(true)}});
    for (size_t k = 0; k < nodes / 3; ++k)
        x = b.emit(op<"mul">(), {b.emit(op<"sub">(), {x, b.emit(op<"sum">(), {x}, rows)}), x});
    return b.finish({x});
}
// One value that all others read, each a result; those of other sizes make kernels of their own.
inline GraphRef fan_out(Context& c, size_t nodes) {
    Builder b(c);
    const NodeId x = b.emit(op<"tanh">(), {input(b)});
    std::vector<NodeId> results;
    for (size_t k = 0; k < nodes; ++k)
        results.push_back(b.emit(op<"mul">(), {x, b.literal(double(k + 2), DType::f32)}));
    return b.finish(results);
}
// Many values into one: a tree of sums, and a cat.
inline GraphRef fan_in(Context& c, size_t nodes) {
    Builder b(c);
    const NodeId x = input(b);
    std::vector<NodeId> values;
    for (size_t k = 0; k < nodes / 2; ++k)
        values.push_back(b.emit(op<"tanh">(), {b.emit(op<"mul">(), {x, b.literal(double(k + 2), DType::f32)})}));
    return b.finish({b.emit(op<"cat">(), values, attr(c, "axis", int64_t(0)))});
}
// Many inputs, each written by an update of its own: an optimiser's step.
inline GraphRef updates(Context& c, size_t nodes) {
    Builder b(c);
    std::vector<std::pair<NodeId, NodeId>> parameters;
    for (size_t k = 0; k < nodes / 4; ++k) parameters.emplace_back(input(b, {SizeId(3 + int64_t(k % 7))}), NodeId());
    for (auto& [p, next] : parameters)
        next = b.emit(op<"sub">(), {p, b.emit(op<"mul">(), {b.emit(op<"tanh">(), {p}), b.literal(0.1, DType::f32)})});
    for (const auto& [p, next] : parameters) b.emit(op<"commit">(), {p, next});
    return b.finish(std::vector<NodeId>{});
}
// Products with elementwise work between them, of which little may join.
inline GraphRef products(Context& c, size_t nodes) {
    Builder b(c);
    NodeId x = input(b, {SizeId(4), SizeId(4)});
    const NodeId w = input(b, {SizeId(4), SizeId(4)});
    for (size_t k = 0; k < nodes / 3; ++k)
        x = b.emit(op<"add">(), {b.emit(op<"tanh">(), {b.emit(op<"matmul">(), {x, w})}), x});
    return b.finish({x});
}
// Movement that nothing takes together.
inline GraphRef movement(Context& c, size_t nodes) {
    Builder b(c);
    NodeId x = input(b, {SizeId(6), SizeId(4)});
    for (size_t k = 0; k < nodes / 2; ++k) {
        const AttrList sizes{SizeId(k % 2 ? 6 : 8), SizeId(k % 2 ? 4 : 3)};
        x = b.emit(op<"reshape">(), {b.emit(op<"flip">(), {x}, attr(c, "axes", AttrList{int64_t(1)}))},
                   attr(c, "sizes", sizes));
    }
    return b.finish({x});
}
// Writes into views of one memory.
inline GraphRef writes(Context& c, size_t nodes) {
    Builder b(c);
    NodeId x = input(b, {SizeId(64)});
    for (size_t k = 0; k < nodes / 3; ++k) {
        const int64_t at = int64_t(k % 60);
        const NodeId view = b.emit(op<"slice">(), {x},
                                   c.attr({{c.name("starts"), AttrList{SizeId(at)}},
                                           {c.name("stops"), AttrList{SizeId(at + 4)}},
                                           {c.name("steps"), AttrList{int64_t(1)}}}));
        x = b.emit(op<"update">(), {x, view, b.emit(op<"tanh">(), {view})});
    }
    return b.finish({x});
}

}  // namespace large_graphs

inline constexpr LargeGraph large_graph_forms[] = {
    {"chain", large_graphs::chain},       {"shared chain", large_graphs::shared_chain},
    {"reductions", large_graphs::reductions}, {"fan-out", large_graphs::fan_out},
    {"fan-in", large_graphs::fan_in},     {"updates", large_graphs::updates},
    {"products", large_graphs::products}, {"movement", large_graphs::movement},
    {"writes", large_graphs::writes},
};

}  // namespace tenon
