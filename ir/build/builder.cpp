#include "ir/build/builder.h"

#include <algorithm>
#include <bit>
#include <cassert>

#include "ir/build/copier.h"
#include "ir/build/freeze.h"
#include "ir/build/outline.h"

namespace tenon {

Builder::Builder(Context& context) : context_(&context), sizes_(context) { reset(); }

void Builder::reset() {
    graph_.context = context_;
    graph_.name = {};
    graph_.nodes.clear();
    graph_.operands.clear();
    graph_.bodies.clear();
    graph_.symbols.clear();
    graph_.origins.clear();
    graph_.metas.clear();
    graph_.names.clear();
    graph_.tensors.clear();
    graph_.regions.assign(1, Region{});
    open_.clear();
    open_.push_back({RegionId(0), {}, {}});
    calls_.clear();
    open_call_ = -1;
    stamp_ = {};
    rule_ = {};
    sizes_.clear();
    hash_ = {};
    literals_.clear();
    closed_.clear();
}

Builder Builder::thaw(const Graph& graph) {
    Builder b(*graph.context);
    Copier copy(graph, b);
    copy.copy_params();
    copy.copy_body();
    b.graph_.name = graph.name;
    return b;
}

NodeId Builder::append(Op op, TypeId type, std::span<const NodeId> operands, AttrId attr, RegionId first,
                       unsigned regions, bool in_body) {
    const NodeId id(uint32_t(graph_.nodes.size()));
    Node node;
    node.op = op;
    node.regions = uint8_t(regions);
    node.flags = in_body ? stamp_.flags : 0;
    node.type = type;
    node.attr = attr;
    node.operands = {uint32_t(graph_.operands.size()), uint32_t(operands.size())};
    node.region = first;
    // `operands` may be a view into graph_.operands, which may move.
    std::vector<NodeId>& all = graph_.operands;
    if (all.capacity() - all.size() < operands.size()) {
        const std::vector<NodeId> copy(operands.begin(), operands.end());
        all.reserve(2 * all.capacity() + copy.size());
        all.insert(all.end(), copy.begin(), copy.end());
    } else {
        all.resize(all.size() + operands.size());
        std::copy(operands.begin(), operands.end(), all.end() - ptrdiff_t(operands.size()));
    }
    const std::span<const NodeId> own(all.data() + node.operands.begin, operands.size());
    assert(std::all_of(own.begin(), own.end(), [&](NodeId operand) { return operand.index < id.index; }));
    graph_.nodes.push_back(node);
    graph_.names.push_back({});
    if (in_body) {
        OriginId origin = stamp_.origin;
        if (rule_ && !(*context_)[origin].rule) {
            Origin o = (*context_)[origin];
            o.rule = rule_;
            origin = context_->origin(o);
        }
        graph_.origins.push_back(origin);
        graph_.metas.push_back(stamp_.meta);
        open_.back().body.push_back(id);
    } else {
        graph_.origins.push_back({});
        graph_.metas.push_back({});
    }
    SkeletonHash hash = hash_;
    hash.mix(uint64_t(op.row) << 48 | uint64_t(node.flags) << 40 | uint64_t(regions) << 32 | type.index);
    hash.mix(uint64_t(attr.index) << 32 | graph_.metas.back().index);
    for (size_t k = 0; k < own.size(); k += 2)  // two at a time; no operand has the id none
        hash.mix(uint64_t(k + 1 < own.size() ? own[k + 1].index : NodeId::none().index) << 32 | own[k].index);
    hash_ = hash;
    return id;
}

// ---- inputs and constants -----------------------------------------------------------------------------------------
NodeId Builder::parameter(TypeId type, NameId name) {
    const NodeId id = append(op<"param">(), type, {}, {}, {}, 0, false);
    graph_.metas[id.index] = stamp_.meta;
    graph_.origins[id.index] = stamp_.origin;
    graph_.names[id.index] = name;
    mix(stamp_.meta.index);
    open_.back().params.push_back(id);
    return id;
}

NodeId Builder::literal(Scalar given, DType dtype) {
    AttrValue value;
    LiteralKey key{0, dtype};
    if (dtype == DType::boolean) {
        const bool truth = scalar_as<bool>(given);
        value = AttrValue(truth);
        key.bits = truth;
    } else if (is_float(dtype)) {
        // A literal is rounded to the dtype it has, so that equal literals are one node.
        double number = scalar_as<double>(given);
        if (dtype == DType::f32) number = double(float(number));
        value = AttrValue(number);
        key.bits = std::bit_cast<uint64_t>(number);
    } else {
        const int64_t number = scalar_as<int64_t>(given);
        value = AttrValue(number);
        key.bits = uint64_t(number);
    }
    auto [it, fresh] = literals_.try_emplace(key);
    if (fresh)
        it->second = append(op<"constant">(), context_->tensor(dtype, {}), {},
                            context_->attr({{context_->name("value"), value}}), {}, 0, false);
    return it->second;
}
bool Builder::is_literal(NodeId id) const { return node(id).op == op<"constant">(); }

NodeId Builder::tensor(Tensor value) {
    std::vector<SizeId> sizes;
    for (int64_t extent : value.shape) sizes.push_back(SizeId(extent));
    const TypeId type = context_->tensor(value.dtype, sizes);
    const int64_t index = int64_t(graph_.tensors.size());
    mix(uint64_t(uintptr_t(value.storage.get())));
    graph_.tensors.push_back(std::move(value));
    return append(op<"tensor">(), type, {}, context_->attr({{context_->name("index"), AttrValue(index)}}), {}, 0,
                  false);
}

uint32_t Builder::symbol(NodeId definer, int dim, int64_t hint, NameId name) {
    graph_.symbols.push_back({definer, dim, hint, name});
    sizes_.add_symbol(hint);
    mix(uint64_t(definer.index) << 32 | uint32_t(dim));
    return uint32_t(graph_.symbols.size() - 1);
}

// ---- nodes --------------------------------------------------------------------------------------------------------
NodeId Builder::emit(Op o, NodeList list, AttrId attr) {
    const std::span<const NodeId> operands = list;
    const Row& r = row(o);
    std::array<TypeId, 8> few;
    std::vector<TypeId> many;
    TypeId* types = few.data();
    if (operands.size() > few.size()) {
        many.resize(operands.size());
        types = many.data();
    }
    for (size_t k = 0; k < operands.size(); ++k) types[k] = node(operands[k]).type;
    const std::function<bool(SizeId, SizeId)> same = [this](SizeId a, SizeId b) {
        return sizes_.must_be_equal(a, b, hash_);
    };
    Infer infer{*context_, r.name, o, {types, operands.size()}, attr, {}, &same, sizes_.hints()};
    TypeId type;
    try {
        if (int(operands.size()) < r.min_operands || (r.max_operands >= 0 && int(operands.size()) > r.max_operands))
            infer.fail("arity", std::string(r.name) + " takes " + std::to_string(int(r.min_operands)) +
                                    " operands, but got " + std::to_string(operands.size()));
        type = r.result(infer);
        if (std::find(types, types + operands.size(), type) == types + operands.size())  // else it is decided already
            type = sizes_.decided(type, hash_);
    } catch (Error& e) {
        e.diagnostic.span = (*context_)[stamp_.origin].span;
        for (size_t k = 0; k < operands.size(); ++k) {
            const Span made = (*context_)[graph_.origins[operands[k].index]].span;
            e.diagnostic.labels.push_back(
                {made, (made.source ? "" : "operand " + std::to_string(k) + " is ") + infer.show(types[k])});
        }
        throw;
    }
    return append(o, type, operands, attr, {}, 0, true);
}

NodeId Builder::emit_typed(Op o, TypeId type, NodeList operands, AttrId attr, RegionId first, unsigned regions) {
    if (regions > 0) {
        assert(closed_.size() >= regions);
        const std::span<const RegionId> mine(closed_.data() + closed_.size() - regions, regions);
        assert(mine[0] == first);
        bool consecutive = true;
        for (unsigned k = 0; k < regions; ++k) consecutive &= mine[k].index == first.index + k;
        if (!consecutive) {  // a region between them is nested in one of them: give ours new, consecutive places
            const RegionId moved(uint32_t(graph_.regions.size()));
            for (unsigned k = 0; k < regions; ++k) {
                graph_.regions.push_back(Region(graph_.regions[mine[k].index]));
                for (Region& inner : graph_.regions)
                    if (inner.parent == mine[k]) inner.parent = RegionId(moved.index + k);
            }
            first = moved;
        }
        closed_.resize(closed_.size() - regions);
    }
    return append(o, type, operands, attr, first, regions, true);
}

std::vector<NodeId> Builder::results_of(NodeId id) {
    if (type(id).kind != Type::Kind::tuple) return {id};
    const std::vector<TypeId> types = type(id).elements;
    std::vector<NodeId> results;
    for (size_t k = 0; k < types.size(); ++k)
        results.push_back(emit_typed(op<"get">(), types[k], {id},
                                     context_->attr({{context_->name("index"), AttrValue(int64_t(k))}})));
    return results;
}

RegionId Builder::open_region() {
    const RegionId id(uint32_t(graph_.regions.size()));
    graph_.regions.push_back({});
    graph_.regions.back().parent = open_.back().region;
    open_.push_back({id, {}, {}});
    return id;
}

void Builder::close_region(NodeList results) {
    assert(open_.size() > 1);
    const NodeId yield = append(op<"yield">(), context_->none(), results, {}, {}, 0, false);
    graph_.metas[yield.index] = stamp_.meta;  // the yield of a nested region carries its surroundings
    Open& open = open_.back();
    Region& region = graph_.regions[open.region.index];
    region.params = {uint32_t(graph_.bodies.size()), uint32_t(open.params.size())};
    graph_.bodies.insert(graph_.bodies.end(), open.params.begin(), open.params.end());
    region.body = {uint32_t(graph_.bodies.size()), uint32_t(open.body.size())};
    graph_.bodies.insert(graph_.bodies.end(), open.body.begin(), open.body.end());
    region.yield = yield;
    closed_.push_back(open.region);
    open_.pop_back();
}

// ---- calls of a flat body -----------------------------------------------------------------------------------------
void Builder::begin_call(NameId name, NameId kind, AttrId record) {
    assert(open_.size() == 1);
    const uint32_t at = uint32_t(open_[0].body.size());
    calls_.push_back({name, kind, record, stamp_, at, at, open_call_});
    open_call_ = int32_t(calls_.size() - 1);
    mix(uint64_t(name.index) << 32 | kind.index);
    mix(record.index);
}
void Builder::end_call() {
    assert(open_call_ >= 0);
    CallRange& call = calls_[size_t(open_call_)];
    call.end = uint32_t(open_[0].body.size());
    open_call_ = call.parent;
    mix(call.end);
}

Stamp Builder::stamp_of(NodeId id) const { return {graph_.origins[id.index], graph_.metas[id.index], node(id).flags}; }
void Builder::set_name(NodeId id, NameId name) { graph_.names[id.index] = name; }
void Builder::set_flags(NodeId id, uint8_t flags) {
    if (node(id).flags == flags) return;
    graph_.nodes[id.index].flags = flags;
    mix(uint64_t(id.index) << 8 | flags);
}
void Builder::set_meta(NodeId id, MetaId meta) {
    if (graph_.metas[id.index] == meta) return;
    graph_.metas[id.index] = meta;
    mix(uint64_t(id.index) << 32 | meta.index);
}

// ---- freezing -----------------------------------------------------------------------------------------------------
Liveness Builder::liveness(std::span<const NodeId> results) const {
    Liveness live(graph_);
    live.mark_ordered(body());
    for (NodeId r : results) live.mark(r);
    return live;
}

std::vector<NodeId> Builder::truncate(size_t count) {
    assert(open_.size() == 1 && open_call_ < 0);
    Graph old;
    std::swap(old, graph_);
    const std::vector<SizeEquality> equalities = sizes_.equalities();
    const Open main = std::move(open_[0]);
    const std::vector<CallRange> calls = std::move(calls_);
    reset();
    std::vector<NodeId> image(old.nodes.size());
    Copier copy(old, *this);
    for (NodeId p : main.params) {
        StampScope scope(*this, copy.stamp_of(p));
        copy.map(p, image[p.index] = parameter(old[p].type, old.names[p.index]));
    }
    for (const SizeSymbol& s : old.symbols) symbol(copy(s.definer), s.dim, s.hint, s.name);
    for (const SizeEquality& e : equalities)
        if (!sizes_.equal(e.left, e.right)) sizes_.must_be_equal(e.left, e.right, hash_);
    std::vector<uint32_t> ends;  // of the calls that are open
    size_t next = 0;
    for (uint32_t at = 0; at < count; ++at) {
        for (; !ends.empty() && ends.back() == at; ends.pop_back()) end_call();
        for (; next < calls.size() && calls[next].begin <= at; ++next) {
            if (calls[next].end <= at) continue;  // nothing was captured in it
            StampScope scope(*this, calls[next].stamp);
            begin_call(calls[next].name, calls[next].kind, calls[next].record);
            ends.push_back(calls[next].end);
        }
        image[main.body[at].index] = copy.copy(main.body[at]);
    }
    for (; !ends.empty(); ends.pop_back()) end_call();
    return image;
}

GraphRef Builder::finish(NodeList list, NameId name, bool with_calls, std::vector<NodeId>* kept) {
    assert(open_.size() == 1);
    const std::span<const NodeId> results = list;
    const Open& main = open_.back();
    const Liveness live = liveness(results);
    graph_.name = name;
    graph_.equalities = sizes_.equalities();
    if (!with_calls || calls_.empty()) return freeze(graph_, main.params, main.body, results, live, kept);
    assert(!kept);
    return outline(graph_, main.params, main.body, results, calls_, live);
}

}  // namespace tenon
