#include "ir/build/stacks.h"

#include "ir/row.h"

namespace tenon {

static AttrList list_of(std::span<const SizeId> sizes) { return AttrList(sizes.begin(), sizes.end()); }

static NodeId emit(Builder& builder, Op o, NodeId operand,
                   std::initializer_list<std::pair<std::string_view, AttrValue>> entries) {
    Record record;
    for (const auto& [key, value] : entries) record.push_back({builder.context().name(key), value});
    const std::array<NodeId, 1> operands{operand};
    return builder.emit(o, operands, builder.context().attr(record));
}

NodeId emit_element(Builder& builder, NodeId tuple, size_t index) {
    return emit(builder, op<"get">(), tuple, {{"index", AttrValue(int64_t(index))}});
}

NodeId emit_reshape(Builder& builder, NodeId value, std::span<const SizeId> sizes) {
    return emit(builder, op<"reshape">(), value, {{"sizes", list_of(sizes)}});
}

NodeId emit_filled(Builder& builder, Scalar number, const Type& like) {
    const std::vector<SizeId> sizes = like.sizes;
    const NodeId literal = builder.literal(number, like.dtype);
    return sizes.empty() ? literal : emit(builder, op<"full">(), literal, {{"sizes", list_of(sizes)}});
}

NodeId emit_part(Builder& builder, NodeId stack, SizeId start, SizeId count) {
    const std::vector<SizeId> all = builder.type(stack).sizes;
    if (start == SizeId(0) && count == all[0]) return stack;
    AttrList starts{AttrValue(start)}, steps{AttrValue(int64_t{1})}, sizes{AttrValue(count)},
        stops{AttrValue(builder.context().add(start, count))};
    for (size_t d = 1; d < all.size(); ++d) {
        starts.push_back(AttrValue(int64_t{0}));
        steps.push_back(AttrValue(int64_t{1}));
        stops.push_back(AttrValue(all[d]));
        sizes.push_back(AttrValue(all[d]));
    }
    return emit(builder, op<"slice">(), stack,
                {{"starts", starts}, {"stops", stops}, {"steps", steps}, {"sizes", sizes}});
}

NodeId emit_slice_of(Builder& builder, NodeId stack, SizeId place) {
    const std::vector<SizeId> sizes(builder.type(stack).sizes.begin() + 1, builder.type(stack).sizes.end());
    return emit_reshape(builder, emit_part(builder, stack, place, SizeId(1)), sizes);
}

NodeId emit_as_stack(Builder& builder, NodeId value) {
    std::vector<SizeId> sizes = builder.type(value).sizes;
    sizes.insert(sizes.begin(), SizeId(1));
    return emit_reshape(builder, value, sizes);
}

NodeId emit_cat(Builder& builder, NodeList list) {
    const std::span<const NodeId> parts = list;
    if (parts.size() == 1) return parts[0];
    return builder.emit(op<"cat">(), parts,
                        builder.context().attr({{builder.context().name("axis"), AttrValue(int64_t{0})}}));
}

}  // namespace tenon
