#include "ir/differentiate/batching.h"

#include <algorithm>
#include <cassert>

#include "ir/build/copier.h"
#include "ir/build/regions.h"
#include "ir/build/stacks.h"

namespace tenon {

class Batcher {
public:
    Batcher(const Graph& example, const BatchRequest& request)
        : example_(example), request_(request), builder_(*example.context), copy_(example, builder_),
          batched_(example.nodes.size(), false), vmap_(example.context->name("vmap")) {
        builder_.known_sizes().assume_hints(true);
        inputs();
    }

    GraphRef run() {
        for (NodeId id : example_.body()) {
            bool any = row(example_[id].op).own_per_example;
            for (NodeId operand : example_.operands_of(id)) any |= batched_[operand.index];
            if (any) batch(id);
            else copy_.copy(id);
        }
        std::vector<NodeId> results;
        for (size_t k = 0; k < example_.results().size(); ++k) {
            const NodeId result = example_.results()[k];
            Builder::StampScope scope(builder_, copy_.stamp_of(result));
            if (request_.out_axes[k] < 0) {
                assert(!batched_[result.index]);
                results.push_back(copy_(result));
            } else results.push_back(moved(whole(result), 0, size_t(request_.out_axes[k])));
        }
        return builder_.finish(results, example_.name);
    }

private:
    friend class Batching;

    Context& context() { return *example_.context; }

    // ---- inputs
    void inputs() {
        const std::span<const NodeId> params = example_.params();
        std::vector<NodeId> made;
        for (size_t k = 0; k < params.size(); ++k) {
            const int axis = request_.in_axes[k];
            Type type = example_.type(params[k]);
            if (axis >= 0) type.sizes.insert(type.sizes.begin() + axis, request_.size);
            Builder::StampScope scope(builder_, copy_.stamp_of(params[k]));
            made.push_back(builder_.parameter(context().type(std::move(type)), example_.names[params[k].index]));
            copy_.map(params[k], made.back());
        }
        for (const SizeSymbol& s : example_.symbols) {
            NodeId definer;
            int dim = s.dim;
            for (size_t k = 0; s.definer && k < params.size(); ++k) {
                if (params[k] != s.definer) continue;
                definer = made[k];
                dim += request_.in_axes[k] >= 0 && request_.in_axes[k] <= s.dim;
            }
            builder_.symbol(definer, dim, s.hint, s.name);
        }
        builder_.known_sizes().add(example_.equalities);
        for (size_t k = 0; k < params.size(); ++k) {
            if (request_.in_axes[k] < 0) continue;
            batched_[params[k].index] = true;
            Builder::StampScope scope(builder_, copy_.stamp_of(params[k]));
            copy_.map(params[k], moved(made[k], size_t(request_.in_axes[k]), 0));
        }
    }

    // ---- nodes
    void batch(NodeId id) {
        const Row& r = row(example_[id].op);
        Batching batching(*this, id);
        if (!r.batching) batching.fail(std::string(r.no_batching), "compute it outside of the function");
        const size_t before = builder_.size();
        Builder::StampScope scope(builder_, copy_.stamp_of(id));
        builder_.set_origin_rule(vmap_);
        const NodeId made = r.batching(batching);
        builder_.set_origin_rule({});
        if (made.index >= before) builder_.set_name(made, example_.names[id.index]);
        copy_.map(id, made);
        batched_[id.index] = true;
    }
    NodeId whole(NodeId id) {
        const NodeId made = copy_(id);
        if (batched_[id.index]) return made;
        AttrList sizes{request_.size};
        for (SizeId s : example_.type(id).sizes) sizes.push_back(s);
        return builder_.emit(op<"expand">(), {made}, context().attr({{context().name("sizes"), AttrValue(sizes)}}));
    }
    NodeId moved(NodeId value, size_t from, size_t to) {
        if (from == to) return value;
        AttrList axes;
        for (size_t d = 0; d < builder_.type(value).rank(); ++d)
            if (d != from) axes.push_back(int64_t(d));
        axes.insert(axes.begin() + ptrdiff_t(to), AttrValue(int64_t(from)));
        return builder_.emit(op<"permute">(), {value}, context().attr({{context().name("axes"), AttrValue(axes)}}));
    }

    const Graph& example_;
    const BatchRequest& request_;
    Builder builder_;
    Copier copy_;
    std::vector<bool> batched_;
    NameId vmap_;
};

// ---- what a rule sees ---------------------------------------------------------------------------------------------
size_t Batching::operand_count() const { return batcher_.example_.operands_of(node_).size(); }
const Type& Batching::type(size_t k) const { return batcher_.example_.type(batcher_.example_.operand(node_, k)); }
const Type& Batching::result_type() const { return batcher_.example_.type(node_); }
Attributes Batching::attributes() const { return batcher_.example_.attributes(node_); }
AttrId Batching::attr() const { return batcher_.example_[node_].attr; }

bool Batching::batched(size_t k) const {
    return (k == 0 && first_) || batcher_.batched_[batcher_.example_.operand(node_, k).index];
}
NodeId Batching::operand(size_t k) const {
    return k == 0 && first_ ? first_ : batcher_.copy_(batcher_.example_.operand(node_, k));
}
NodeId Batching::whole(size_t k) {
    return k == 0 && first_ ? first_ : batcher_.whole(batcher_.example_.operand(node_, k));
}
NodeId Batching::aligned(size_t k, size_t rank) {
    const NodeId value = operand(k);
    const std::vector<SizeId> own = type(k).sizes;
    if (!batched(k) || own.size() >= rank) return value;
    AttrList sizes{size()};
    sizes.resize(1 + rank - own.size(), AttrValue(SizeId(1)));
    sizes.insert(sizes.end(), own.begin(), own.end());
    return reshape(value, std::move(sizes));
}
NodeId Batching::replay_view(size_t view, size_t base, NodeId new_base) {
    const Graph& example = batcher_.example_;
    std::vector<NodeId> chain;
    for (NodeId id = example.operand(node_, view); id != example.operand(node_, base); id = example.operand(id, 0)) {
        assert(row(example[id].op).lowering == Lowering::movement);
        chain.push_back(id);
    }
    for (size_t k = chain.size(); k-- > 0;) {
        Batching link(batcher_, chain[k], new_base);
        new_base = row(example[chain[k]].op).batching(link);
    }
    return new_base;
}

SizeId Batching::size() const { return batcher_.request_.size; }
AttrList Batching::batch_of(std::span<const SizeId> sizes) const {
    AttrList list{size()};
    list.insert(list.end(), sizes.begin(), sizes.end());
    return list;
}
int64_t Batching::axis_of_batch(std::string_view key) const {
    const int64_t axis = attributes().integer(key);
    return 1 + (axis < 0 ? axis + int64_t(type(0).rank()) : axis);
}
AttrId Batching::with(std::string_view key, AttrValue value) const {
    Record record = context()[attr()];
    for (AttrEntry& entry : record)
        if (context().text(entry.key) == key) entry.value = std::move(value);
    return context().attr(record);
}
AttrId Batching::attr(std::initializer_list<std::pair<std::string_view, AttrValue>> entries) const {
    Record record;
    for (const auto& [key, value] : entries) record.push_back({context().name(key), value});
    return context().attr(record);
}
NodeId Batching::emit(Op o, std::span<const NodeId> operands, AttrId attr) {
    return batcher_.builder_.emit(o, operands, attr);
}
NodeId Batching::again(std::span<const NodeId> operands, AttrId attr) {
    return emit(batcher_.example_[node_].op, operands, attr);
}
NodeId Batching::again(std::span<const NodeId> operands, AttrId attr, std::span<const GraphRef> regions) {
    return emit_with_regions(batcher_.builder_, batcher_.example_[node_].op, operands, regions, attr);
}
std::vector<NodeId> Batching::results_of(NodeId made) { return batcher_.builder_.results_of(made); }
GraphRef Batching::region(unsigned k) const { return extract_region(batcher_.example_, node_, k); }
Builder& Batching::builder() const { return batcher_.builder_; }
NodeId Batching::reshape(NodeId value, AttrList sizes) {
    return emit(op<"reshape">(), {value}, attr({{"sizes", std::move(sizes)}}));
}
NodeId Batching::expand(NodeId value, AttrList sizes) {
    return emit(op<"expand">(), {value}, attr({{"sizes", std::move(sizes)}}));
}
NodeId Batching::permute(NodeId value, AttrList axes) {
    return emit(op<"permute">(), {value}, attr({{"axes", std::move(axes)}}));
}
Context& Batching::context() const { return batcher_.context(); }
const Type& Batching::type_of(NodeId id) const { return batcher_.builder_.type(id); }
void Batching::fail(std::string why, std::string help) const {
    Diagnostic diagnostic;
    diagnostic.kind = "vmap";
    diagnostic.message =
        std::string(row(batcher_.example_[node_].op).name) + " cannot be done for a whole batch: " + why;
    diagnostic.span = batcher_.example_.origin(node_).span;
    diagnostic.help = std::move(help);
    throw Error(std::move(diagnostic));
}

// ---- rows with regions
std::vector<NodeId> inline_graph(Builder& builder, const Graph& graph, std::span<const NodeId> operands) {
    Copier copy(graph, builder);
    for (size_t k = 0; k < operands.size(); ++k) copy.map(graph.params()[k], operands[k]);
    copy.copy_body();
    std::vector<NodeId> results;
    for (NodeId r : graph.results()) results.push_back(copy(r));
    return results;
}
NodeId choose(Builder& builder, NodeId condition, NodeId where_true, NodeId where_false) {
    std::vector<SizeId> sizes{builder.type(condition).sizes[0]};
    sizes.resize(builder.type(where_true).rank(), SizeId(1));
    return builder.emit(op<"where">(), {emit_reshape(builder, condition, sizes), where_true, where_false});
}
NodeId guard(Builder& builder, NodeId condition, bool side, NodeId value) {
    if (!is_float(builder.type(value).dtype)) return value;
    const NodeId still = builder.emit(op<"detach">(), {value});
    return side ? choose(builder, condition, value, still) : choose(builder, condition, still, value);
}

std::vector<bool> differs_per_example(const Graph& region, const std::vector<bool>& parameters) {
    std::vector<bool> differs(region.nodes.size());
    for (size_t k = 0; k < parameters.size(); ++k) differs[region.params()[k].index] = parameters[k];
    for (NodeId id : region.body()) {
        const auto read = region.operands_of(id);
        differs[id.index] = row(region[id].op).own_per_example ||
                            std::any_of(read.begin(), read.end(), [&](NodeId o) { return differs[o.index]; });
    }
    return differs;
}

// ---- shared rules -------------------------------------------------------------------------------------------------
NodeId batch_broadcasting(Batching& b) {
    std::vector<NodeId> operands;
    for (size_t k = 0; k < b.operand_count(); ++k) operands.push_back(b.aligned(k, b.result_type().rank()));
    return b.again(operands, b.attr());
}
NodeId batch_along_axis(Batching& b) { return b.again({b.operand(0)}, b.with("axis", b.axis_of_batch())); }
NodeId batch_along_axes(Batching& b) {
    AttrList axes;
    for (int64_t axis : b.attributes().integers("axes"))
        axes.push_back(1 + (axis < 0 ? axis + int64_t(b.type(0).rank()) : axis));
    return b.again({b.operand(0)}, b.with("axes", std::move(axes)));
}
NodeId batch_whole(Batching& b) {
    std::vector<NodeId> operands;
    for (size_t k = 0; k < b.operand_count(); ++k) operands.push_back(b.whole(k));
    return b.again(operands, b.with("axis", b.axis_of_batch()));
}

GraphRef batch_flat(const Graph& graph, const BatchRequest& request) {
    assert(request.in_axes.size() == graph.params().size() && request.out_axes.size() == graph.results().size());
    return Batcher(graph, request).run();
}

}  // namespace tenon
