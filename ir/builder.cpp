#include "ir/builder.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <unordered_set>

#include "ir/intern_table.h"

namespace tenon {

Builder::Builder(Context& context) : context_(&context) { reset(); }

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
    hints_.clear();
    guards_.clear();
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

void Builder::mix(uint64_t value) {
    hash_.low = mix_hash(hash_.low, value);
    hash_.high = mix_hash(hash_.high ^ 0x94D049BB133111EBull, value * 0xD6E8FEB86659FD93ull);
}

NodeId Builder::append(Op op, TypeId type, std::span<const NodeId> operands, AttrId attr, RegionId first, unsigned regions,
                       bool in_body) {
    const NodeId id(uint32_t(graph_.nodes.size()));
    Node node;
    node.op = op;
    node.regions = uint8_t(regions);
    node.flags = in_body ? stamp_.flags : 0;
    node.type = type;
    node.attr = attr;
    node.operands = {uint32_t(graph_.operands.size()), uint32_t(operands.size())};
    node.region = first;
    // `operands` may be a view into graph_.operands: copied by index, since the vector may move.
    for (size_t k = 0; k < operands.size(); ++k) {
        assert(operands[k].index < id.index);
        const NodeId operand = operands[k];
        graph_.operands.push_back(operand);
    }
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
    mix(uint64_t(op.row) << 48 | uint64_t(node.flags) << 40 | uint64_t(regions) << 32 | type.index);
    mix(uint64_t(attr.index) << 32 | graph_.metas.back().index);
    for (uint32_t k = 0; k < node.operands.count; ++k) mix(graph_.operands[node.operands.begin + k].index);
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

NodeId Builder::literal(double value, DType dtype) {
    assert(is_float(dtype));
    // A literal is rounded to the dtype it has, so that equal literals are one node.
    if (dtype == DType::f32) value = double(float(value));
    const LiteralKey key{std::bit_cast<uint64_t>(value), dtype};
    auto [it, fresh] = literals_.try_emplace(key);
    if (fresh)
        it->second = append(op<"constant">(), context_->tensor(dtype, {}), {},
                            context_->attr({{context_->name("value"), AttrValue(value)}}), {}, 0, false);
    return it->second;
}
NodeId Builder::literal(int64_t value, DType dtype) {
    if (is_float(dtype)) return literal(double(value), dtype);
    const LiteralKey key{uint64_t(value), dtype};
    auto [it, fresh] = literals_.try_emplace(key);
    if (fresh)
        it->second = append(op<"constant">(), context_->tensor(dtype, {}), {},
                            context_->attr({{context_->name("value"), AttrValue(value)}}), {}, 0, false);
    return it->second;
}
NodeId Builder::literal(bool value) {
    const LiteralKey key{uint64_t(value), DType::boolean};
    auto [it, fresh] = literals_.try_emplace(key);
    if (fresh)
        it->second = append(op<"constant">(), context_->tensor(DType::boolean, {}), {},
                            context_->attr({{context_->name("value"), AttrValue(value)}}), {}, 0, false);
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
    return append(op<"tensor">(), type, {}, context_->attr({{context_->name("index"), AttrValue(index)}}), {}, 0, false);
}

uint32_t Builder::symbol(NodeId definer, int dim, int64_t hint, NameId name) {
    graph_.symbols.push_back({definer, dim, hint, name});
    hints_.push_back(hint);
    mix(uint64_t(definer.index) << 32 | uint32_t(dim));
    return uint32_t(graph_.symbols.size() - 1);
}

// ---- nodes --------------------------------------------------------------------------------------------------------
NodeId Builder::emit(Op o, std::span<const NodeId> operands, AttrId attr) {
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
        if (context_->evaluate(a, hints_) != context_->evaluate(b, hints_)) return false;
        guards_.push_back({a, b, stamp_.origin});
        mix(uint64_t(a.bits));
        mix(uint64_t(b.bits));
        return true;
    };
    Infer infer{*context_, r.name, {types, operands.size()}, attr, {}, assume_hints_ ? &same : nullptr, hints_};
    TypeId type;
    try {
        if (int(operands.size()) < r.min_operands || (r.max_operands >= 0 && int(operands.size()) > r.max_operands))
            infer.fail("arity", std::string(r.name) + " takes " + std::to_string(int(r.min_operands)) + " operands, but got " +
                                    std::to_string(operands.size()));
        type = r.result(infer);
    } catch (Error& e) {
        e.diagnostic.span = (*context_)[stamp_.origin].span;
        for (size_t k = 0; k < operands.size(); ++k) {
            const Span made = (*context_)[graph_.origins[operands[k].index]].span;
            e.diagnostic.labels.push_back({made, (made.source ? "" : "operand " + std::to_string(k) + " is ") + infer.show(types[k])});
        }
        throw;
    }
    return append(o, type, operands, attr, {}, 0, true);
}

NodeId Builder::emit_typed(Op o, TypeId type, std::span<const NodeId> operands, AttrId attr, RegionId first, unsigned regions) {
    if (regions > 0) {
        assert(closed_.size() >= regions);
        const std::span<const RegionId> mine(closed_.data() + closed_.size() - regions, regions);
        assert(mine[0] == first);
        bool consecutive = true;
        for (unsigned k = 0; k < regions; ++k) consecutive &= mine[k].index == first.index + k;
        if (!consecutive) {    // a region between them is nested in one of them: give ours new, consecutive places
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

RegionId Builder::open_region() {
    const RegionId id(uint32_t(graph_.regions.size()));
    graph_.regions.push_back({});
    graph_.regions.back().parent = open_.back().region;
    open_.push_back({id, {}, {}});
    return id;
}

void Builder::close_region(std::span<const NodeId> results) {
    assert(open_.size() > 1);
    const NodeId yield = append(op<"yield">(), context_->none(), results, {}, {}, 0, false);
    graph_.metas[yield.index] = stamp_.meta;    // rule 3: the yield of a nested region carries its surroundings
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

// ---- copying ------------------------------------------------------------------------------------------------------
Copier::Copier(const Graph& from, Builder& to) : from_(from), to_(to), image_(from.nodes.size()) {}

NodeId Copier::operator()(NodeId id) const {
    if (!image_[id.index]) {    // literals and captured tensors are made at their first use
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
    for (const SizeSymbol& s : from_.symbols)
        to_.symbol(image_[s.definer.index], s.dim, s.hint, s.name);
}

void Copier::copy_body() {
    for (NodeId id : from_.body()) copy(id);
}

// ---- freezing -----------------------------------------------------------------------------------------------------
namespace {

// Marks what results and ordered nodes need, within a graph whose main region is the given body.
class Liveness {
public:
    explicit Liveness(const Graph& g) : graph_(g), live_(g.nodes.size(), false) {}
    bool operator[](NodeId id) const { return live_[id.index]; }
    void ordered(std::span<const NodeId> body) {
        for (NodeId id : body)
            if (row(graph_[id].op).effect == Effect::ordered) mark(id);
    }
    void mark(NodeId root) {
        stack_.push_back(root);
        while (!stack_.empty()) {
            const NodeId id = stack_.back();
            stack_.pop_back();
            if (live_[id.index]) continue;
            live_[id.index] = true;
            for (NodeId operand : graph_.operands_of(id)) stack_.push_back(operand);
            for (unsigned k = 0; k < graph_[id].regions; ++k) {
                const Region& region = graph_.region_of(id, k);
                stack_.push_back(region.yield);
                for (NodeId inner : graph_.body(region))
                    if (row(graph_[inner].op).effect == Effect::ordered) stack_.push_back(inner);
            }
        }
    }

private:
    const Graph& graph_;
    std::vector<bool> live_;
    std::vector<NodeId> stack_;
};

// Writes live nodes into a fresh graph in canonical order: a region's params, then its body, each node after the nodes
// of its regions; a literal or captured tensor just before its first use.
class Freezer {
public:
    Freezer(const Graph& from, const Liveness& live) : from_(from), live_(live), image_(from.nodes.size()) {
        to_ = std::make_shared<Graph>();
        to_->context = from.context;
        to_->name = from.name;
        to_->regions.push_back({});
    }
    void region(RegionId into, RegionId parent, std::span<const NodeId> params, std::span<const NodeId> body,
                std::span<const NodeId> results, MetaId yield_meta) {
        std::vector<NodeId> kept_params, kept_body;
        for (NodeId p : params) kept_params.push_back(node(p));
        for (NodeId id : body)
            if (live_[id]) kept_body.push_back(node(id));
        std::vector<NodeId> values;
        for (NodeId r : results) values.push_back(value(r));
        const NodeId yield = push({op<"yield">(), 0, 0, from_.context->none(), {}, {}, {}}, values, {}, yield_meta, {});
        Region& made = to_->regions[into.index];
        made.parent = parent;
        made.params = {uint32_t(to_->bodies.size()), uint32_t(kept_params.size())};
        to_->bodies.insert(to_->bodies.end(), kept_params.begin(), kept_params.end());
        made.body = {uint32_t(to_->bodies.size()), uint32_t(kept_body.size())};
        to_->bodies.insert(to_->bodies.end(), kept_body.begin(), kept_body.end());
        made.yield = yield;
    }
    std::shared_ptr<Graph> take() {
        for (const SizeSymbol& s : from_.symbols) to_->symbols.push_back({image_[s.definer.index], s.dim, s.hint, s.name});
        give_names();
        return std::move(to_);
    }
    const std::vector<NodeId>& image() const { return image_; }

private:
    NodeId push(Node node, std::span<const NodeId> operands, OriginId origin, MetaId meta, NameId name) {
        const NodeId id(uint32_t(to_->nodes.size()));
        node.operands = {uint32_t(to_->operands.size()), uint32_t(operands.size())};
        to_->operands.insert(to_->operands.end(), operands.begin(), operands.end());
        to_->nodes.push_back(node);
        to_->origins.push_back(origin);
        to_->metas.push_back(meta);
        to_->names.push_back(name);
        return id;
    }
    NodeId value(NodeId id) { return image_[id.index] ? image_[id.index] : node(id); }
    NodeId node(NodeId id) {
        Node copy = from_[id];
        if (copy.op == op<"tensor">()) {    // captured tensors are numbered by first use
            copy.attr = from_.context->attr({{from_.context->name("index"), AttrValue(int64_t(to_->tensors.size()))}});
            to_->tensors.push_back(from_.tensors[size_t(from_.attributes(id).integer("index"))]);
        }
        std::vector<NodeId> operands;
        for (NodeId operand : from_.operands_of(id)) operands.push_back(value(operand));
        if (copy.regions > 0) {
            const RegionId first(uint32_t(to_->regions.size()));
            to_->regions.resize(to_->regions.size() + copy.regions);
            for (unsigned k = 0; k < copy.regions; ++k) {
                const Region& inner = from_.region_of(id, k);
                region(RegionId(first.index + k), RegionId(0), from_.params(inner), from_.body(inner), from_.results(inner),
                       from_.metas[inner.yield.index]);
            }
            copy.region = first;
        }
        return image_[id.index] = push(copy, operands, from_.origins[id.index], from_.metas[id.index], from_.names[id.index]);
    }
    // sin, sin_1, …: the op's own name with a counter, in canonical order; names given before are kept.
    void give_names() {
        Context& context = *from_.context;
        std::unordered_set<NameId> taken;
        std::unordered_map<NameId, int> counters;
        const auto fresh = [&](NameId base) {
            NameId name = base;
            int& k = counters[base];
            while (!taken.insert(name).second) name = context.name(std::string(context.text(base)) + "_" + std::to_string(++k));
            return name;
        };
        std::vector<uint32_t> unnamed;
        for (uint32_t i = 0; i < to_->nodes.size(); ++i) {
            const Op o = to_->nodes[i].op;
            if (o == op<"constant">() || o == op<"tensor">() || o == op<"yield">()) continue;
            if (to_->names[i]) to_->names[i] = fresh(to_->names[i]);
            else unnamed.push_back(i);
        }
        const NameId input = context.name("arg");
        for (uint32_t i : unnamed) {
            const Op o = to_->nodes[i].op;
            to_->names[i] = fresh(o == op<"param">() ? input : context.name(row(o).name));
        }
        for (uint32_t i = 0; i < to_->nodes.size(); ++i)    // parents of nested regions
            for (unsigned k = 0; k < to_->nodes[i].regions; ++k) {
                Region& r = to_->regions[to_->nodes[i].region.index + k];
                for (uint32_t b = 0; b < r.body.count; ++b) {
                    const Node& inner = to_->nodes[to_->bodies[r.body.begin + b].index];
                    for (unsigned j = 0; j < inner.regions; ++j)
                        to_->regions[inner.region.index + j].parent = RegionId(to_->nodes[i].region.index + k);
                }
            }
    }

    const Graph& from_;
    const Liveness& live_;
    std::shared_ptr<Graph> to_;
    std::vector<NodeId> image_;
};

// Rebuilds a flat body with its call ranges as `call` nodes: what the range reads from outside becomes operands and
// parameters, what others read of it becomes its results.
class Outliner {
public:
    Outliner(const Graph& g, std::span<const NodeId> params, std::span<const NodeId> body, std::span<const NodeId> results,
             const std::vector<CallRange>& calls, const Liveness& live)
        : graph_(g), body_(body), results_(results), calls_(calls), live_(live), builder_(*g.context), copy_(g, builder_),
          position_(g.nodes.size(), UINT32_MAX), last_use_(g.nodes.size(), 0) {
        for (uint32_t i = 0; i < body.size(); ++i) {
            position_[body[i].index] = i;
            if (live[body[i]]) visit_uses(body[i], i);
        }
        for (NodeId r : results) last_use_[r.index] = uint32_t(body.size());
        for (NodeId p : params) {
            Builder::StampScope scope(builder_, copy_.stamp_of(p));
            copy_.map(p, builder_.parameter(g[p].type, g.names[p.index]));
        }
        for (const SizeSymbol& s : g.symbols) builder_.symbol(copy_(s.definer), s.dim, s.hint, s.name);
    }
    GraphRef run(NameId name) {
        range(0, uint32_t(body_.size()), -1);
        std::vector<NodeId> out;
        for (NodeId r : results_) out.push_back(copy_(r));
        return builder_.finish(out, name);
    }

private:
    void visit_uses(NodeId id, uint32_t at) {
        for (NodeId operand : graph_.operands_of(id)) last_use_[operand.index] = std::max(last_use_[operand.index], at);
    }
    void range(uint32_t begin, uint32_t end, int32_t parent) {
        for (uint32_t i = begin; i < end;) {
            const auto call = std::find_if(calls_.begin(), calls_.end(), [&](const CallRange& c) {
                return c.begin == i && c.end > i && c.parent == parent && !done_.contains(&c);
            });
            if (call != calls_.end()) {
                done_.insert(&*call);
                outline(*call, int32_t(call - calls_.begin()));
                i = call->end;
            } else {
                if (live_[body_[i]]) copy_.copy(body_[i]);
                ++i;
            }
        }
    }
    void outline(const CallRange& call, int32_t index) {
        Context& context = builder_.context();
        std::vector<NodeId> inputs, outputs;
        bool any = false;
        for (uint32_t i = call.begin; i < call.end; ++i) {
            if (!live_[body_[i]]) continue;
            any = true;
            for (NodeId operand : graph_.operands_of(body_[i])) {
                const Op o = graph_[operand].op;
                if (o == op<"constant">() || o == op<"tensor">()) continue;
                const uint32_t at = position_[operand.index];
                const bool outside = at == UINT32_MAX || at < call.begin;
                if (outside && std::find(inputs.begin(), inputs.end(), operand) == inputs.end()) inputs.push_back(operand);
            }
            if (last_use_[body_[i].index] >= call.end) outputs.push_back(body_[i]);
        }
        if (!any) return;
        Builder::StampScope scope(builder_, call.stamp);
        std::vector<NodeId> operands, saved;
        for (NodeId input : inputs) {
            saved.push_back(copy_(input));
            operands.push_back(saved.back());
        }
        const RegionId region = builder_.open_region();
        for (NodeId input : inputs) copy_.map(input, builder_.parameter(graph_[input].type));
        range(call.begin, call.end, index);
        std::vector<NodeId> yielded;
        std::vector<TypeId> types;
        for (NodeId output : outputs) {
            yielded.push_back(copy_(output));
            types.push_back(graph_[output].type);
        }
        builder_.close_region(yielded);
        for (size_t k = 0; k < inputs.size(); ++k) copy_.map(inputs[k], saved[k]);
        Record record{{context.name("name"), AttrValue(call.name)}, {context.name("kind"), AttrValue(call.kind)}};
        for (const AttrEntry& e : context[call.record]) record.push_back(e);
        const TypeId type = types.size() == 1 ? types[0] : context.tuple(types);
        const NodeId node = builder_.emit_typed(op<"call">(), type, operands, context.attr(std::move(record)), region, 1);
        if (outputs.size() == 1) copy_.map(outputs[0], node);
        else
            for (size_t k = 0; k < outputs.size(); ++k)
                copy_.map(outputs[k], builder_.emit_typed(op<"get">(), types[k], {node},
                                                          context.attr({{context.name("index"), AttrValue(int64_t(k))}})));
    }

    const Graph& graph_;
    std::span<const NodeId> body_, results_;
    const std::vector<CallRange>& calls_;
    const Liveness& live_;
    Builder builder_;
    Copier copy_;
    std::vector<uint32_t> position_, last_use_;
    std::unordered_set<const CallRange*> done_;
};

}    // namespace

GraphRef Builder::finish(std::span<const NodeId> results, NameId name, bool outline, std::vector<NodeId>* kept) {
    assert(open_.size() == 1);
    const Open& main = open_.back();
    Liveness live(graph_);
    live.ordered(main.body);
    for (NodeId r : results) live.mark(r);
    graph_.name = name;
    if (outline && !calls_.empty()) {
        assert(!kept);
        return Outliner(graph_, main.params, main.body, results, calls_, live).run(name);
    }
    Freezer freezer(graph_, live);
    freezer.region(RegionId(0), RegionId::none(), main.params, main.body, results, MetaId::none());
    if (kept) *kept = freezer.image();
    return freezer.take();
}

}    // namespace tenon
