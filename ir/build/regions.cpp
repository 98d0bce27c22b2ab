#include "ir/build/regions.h"

#include <algorithm>
#include <cassert>

#include "ir/build/copier.h"
#include "ir/row.h"

namespace tenon {

namespace {

bool has_isolated(const Graph& graph, NodeId id) { return row(graph[id].op).regions > 0; }

// Writes a graph as the region that is opened for it.
void write_region(Builder& builder, const Graph& graph) {
    Copier copy(graph, builder);
    for (NodeId p : graph.params()) copy.copy_parameter(p);
    copy.copy_body();
    std::vector<NodeId> results;
    for (NodeId r : graph.results()) results.push_back(copy(r));
    builder.close_region(results);
}

RegionId write_regions(Builder& builder, std::span<const GraphRef> regions) {
    RegionId first;
    for (size_t k = 0; k < regions.size(); ++k) {
        const RegionId opened = builder.open_region();
        if (k == 0) first = opened;
        write_region(builder, *regions[k]);
    }
    return first;
}

}  // namespace

static GraphRef extract(const Graph& graph, std::span<const SizeEquality> equalities, NodeId id, unsigned k) {
    assert(has_isolated(graph, id));
    const Region& region = graph.region_of(id, k);
    Builder builder(*graph.context);
    Copier copy(graph, builder);
    for (NodeId p : graph.params(region)) copy.copy_parameter(p);
    for (uint32_t s = 0; s < graph.symbols.size(); ++s) {
        NodeId definer;
        int dim = defined_around;
        for (NodeId p : builder.params()) {
            const std::vector<SizeId>& sizes = builder.type(p).sizes;
            const auto at = std::find(sizes.begin(), sizes.end(), graph.context->symbol(s));
            if (definer || at == sizes.end()) continue;
            definer = p;
            dim = int(at - sizes.begin());
        }
        builder.symbol(definer, dim, graph.symbols[s].hint, graph.symbols[s].name);
    }
    builder.known_sizes().add(equalities);
    for (NodeId inner : graph.body(region)) copy.copy(inner);
    std::vector<NodeId> results;
    for (NodeId r : graph.results(region)) results.push_back(copy(r));
    const std::string_view own = graph.names[id.index] ? graph.name_of(id) : row(graph[id].op).name;
    const std::string name = std::string(graph.context->text(graph.name)) + (graph.name ? "." : "") + std::string(own);
    return builder.finish(results, graph.context->name(name));
}

GraphRef extract_region(const Graph& graph, NodeId id, unsigned k) { return extract(graph, graph.equalities, id, k); }
GraphRef extract_region(const Builder& builder, NodeId id, unsigned k) {
    return extract(builder.graph_, builder.sizes_.equalities(), id, k);
}

// What a region gets has the sizes that it was written for.
static void same_parameters(Builder& builder, Op o, std::span<const TypeId> operands, AttrId attr,
                            std::span<const GraphRef> regions, const std::function<bool(SizeId, SizeId)>& same) {
    const Row& r = row(o);
    Infer infer{builder.context(), r.name, o, operands, attr, {}, &same, builder.known_sizes().hints()};
    for (unsigned k = 0; k < regions.size(); ++k) {
        const std::vector<TypeId> types = r.parameters(infer, k);
        const auto params = regions[k]->params();
        assert(types.size() == params.size());
        for (size_t p = 0; p < params.size(); ++p) {
            const std::vector<SizeId>&given = builder.context()[types[p]].sizes,
                  &has = regions[k]->type(params[p]).sizes;
            assert(given.size() == has.size());
            for (size_t d = 0; d < has.size(); ++d)
                if (given[d] != has[d]) same(given[d], has[d]);
        }
    }
}

NodeId emit_with_regions(Builder& builder, Op o, NodeList list, std::span<const GraphRef> regions, AttrId attr) {
    const std::span<const NodeId> operands = list;
    const Row& r = row(o);
    assert(r.regions > 0 && regions.size() == size_t(r.regions));
    Context& context = builder.context();
    std::vector<TypeId> types, results;
    std::vector<size_t> sizes;
    for (NodeId operand : operands) types.push_back(builder.node(operand).type);
    for (const GraphRef& region : regions) {
        for (NodeId result : region->results()) results.push_back((*region)[result].type);
        sizes.push_back(region->results().size());
    }
    const std::function<bool(SizeId, SizeId)> same = [&](SizeId a, SizeId b) {
        return builder.sizes_.must_be_equal(a, b, builder.hash_);
    };
    for (const GraphRef& region : regions)
        for (const SizeEquality& e : region->equalities) same(e.left, e.right);
    same_parameters(builder, o, types, attr, regions, same);
    Infer infer{context, r.name, o, types, attr, results, &same, builder.known_sizes().hints(), sizes};
    const TypeId type = r.result(infer);
    return emit_typed_with_regions(builder, o, type, operands, regions, attr);
}

NodeId emit_typed_with_regions(Builder& builder, Op o, TypeId type, NodeList operands,
                               std::span<const GraphRef> regions, AttrId attr) {
    // A region's nodes keep their places and metadata; whether they are computed again is their node's matter.
    const RegionId first = write_regions(builder, regions);
    return builder.emit_typed(o, type, operands, attr, first, unsigned(regions.size()));
}

GraphRef with_symbols_around(const Graph& region) {
    Builder builder(*region.context);
    Copier copy(region, builder);
    for (NodeId p : region.params()) copy.copy_parameter(p);
    for (const SizeSymbol& s : region.symbols) builder.symbol(NodeId::none(), defined_around, s.hint, s.name);
    builder.known_sizes().add(region.equalities);
    copy.copy_body();
    return copy.finish();
}

GraphRef with_sizes(const Graph& region, Substitution& sizes) {
    Builder builder(*region.context);
    Copier copy(region, builder, &sizes);
    for (NodeId p : region.params()) copy.copy_parameter(p);
    copy.copy_body();
    return copy.finish();
}

bool has_isolated_regions(const Graph& graph) {
    return std::any_of(graph.body().begin(), graph.body().end(), [&](NodeId id) { return has_isolated(graph, id); });
}

GraphRef map_regions(const Graph& graph, const std::function<bool(NodeId)>& are_changed,
                     const std::function<GraphRef(const GraphRef&)>& change) {
    Builder builder(*graph.context);
    Copier copy(graph, builder);
    copy.copy_params();
    for (NodeId id : graph.body()) {
        if (!has_isolated(graph, id) || !are_changed(id)) {
            copy.copy(id);
            continue;
        }
        std::vector<NodeId> operands;
        for (NodeId operand : graph.operands_of(id)) operands.push_back(copy(operand));
        std::vector<GraphRef> regions;
        for (unsigned k = 0; k < graph[id].regions; ++k) regions.push_back(change(extract_region(graph, id, k)));
        Builder::StampScope scope(builder, copy.stamp_of(id));
        const NodeId made =
            emit_typed_with_regions(builder, graph[id].op, graph[id].type, operands, regions, graph[id].attr);
        builder.set_name(made, graph.names[id.index]);
        copy.map(id, made);
    }
    return copy.finish();
}

}  // namespace tenon
