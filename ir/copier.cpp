#include <cassert>

#include "ir/builder.h"

namespace tenon {

Copier::Copier(const Graph& from, Builder& to) : from_(from), to_(to), image_(from.nodes.size()) {}

NodeId Copier::operator()(NodeId id) const {
    if (!image_[id.index]) {  // literals and captured tensors are made at their first use
        assert(from_[id].op == op<"constant">() || from_[id].op == op<"tensor">());
        return const_cast<Copier*>(this)->copy(id);
    }
    return image_[id.index];
}

Stamp Copier::stamp_of(NodeId id) const { return {from_.origins[id.index], from_.metas[id.index], from_[id].flags}; }

NodeId Copier::copy(NodeId id) {
    const Node& node = from_[id];
    if (node.op == op<"constant">()) {
        const AttrValue& value = *from_.attributes(id).find("value");
        const DType dtype = from_.type(id).dtype;
        NodeId made;
        if (const double* x = std::get_if<double>(&value.value)) made = to_.literal(*x, dtype);
        else if (const int64_t* i = std::get_if<int64_t>(&value.value)) made = to_.literal(*i, dtype);
        else made = to_.literal(std::get<bool>(value.value));
        return image_[id.index] = made;
    }
    if (node.op == op<"tensor">())
        return image_[id.index] = to_.tensor(from_.tensors[size_t(from_.attributes(id).integer("index"))]);

    std::vector<NodeId> operands;
    operands.reserve(node.operands.count);
    for (NodeId operand : from_.operands_of(id)) operands.push_back((*this)(operand));
    Builder::StampScope scope(to_, stamp_of(id));
    RegionId first;
    for (unsigned k = 0; k < node.regions; ++k) {
        const RegionId opened = to_.open_region();
        if (k == 0) first = opened;
        const Region& region = from_.region_of(id, k);
        for (NodeId p : from_.params(region)) {
            Builder::StampScope param(to_, stamp_of(p));
            image_[p.index] = to_.parameter(from_[p].type, from_.names[p.index]);
        }
        for (NodeId inner : from_.body(region)) copy(inner);
        std::vector<NodeId> results;
        for (NodeId r : from_.results(region)) results.push_back((*this)(r));
        Builder::StampScope yield(to_, stamp_of(region.yield));
        to_.close_region(results);
    }
    const NodeId made = to_.emit_typed(node.op, node.type, operands, node.attr, first, node.regions);
    to_.set_name(made, from_.names[id.index]);
    return image_[id.index] = made;
}

void Copier::copy_params() {
    for (NodeId p : from_.params()) {
        Builder::StampScope scope(to_, stamp_of(p));
        image_[p.index] = to_.parameter(from_[p].type, from_.names[p.index]);
    }
    for (const SizeSymbol& s : from_.symbols) to_.symbol(image_[s.definer.index], s.dim, s.hint, s.name);
}

void Copier::copy_body() {
    for (NodeId id : from_.body()) copy(id);
}

}  // namespace tenon
