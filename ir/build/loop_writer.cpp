#include "ir/build/loop_writer.h"

#include <vector>

#include "ir/loops.h"

namespace tenon {

AttrId LoopWriter::attr(std::initializer_list<std::pair<std::string_view, AttrValue>> entries) {
    Record record;
    for (const auto& [key, value] : entries) record.push_back({context_.name(key), value});
    return context_.attr(std::move(record));
}

NodeId LoopWriter::size(SizeId value) {
    return builder_.emit_typed(op<"extent">(), context_.index(), {}, attr({{"value", value}}));
}

void LoopWriter::loop(std::string_view kind, NodeId low, NodeId high, int64_t step, Body body) {
    const RegionId region = builder_.open_region();
    body(builder_.parameter(context_.index(), context_.name("i")));
    builder_.close_region({});
    builder_.emit_typed(op<"for">(), context_.none(), {low, high},
                        attr({{"kind", context_.name(kind)}, {"step", step}}), region, 1);
}

NodeId LoopWriter::fold(std::string_view by, NodeId low, NodeId high, FunctionRef<NodeId(NodeId)> element,
                        std::string_view order) {
    const RegionId region = builder_.open_region();
    const NodeId value = element(builder_.parameter(context_.index(), context_.name("i")));
    builder_.close_region({value});
    return builder_.emit_typed(op<"fold">(), context_.scalar(builder_.type(value).dtype), {low, high},
                               attr({{"op", context_.name(by)}, {"order", context_.name(order)}}), region, 1);
}

NodeId LoopWriter::scratch(DType dtype, NodeId elements) {
    return builder_.emit(op<"scratch">(), {elements}, attr({{"dtype", dtype}}));
}

void LoopWriter::store(NodeId buffer, NodeId position, NodeId value) {
    builder_.emit(op<"store">(), {buffer, position, value});
}

void LoopWriter::product(const Tile& a, NodeId a_column, const Tile& b, const Tile& c, NodeId m, NodeId n, NodeId k,
                         bool accumulate) {
    builder_.emit(op<"product">(),
                  {a.buffer, a.at, a.row, a_column, b.buffer, b.at, b.row, c.buffer, c.at, c.row, m, n, k},
                  attr({{"accumulate", accumulate}}));
}

void LoopWriter::scatter(NodeId to, NodeId places, NodeId terms, NodeId at, NodeId row, NodeId m, NodeId n) {
    builder_.emit(op<"scatter">(), {to, places, terms, at, row, m, n});
}

}  // namespace tenon
