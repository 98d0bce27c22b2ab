#include "ir/build/substitution.h"

namespace tenon {

TypeId Substitution::operator()(TypeId id) {
    const auto known = types_.find(id);
    if (known != types_.end()) return known->second;
    Type type = context_[id];
    for (SizeId& size : type.sizes) size = context_.substitute(size, symbols_);
    for (TypeId& element : type.elements) element = (*this)(element);
    return types_[id] = context_.type(std::move(type));
}

AttrId Substitution::operator()(AttrId id) {
    if (!id) return id;
    const auto [known, fresh] = attrs_.try_emplace(id);
    if (!fresh) return known->second;
    Record record = context_[id];
    for (AttrEntry& entry : record) replace(entry.value);
    return known->second = context_.attr(std::move(record));
}

void Substitution::replace(AttrValue& value) {
    if (auto* size = std::get_if<SizeId>(&value.value)) *size = context_.substitute(*size, symbols_);
    else if (auto* list = std::get_if<AttrList>(&value.value))
        for (AttrValue& element : *list) replace(element);
}

static void mark_symbols(const Context& context, const AttrValue& value, std::vector<bool>& marks) {
    if (const SizeId* size = std::get_if<SizeId>(&value.value)) {
        for (uint32_t k : context.symbols_of(*size)) marks[k] = true;
    } else if (const AttrList* list = std::get_if<AttrList>(&value.value)) {
        for (const AttrValue& item : *list) mark_symbols(context, item, marks);
    }
}

static void mark_symbols(const Context& context, TypeId type, std::vector<bool>& marks) {
    for (SizeId size : context[type].sizes)
        for (uint32_t k : context.symbols_of(size)) marks[k] = true;
    for (TypeId element : context[type].elements) mark_symbols(context, element, marks);
}

void mark_symbols(const Graph& graph, NodeId id, std::vector<bool>& marks) {
    const Context& context = *graph.context;
    mark_symbols(context, graph[id].type, marks);
    if (graph[id].attr)
        for (const AttrEntry& entry : context[graph[id].attr]) mark_symbols(context, entry.value, marks);
    for (unsigned k = 0; k < graph[id].regions; ++k)
        for (NodeId inner : graph.body(graph.region_of(id, k))) mark_symbols(graph, inner, marks);
}

}  // namespace tenon
