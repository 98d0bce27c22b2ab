// specialise: symbols become the constants they are for this variant of a skeleton. Needs nothing; afterwards the kept
// symbols are numbered anew, in order, and every size, type and attribute is written with them.
#include <cassert>
#include <unordered_map>

#include "ir/passes.h"

namespace tenon {

namespace {

class Specialiser {
public:
    Specialiser(const Graph& g, std::span<const int64_t> values, std::span<const bool> keep)
        : graph_(g), context_(*g.context), builder_(context_), image_(g.nodes.size()) {
        assert(values.size() == g.symbols.size() && keep.size() == g.symbols.size());
        for (size_t k = 0, next = 0; k < keep.size(); ++k)
            sizes_.push_back(keep[k] ? context_.symbol(uint32_t(next++)) : context_.constant(values[k]));
        params(g.main());
        for (size_t k = 0; k < keep.size(); ++k)
            if (keep[k]) builder_.symbol(value(g.symbols[k].definer), g.symbols[k].dim, values[k], g.symbols[k].name);
    }
    GraphRef run() {
        for (NodeId id : graph_.body()) node(id);
        std::vector<NodeId> results;
        for (NodeId r : graph_.results()) results.push_back(value(r));
        return builder_.finish(results, graph_.name);
    }

private:
    TypeId type(TypeId id) {
        auto [it, fresh] = types_.try_emplace(id);
        if (!fresh) return it->second;
        Type t = context_[id];
        for (SizeId& size : t.sizes) size = context_.substitute(size, sizes_);
        for (TypeId& element : t.elements) element = type(element);
        const TypeId made = context_.type(std::move(t));
        return types_[id] = made;
    }
    void substitute(AttrValue& v) {
        if (SizeId* size = std::get_if<SizeId>(&v.value)) *size = context_.substitute(*size, sizes_);
        else if (AttrList* list = std::get_if<AttrList>(&v.value))
            for (AttrValue& element : *list) substitute(element);
    }
    AttrId attr(AttrId id) {
        if (!id) return id;
        auto [it, fresh] = attrs_.try_emplace(id);
        if (!fresh) return it->second;
        Record record = context_[id];
        for (AttrEntry& e : record) substitute(e.value);
        return it->second = context_.attr(std::move(record));
    }
    Stamp stamp_of(NodeId id) const { return {graph_.origins[id.index], graph_.metas[id.index], graph_[id].flags}; }
    void params(const Region& region) {
        for (NodeId p : graph_.params(region)) {
            Builder::StampScope scope(builder_, stamp_of(p));
            image_[p.index] = builder_.parameter(type(graph_[p].type), graph_.names[p.index]);
        }
    }
    NodeId value(NodeId id) {
        NodeId& image = image_[id.index];
        if (image) return image;
        const Attributes attributes = graph_.attributes(id);  // only literals and captured tensors are not made yet
        if (graph_[id].op == op<"tensor">())
            return image = builder_.tensor(graph_.tensors[size_t(attributes.integer("index"))]);
        const AttrValue& literal = *attributes.find("value");
        if (const double* x = std::get_if<double>(&literal.value))
            return image = builder_.literal(*x, graph_.type(id).dtype);
        if (const int64_t* i = std::get_if<int64_t>(&literal.value))
            return image = builder_.literal(*i, graph_.type(id).dtype);
        return image = builder_.literal(std::get<bool>(literal.value));
    }
    void node(NodeId id) {
        const Node& n = graph_[id];
        std::vector<NodeId> operands;
        for (NodeId operand : graph_.operands_of(id)) operands.push_back(value(operand));
        Builder::StampScope scope(builder_, stamp_of(id));
        RegionId first;
        for (unsigned k = 0; k < n.regions; ++k) {
            const RegionId opened = builder_.open_region();
            if (k == 0) first = opened;
            const Region& region = graph_.region_of(id, k);
            params(region);
            for (NodeId inner : graph_.body(region)) node(inner);
            std::vector<NodeId> results;
            for (NodeId r : graph_.results(region)) results.push_back(value(r));
            Builder::StampScope yield(builder_, stamp_of(region.yield));
            builder_.close_region(results);
        }
        image_[id.index] = builder_.emit_typed(n.op, type(n.type), operands, attr(n.attr), first, n.regions);
        builder_.set_name(image_[id.index], graph_.names[id.index]);
    }

    const Graph& graph_;
    Context& context_;
    Builder builder_;
    std::vector<NodeId> image_;
    std::vector<SizeId> sizes_;  // what each symbol becomes
    std::unordered_map<TypeId, TypeId> types_;
    std::unordered_map<AttrId, AttrId> attrs_;
};

}  // namespace

GraphRef specialise(const Graph& g, std::span<const int64_t> values, std::span<const bool> keep) {
    return Specialiser(g, values, keep).run();
}

}  // namespace tenon
