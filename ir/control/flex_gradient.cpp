// The gradients of flex_attention: the first by a row of its own, which is given the derivative of the score as one region
// more; the second through matrices of scores, in which what that row means is written out and differentiated.
#include <algorithm>
#include <array>

#include "ir/build/copier.h"
#include "ir/build/regions.h"
#include "ir/build/stacks.h"
#include "ir/differentiate/batching.h"
#include "ir/differentiate/gradient.h"
#include "ir/differentiate/regions.h"
#include "ir/ops/attention.h"
#include "ir/ops/attention_pairs.h"
#include "ir/passes/passes.h"
#include "ir/row.h"

namespace tenon {

namespace {

using Entries = std::initializer_list<std::pair<std::string_view, AttrValue>>;

// Ordinary ops, by a builder.
class Writer {
public:
    explicit Writer(Builder& builder) : b(builder) {}
    AttrId attr(Entries entries) const {
        Record record;
        for (const auto& [key, value] : entries) record.push_back({b.context().name(key), value});
        return b.context().attr(std::move(record));
    }
    NodeId apply(Op o, std::initializer_list<NodeId> operands, Entries entries = {}) {
        return b.emit(o, std::span(operands.begin(), operands.size()), attr(entries));
    }
    NodeId reshape(NodeId x, std::initializer_list<SizeId> sizes) {
        return emit_reshape(b, x, std::span(sizes.begin(), sizes.size()));
    }
    NodeId sum(NodeId x, std::initializer_list<int64_t> axes) {
        AttrList list;
        for (int64_t axis : axes) list.push_back(AttrValue(axis));
        return apply(op<"sum">(), {x}, {{"axes", std::move(list)}, {"keepdim", false}});
    }
    NodeId transposed(NodeId x) {
        return apply(op<"permute">(), {x}, {{"axes", AttrList{int64_t{0}, int64_t{1}, int64_t{3}, int64_t{2}}}});
    }
    NodeId number(double value, NodeId like) { return b.literal(value, b.type(like).dtype); }
    NodeId whole(int64_t value) { return b.literal(value, DType::i64); }

    Builder& b;
};

// ---- the joint region
// Of a score function: the cotangent of s, and of each read its element's and where it lies.
struct JointScore {
    GraphRef region;
    std::vector<attention::PairRead> reads;
};

// The function with an element that it reads as a parameter more each.
GraphRef with_reads_given(const Graph& score, std::span<const attention::PairRead> reads) {
    Builder builder(*score.context);
    Copier copy(score, builder);
    for (NodeId p : score.params()) copy.copy_parameter(p);
    for (const SizeSymbol& s : score.symbols) builder.symbol(NodeId::none(), defined_around, s.hint, s.name);
    builder.known_sizes().add(score.equalities);
    std::vector<bool> is_read(score.nodes.size());
    for (const attention::PairRead& read : reads) {
        copy.map(read.value, builder.parameter(score[read.value].type));
        is_read[read.value.index] = true;
    }
    for (NodeId id : score.body())
        if (!is_read[id.index]) copy.copy(id);
    return copy.finish();
}

JointScore joint_score(const Graph& score, const std::vector<bool>& wanted) {
    JointScore made;
    made.reads = attention::reads_of(score, wanted);
    const size_t own = score.params().size();
    const GraphRef given = with_reads_given(score, made.reads);
    std::vector<size_t> wrt{0};
    for (size_t k = 0; k < made.reads.size(); ++k) wrt.push_back(own + k);
    const std::array<size_t, 1> results{0};
    const Joint joint = make_joint(*given, results, wrt, std::vector<bool>(wrt.size()), true);

    Builder builder(*score.context);
    const Stamp stamp{score.origins[score.params()[0].index], score.metas[score.params()[0].index], 0};
    const Builder::StampScope scope(builder, stamp);
    Copier forward(score, builder), backward(*joint.graph, builder);
    for (NodeId p : score.params()) forward.copy_parameter(p);
    const NodeId cotangent = builder.parameter(score[score.params()[0]].type, score.context->name("grad"));
    for (const SizeSymbol& s : score.symbols) builder.symbol(NodeId::none(), defined_around, s.hint, s.name);
    builder.known_sizes().add(score.equalities);
    forward.copy_body();
    const auto params = joint.graph->params();
    for (size_t k = 0; k < own; ++k) backward.map(params[k], forward(score.params()[k]));
    for (size_t k = 0; k < made.reads.size(); ++k) backward.map(params[own + k], forward(made.reads[k].value));
    backward.map(params.back(), cotangent);
    for (NodeId id : joint.graph->body()) {  // a sum at a fan-out has no metadata but that of its surroundings, here
        const NodeId image = backward.copy(id);
        if (!joint.graph->metas[id.index]) builder.set_meta(image, stamp.meta);
    }
    std::vector<NodeId> out;
    for (size_t k = 0, next = joint.outputs; k < wrt.size(); ++k) {
        out.push_back(joint.reached[k] ? backward(joint.graph->results()[next++])
                                       : builder.literal(0.0, builder.type(cotangent).dtype));
        if (k > 0) out.push_back(attention::emit_place(builder, score, forward, made.reads[k - 1]));
    }
    made.region = builder.finish(out, score.name);
    return made;
}

// ---- the first derivative
class FlexGradient {
public:
    explicit FlexGradient(Gradient& d)
        : d_(d), builder_(d.builder()), w_(builder_), form_(d.attributes(), false),
          operands_(builder_.operands_of(d.node()).begin(), builder_.operands_of(d.node()).end()) {}

    void run() {
        const GraphRef score = around(form_.score_region()), mask = around(form_.mask_region());
        std::vector<bool> wanted(score->params().size());
        for (size_t k = form_.first_captured(); k < operands_.size(); ++k)
            if (d_.needs(k) && is_float(builder_.type(operands_[k]).dtype))
                wanted[5 + k - form_.first_captured()] = true;
        const JointScore joint = joint_score(*score, wanted);
        backward_form_ = FlexForm(form_.causal, form_.dropout);
        std::vector<size_t> tensors;  // operands that are read
        for (const attention::PairRead& read : joint.reads) {
            const size_t operand = form_.first_captured() + read.parameter - 5;
            const auto known = std::find(tensors.begin(), tensors.end(), operand);
            backward_form_.reads.push_back(size_t(known - tensors.begin()));
            if (known != tensors.end()) continue;
            tensors.push_back(operand);
            backward_form_.elements.push_back(product(builder_.context(), builder_.type(operands_[operand]).sizes));
        }
        const std::array<GraphRef, 3> regions{score, joint.region, mask};
        if (d_.has_cotangent(0)) {
            const NodeId g = d_.cotangent_node(0);
            const NodeId inner = w_.sum(w_.apply(op<"mul">(), {g, d_.result_node(0)}), {3});
            add(regions, tensors, inner, g, true);
        }
        if (d_.has_cotangent(1)) {  // of the logarithms of sums: by the weights
            const NodeId inner = w_.apply(op<"neg">(), {d_.cotangent_node(1)});
            const Context& context = builder_.context();
            const TypeId output = context[builder_.node(d_.node()).type].elements[0];
            add(regions, tensors, inner, emit_filled(builder_, 0.0, context[output]), false);
        }
    }

private:
    GraphRef around(unsigned k) const { return with_symbols_around(*extract_region(builder_, d_.node(), k)); }
    void add(std::span<const GraphRef> regions, std::span<const size_t> tensors, NodeId inner, NodeId g, bool values) {
        std::vector<NodeId> operands(operands_.begin(), operands_.begin() + 3);
        operands.insert(operands.end(), {d_.result_node(1), inner, g});
        operands.insert(operands.end(), operands_.begin() + ptrdiff_t(form_.first_random()), operands_.end());
        for (NodeId o : operands_) d_.name(o);
        for (size_t k = 0; k < 2; ++k) d_.name(d_.result_node(k));
        const NodeId made = emit_with_regions(builder_, op<"flex_attention_gradient">(), operands, regions,
                                              backward_form_.attr(builder_.context()));
        for (size_t k : {attention::q, attention::k, attention::v})
            if (d_.needs(k) && (values || k != attention::v)) d_.add(k, emit_element(builder_, made, k));
        for (size_t t = 0; t < tensors.size(); ++t) {
            const NodeId sums = w_.sum(emit_element(builder_, made, 3 + t), {0, 1});
            const std::vector<SizeId> sizes = builder_.type(operands_[tensors[t]]).sizes;
            d_.add(tensors[t], emit_reshape(builder_, sums, sizes));
        }
    }

    Gradient& d_;
    Builder& builder_;
    Writer w_;
    const FlexForm form_;
    const std::vector<NodeId> operands_;
    FlexForm backward_form_{false};
};

// ---- the second derivative
// What flex_attention_gradient gives, of the same operands, in matrices [batch, heads, queries, keys].
class InMatrices {
public:
    InMatrices(Builder& from, NodeId node, std::span<const GraphRef> regions)
        : builder_(from.context()), w_(builder_), regions_(regions), form_(from.attributes(node), true) {
        for (NodeId o : from.operands_of(node)) operands_.push_back(builder_.parameter(from.node(o).type));
        for (const SizeSymbol& s : from.symbols()) builder_.symbol(NodeId::none(), defined_around, s.hint, s.name);
        builder_.known_sizes().add(from.known_sizes().equalities());
        const std::vector<SizeId> q = builder_.type(operands_[attention::q]).sizes;
        sizes_ = {q[0], q[1], q[2], builder_.type(operands_[attention::k]).sizes[2]};
        all_ = product(builder_.context(), sizes_);
    }

    GraphRef write() {
        using namespace attention;
        const DType dtype = builder_.type(operands_[q]).dtype;
        const NodeId g = operands_[cotangent], raw = flat(product_of(operands_[q], w_.transposed(operands_[k])));
        for (size_t axis = 0; axis < 4; ++axis) places_.push_back(flat(along(axis)));
        const NodeId score = matrix(pairs(0, {raw}, {})[0]);
        NodeId sees = matrix(pairs(form_.mask_region(), {}, {})[0]);
        if (form_.causal)
            sees =
                w_.apply(op<"logical_and">(), {sees, matrix(w_.apply(op<"less_equal">(), {places_[3], places_[2]}))});
        const NodeId nothing = builder_.literal(0.0, dtype),
                     hidden = builder_.literal(-std::numeric_limits<double>::infinity(), dtype),
                     shown = w_.apply(op<"where">(), {sees, score, hidden});
        const NodeId p = w_.apply(op<"exp">(), {w_.apply(op<"sub">(), {shown, column(operands_[sums])})});
        NodeId used = p, slope = product_of(g, w_.transposed(operands_[v]));
        if (form_.dropout > 0) {
            const NodeId stays = drawn(dtype);
            const auto dropped = [&](NodeId x) {
                const NodeId more = w_.apply(op<"mul">(), {x, builder_.literal(1 / (1 - form_.dropout), dtype)});
                return w_.apply(op<"where">(), {stays, more, nothing});
            };
            used = dropped(p);
            slope = dropped(slope);
        }
        const NodeId t = w_.apply(op<"mul">(), {p, w_.apply(op<"sub">(), {slope, column(operands_[inner])})});
        const std::vector<NodeId> joint = pairs(1, {raw}, {flat(t)});
        const NodeId none = flat(w_.apply(op<"equal">(), {p, nothing}));
        const NodeId ds = matrix(w_.apply(op<"where">(), {none, nothing, joint[0]}));
        std::vector<NodeId> results{product_of(ds, operands_[k]), product_of(w_.transposed(ds), operands_[q]),
                                    product_of(w_.transposed(used), g)};
        for (size_t tensor = 0; tensor < form_.elements.size(); ++tensor)
            results.push_back(sums_of_reads(tensor, joint, none, dtype));
        return builder_.finish(results);
    }

private:
    NodeId product_of(NodeId a, NodeId b) { return w_.apply(op<"matmul">(), {a, b}); }
    NodeId flat(NodeId x) { return w_.reshape(x, {all_}); }
    NodeId matrix(NodeId x) { return emit_reshape(builder_, x, sizes_); }
    NodeId column(NodeId x) { return w_.reshape(x, {sizes_[0], sizes_[1], sizes_[2], SizeId(1)}); }
    // In each place its position along an axis.
    NodeId along(size_t axis) {
        std::vector<SizeId> line(4, SizeId(1));
        line[axis] = sizes_[axis];
        const NodeId counted =
            w_.apply(op<"iota">(), {}, {{"sizes", AttrList{AttrValue(sizes_[axis])}}, {"dtype", DType::i64}});
        return w_.apply(op<"expand">(), {emit_reshape(builder_, counted, line)},
                        {{"sizes", AttrList(sizes_.begin(), sizes_.end())}});
    }
    NodeId drawn(DType dtype) {
        const NodeId numbers = w_.apply(
            op<"random">(), {operands_[form_.first_random()], operands_[form_.first_random() + 1]},
            {{"sizes",
              AttrList{AttrValue(sizes_[0]), AttrValue(sizes_[1]), AttrValue(sizes_[3]), AttrValue(sizes_[2])}},
             {"dtype", dtype}});
        return w_.apply(op<"greater_equal">(), {w_.transposed(numbers), builder_.literal(form_.dropout, dtype)});
    }
    // A region on all pairs at once: the batch is the pairs.
    std::vector<NodeId> pairs(unsigned k, std::vector<NodeId> before, std::vector<NodeId> after) {
        std::vector<NodeId> operands = std::move(before);
        operands.insert(operands.end(), places_.begin(), places_.end());
        std::vector<int> in(operands.size(), 0), out(regions_[k]->results().size(), 0);
        operands.insert(operands.end(), operands_.begin() + ptrdiff_t(form_.first_captured()), operands_.end());
        in.resize(operands.size(), -1);
        operands.insert(operands.end(), after.begin(), after.end());
        in.resize(operands.size(), 0);
        return inline_graph(builder_, *batch_flat(*regions_[k], {all_, in, out}), operands);
    }
    NodeId sums_of_reads(size_t tensor, std::span<const NodeId> joint, NodeId none, DType dtype) {
        Context& context = builder_.context();
        const SizeId groups(FlexForm::groups),
            elements = form_.elements[tensor], count = context.mul(context.mul(form_.examples, groups), elements),
            heads = context.floordiv(context.mul(sizes_[0], sizes_[1]), form_.examples);
        const auto size = [&](SizeId s) { return w_.apply(op<"size">(), {}, {{"value", s}, {"dtype", DType::i64}}); };
        const auto add = [&](NodeId a, NodeId b) { return w_.apply(op<"add">(), {a, b}); };
        const auto mul = [&](NodeId a, NodeId b) { return w_.apply(op<"mul">(), {a, b}); };
        const NodeId head = add(mul(places_[0], size(sizes_[1])), places_[1]),
                     example = w_.apply(op<"floor_divide">(), {head, size(heads)}),
                     within = w_.apply(op<"remainder">(), {head, size(heads)}),
                     group = w_.apply(op<"remainder">(), {within, w_.whole(FlexForm::groups)}),
                     base = mul(add(mul(example, w_.whole(FlexForm::groups)), group), size(elements));
        NodeId sums = w_.apply(op<"full">(), {builder_.literal(0.0, dtype)}, {{"sizes", AttrList{AttrValue(count)}}});
        for (size_t r = 0; r < form_.reads.size(); ++r) {
            if (form_.reads[r] != tensor) continue;
            const NodeId term = w_.apply(op<"where">(), {none, builder_.literal(0.0, dtype), joint[1 + 2 * r]});
            sums = w_.apply(op<"take_add">(), {sums, add(joint[2 + 2 * r], base), term}, {{"axis", int64_t{0}}});
        }
        return w_.reshape(sums, {form_.examples, groups, elements});
    }

    Builder builder_;
    Writer w_;
    const std::span<const GraphRef> regions_;
    const FlexForm form_;
    std::vector<NodeId> operands_, places_;
    std::vector<SizeId> sizes_;  // [batch, heads, queries, keys]
    SizeId all_;
};

}  // namespace

void flex_attention_gradient(Gradient& d) { FlexGradient(d).run(); }

void flex_attention_gradient_gradient(Gradient& d) {
    Builder& builder = d.builder();
    const std::vector<NodeId> operands(builder.operands_of(d.node()).begin(), builder.operands_of(d.node()).end());
    std::array<GraphRef, 3> regions;
    for (unsigned k = 0; k < regions.size(); ++k)
        regions[k] = with_symbols_around(*extract_region(builder, d.node(), k));
    const GraphRef written = InMatrices(builder, d.node(), regions).write();
    std::vector<size_t> given, wrt;
    for (size_t k = 0; k < d.result_count(); ++k)
        if (d.cotangent_node(k)) given.push_back(k);
    for (size_t k = 0; k < operands.size(); ++k)
        if (d.needs(k)) wrt.push_back(k);
    const Joint joint = make_joint(*written, given, wrt, std::vector<bool>(wrt.size()), true);
    std::vector<NodeId> values = operands;
    for (NodeId o : operands) d.name(o);
    for (size_t k : given) values.push_back(d.cotangent_node(k));
    const std::vector<NodeId> results = inline_graph(builder, *joint.graph, values);
    for (size_t k = 0, next = joint.outputs; k < wrt.size(); ++k)
        if (joint.reached[k]) d.add(wrt[k], results[next++]);
}

}  // namespace tenon
