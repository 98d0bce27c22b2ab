#include "ir/build/copier.h"

#include <cassert>

#include "ir/row.h"

namespace tenon {

Copier::Copier(const Graph& from, Builder& to, Substitution* substitution)
    : from_(from), to_(to), substitution_(substitution), image_(from.nodes.size()) {}

NodeId Copier::operator()(NodeId id) {
    if (!image_[id.index]) {  // literals and captured tensors are made at their first use
        assert(from_[id].op == op<"constant">() || from_[id].op == op<"tensor">());
        return copy_leaf(id);
    }
    return image_[id.index];
}

Stamp Copier::stamp_of(NodeId id) const { return {from_.origins[id.index], from_.metas[id.index], from_[id].flags}; }

NodeId Copier::copy_leaf(NodeId id) {
    const Attributes attributes = from_.attributes(id);
    NodeId& image = image_[id.index];
    if (from_[id].op == op<"tensor">()) return image = to_.tensor(from_.tensors[size_t(attributes.integer("index"))]);
    const AttrValue& value = *attributes.find("value");
    const DType dtype = from_.type(id).dtype;
    if (const double* x = std::get_if<double>(&value.value)) return image = to_.literal(*x, dtype);
    if (const int64_t* i = std::get_if<int64_t>(&value.value)) return image = to_.literal(*i, dtype);
    return image = to_.literal(std::get<bool>(value.value), dtype);
}

NodeId Copier::copy(NodeId id) {
    const Node& node = from_[id];
    if (node.op == op<"constant">() || node.op == op<"tensor">()) return copy_leaf(id);
    std::vector<NodeId> operands;
    operands.reserve(node.operands.count);
    for (NodeId operand : from_.operands_of(id)) operands.push_back((*this)(operand));
    Builder::StampScope scope(to_, stamp_of(id));
    RegionId first;
    for (unsigned k = 0; k < node.regions; ++k)
        if (const RegionId made = copy_region(from_.region_of(id, k)); k == 0) first = made;
    const TypeId type = substitution_ ? (*substitution_)(node.type) : node.type;
    const AttrId attr = substitution_ ? (*substitution_)(node.attr) : node.attr;
    const NodeId made = to_.emit_typed(node.op, type, operands, attr, first, node.regions);
    to_.set_name(made, from_.names[id.index]);
    return image_[id.index] = made;
}

RegionId Copier::copy_region(const Region& region) {
    const RegionId opened = to_.open_region();
    for (NodeId p : from_.params(region)) copy_parameter(p);
    for (NodeId inner : from_.body(region)) copy(inner);
    std::vector<NodeId> results;
    for (NodeId r : from_.results(region)) results.push_back((*this)(r));
    Builder::StampScope yield(to_, stamp_of(region.yield));
    to_.close_region(results);
    return opened;
}

NodeId Copier::view_from(NodeId base, NodeId update, NodeId view) {
    const auto is_link = [](Op o) { return row(o).lowering == Lowering::movement || row(o).history_of >= 0; };
    NodeId at = view;
    while (at && at != base) at = is_link(to_.node(at).op) ? to_.operands_of(at)[0] : NodeId::none();
    if (at) return view;
    std::vector<NodeId> links;
    const NodeId end = from_.operand(update, replaced_base);
    for (at = from_.operand(update, replaced_view); at != end; at = from_.operand(at, 0)) {
        assert(is_link(from_[at].op) && "the way to a view goes through a call");
        links.push_back(at);
    }
    view = base;
    for (size_t k = links.size(); k-- > 0;) {
        const Node& link = from_[links[k]];
        Builder::StampScope scope(to_, stamp_of(links[k]));
        view = to_.emit_typed(link.op, substitution_ ? (*substitution_)(link.type) : link.type, {view},
                              substitution_ ? (*substitution_)(link.attr) : link.attr);
    }
    return view;
}

NodeId Copier::copy_parameter(NodeId id) {
    Builder::StampScope scope(to_, stamp_of(id));
    const TypeId type = substitution_ ? (*substitution_)(from_[id].type) : from_[id].type;
    return image_[id.index] = to_.parameter(type, from_.names[id.index]);
}

void Copier::copy_params() {
    for (NodeId p : from_.params()) copy_parameter(p);
    for (const SizeSymbol& s : from_.symbols)
        to_.symbol(s.definer ? (*this)(s.definer) : NodeId::none(), s.dim, s.hint, s.name);
    to_.known_sizes().add(from_.equalities);
}

void Copier::copy_body() {
    for (NodeId id : from_.body()) copy(id);
}

GraphRef Copier::finish() {
    std::vector<NodeId> results;
    for (NodeId r : from_.results()) results.push_back((*this)(r));
    return to_.finish(results, from_.name);
}

}  // namespace tenon
