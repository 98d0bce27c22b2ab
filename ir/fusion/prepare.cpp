#include "ir/fusion/prepare.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "ir/build/copier.h"
#include "ir/fusion/materialise.h"
#include "ir/fusion/tiled_sums.h"
#include "ir/passes/passes.h"

namespace tenon {

namespace {

class Preparation {
public:
    explicit Preparation(const Graph& graph)
        : graph_(graph), context_(*graph.context), builder_(context_), copy_(graph, builder_) {}

    GraphRef run() {
        copy_.copy_params();
        find_added();
        find_swapped();
        find_sums_of_products();
        for (NodeId id : graph_.body()) {
            if (added_[id.index] || (tiled_ && tiled_->is_inside(id))) continue;
            if (const TiledSums::Tiling* tiling = tiled_ ? tiled_->find(id) : nullptr) tile(id, *tiling);
            else if (is_pad(id)) pad(id);
            else if (const NodeId term = added_term(id)) add_inside(id, term);
            else if (summed_in_[id.index]) continue;
            else if (const NodeId term = product_term(id)) product(product_of(term), id);
            else if (row(graph_[id].op).lowering == Lowering::reduce) reduction(id);
            else if (row(graph_[id].op).takes_transposed) {
                if (!swapped_[id.index]) product(id, id);
            } else if (const NodeId whole = swapped_product(id)) product(whole, id);
            else if (row(graph_[id].op).memory == MemoryUse::gathers && graph_[id].operands.count > most_parts)
                gather(id);
            else if (row(graph_[id].op).memory == MemoryUse::replaces) update(id);
            else copy_.copy(id);
        }
        return copy_.finish();
    }

private:
    void reduction(NodeId id) {
        const Node& node = graph_[id];
        const Type &from = graph_.type(graph_.operand(id, 0)), &to = graph_.type(id);
        Dims axes = graph_.attributes(id).integers("axes");
        for (int64_t& a : axes) a += a < 0 ? int64_t(from.rank()) : 0;
        std::sort(axes.begin(), axes.end());
        const bool keep = graph_.attributes(id).flag("keepdim");
        const bool wide = (from.dtype == DType::f16 || from.dtype == DType::bf16) && row(node.op).accumulates;

        Builder::StampScope scope(builder_, copy_.stamp_of(id));
        NodeId value = copy_(graph_.operand(id, 0));
        if (wide) value = cast(value, DType::f32);
        size_t groups = 0;
        while (!axes.empty()) {  // the last group of adjacent axes first
            size_t first = axes.size() - 1;
            while (first > 0 && axes[first - 1] + 1 == axes[first]) --first;
            const bool only = groups++ == 0 && first == 0;
            value = builder_.emit(node.op, {value}, attr(std::span(axes).subspan(first), only ? keep : true));
            axes.resize(first);
        }
        if (wide) value = cast(value, to.dtype);
        if (builder_.type(value).sizes != to.sizes) {
            AttrList sizes(to.sizes.begin(), to.sizes.end());
            value = builder_.emit_typed(op<"reshape">(), node.type, {value},
                                        context_.attr({{context_.name("sizes"), AttrValue(std::move(sizes))}}));
        }
        copy_.map(id, value);
        if (groups > 0) builder_.set_name(value, graph_.names[id.index]);
    }
    // Each part is a loop nest of the kernel: of many there are several such nodes, and one of these.
    static constexpr size_t most_parts = 64;
    void gather(NodeId id) {
        Builder::StampScope scope(builder_, copy_.stamp_of(id));
        std::vector<NodeId> parts;
        for (NodeId o : graph_.operands_of(id)) parts.push_back(copy_(o));
        made(id, one_after_another(graph_[id].op, std::move(parts), graph_[id].attr));
    }
    NodeId one_after_another(Op cat, std::vector<NodeId> parts, AttrId attr) {
        while (parts.size() > 1) {
            std::vector<NodeId> longer;
            for (size_t k = 0; k < parts.size(); k += most_parts) {
                const auto some = std::span(parts).subspan(k, std::min(most_parts, parts.size() - k));
                longer.push_back(some.size() == 1 ? some[0] : builder_.emit(cat, some, attr));
            }
            parts = std::move(longer);
        }
        return parts[0];
    }
    // What an update replaces lies in memory, which a literal does not.
    void update(NodeId id) {
        const NodeId literal = graph_.operand(id, replaced_base);
        if (graph_[literal].op != op<"constant">()) {
            copy_.copy(id);
            return;
        }
        Builder::StampScope scope(builder_, copy_.stamp_of(id));
        const NodeId base = builder_.emit_typed(op<"full">(), graph_[literal].type, {copy_(literal)},
                                                context_.attr({{context_.name("sizes"), AttrValue(AttrList())}}));
        const NodeId view = copy_.view_from(base, id, {});
        const NodeId made = builder_.emit_typed(graph_[id].op, graph_[id].type,
                                                {base, view, copy_(graph_.operand(id, replaced_value))}, graph_[id].attr);
        builder_.set_name(made, graph_.names[id.index]);
        copy_.map(id, made);
    }
    // ---- tensors in larger ones of zeros, and sums with them
    void pad(NodeId id) {
        Builder::StampScope scope(builder_, copy_.stamp_of(id));
        const NodeId x = copy_(graph_.operand(id, 0));
        const Type& type = graph_.type(id);
        const NodeId zero = builder_.literal(0.0, type.dtype), value = builder_.emit(op<"add">(), {x, zero});
        if (type.rank() == 0) return made(id, value);
        const NodeId zeros = builder_.emit_typed(
            op<"full">(), graph_[id].type, {zero},
            context_.attr({{context_.name("sizes"), AttrValue(AttrList(type.sizes.begin(), type.sizes.end()))}}));
        made(id, builder_.emit(op<"update">(), {zeros, place(id, zeros), value}));
    }
    // Each element is +0.0 and one of one part.
    void tile(NodeId id, const TiledSums::Tiling& tiling) {
        Builder::StampScope scope(builder_, copy_.stamp_of(id));
        const NodeId zero = builder_.literal(0.0, graph_.type(id).dtype);
        std::vector<NodeId> parts;
        for (NodeId pad : tiling.pads)
            parts.push_back(builder_.emit(op<"add">(), {copy_(graph_.operand(pad, 0)), zero}));
        made(id, one_after_another(op<"cat">(), std::move(parts),
                                   context_.attr({{context_.name("axis"), AttrValue(int64_t(tiling.axis))}})));
    }
    // x + pad(y) is x but in the place of y, if no element of x is −0.0: y is added there, in x's memory. It never is once
    // it has begun at +0.0, since a sum is −0.0 only where both terms are.
    void add_inside(NodeId id, NodeId term) {
        Builder::StampScope scope(builder_, copy_.stamp_of(id));
        const NodeId other = graph_.operand(id, graph_.operand(id, 0) == term ? 1 : 0);
        NodeId sum = copy_(other);
        if (!never_minus_zero_[other.index] || uses_[other.index] > 1)
            sum = builder_.emit(op<"add">(), {sum, builder_.literal(0.0, graph_.type(id).dtype)});
        const NodeId view = place(term, sum);
        const NodeId value = builder_.emit(op<"add">(), {view, copy_(graph_.operand(term, 0))});
        made(id, builder_.emit(op<"update">(), {sum, view, value}));
    }
    NodeId place(NodeId pad, NodeId whole) {
        Record record;
        for (const AttrEntry& e : context_[graph_[pad].attr])
            if (context_.text(e.key) != "sizes") record.push_back(e);
        return builder_.emit(op<"slice">(), {whole}, context_.attr(record));
    }
    void made(NodeId id, NodeId value) {
        builder_.set_name(value, graph_.names[id.index]);
        copy_.map(id, value);
    }
    // The operand of a sum that is added inside its place, if there is one.
    NodeId added_term(NodeId sum) const {
        if (!is_sum(sum)) return {};
        const auto operands = graph_.operands_of(sum);
        for (size_t k = operands.size(); k-- > 0;)
            if (added_[operands[k].index]) return operands[k];
        return {};
    }
    bool is_sum(NodeId id) const { return row(graph_[id].op).absent_is_nothing; }
    bool is_pad(NodeId id) const { return row(graph_[id].op).memory == MemoryUse::adds; }
    void find_added() {
        added_.resize(graph_.nodes.size());
        uses_.resize(graph_.nodes.size());
        for (NodeId id : graph_.results()) ++uses_[id.index];
        for (NodeId id : graph_.body())
            for (NodeId operand : graph_.operands_of(id)) ++uses_[operand.index];
        const auto body = graph_.body();
        if (std::none_of(body.begin(), body.end(), [&](NodeId id) { return is_pad(id); })) return;
        never_minus_zero_.resize(graph_.nodes.size());
        for (uint32_t k = 0; k < graph_.nodes.size(); ++k)
            if (graph_[NodeId(k)].op == op<"constant">() && is_float(graph_.type(NodeId(k)).dtype))
                never_minus_zero_[k] = !std::signbit(graph_.attributes(NodeId(k)).real("value"));
        tiled_.emplace(graph_, uses_);
        for (NodeId id : graph_.body()) {
            const auto operands = graph_.operands_of(id);
            const Op o = graph_[id].op;
            const auto never = [&](NodeId operand) { return bool(never_minus_zero_[operand.index]); };
            if (is_sum(id)) {
                never_minus_zero_[id.index] = std::any_of(operands.begin(), operands.end(), never);
                for (size_t k = operands.size(); k-- > 0;) {
                    if (!is_pad(operands[k]) || uses_[operands[k].index] > 1) continue;
                    const TypeId type = graph_[id].type;  // neither is broadcast
                    if (graph_[operands[k]].type != type || graph_[operands[1 - k]].type != type) continue;
                    if (graph_.type(id).rank() == 0) continue;
                    added_[operands[k].index] = true;
                    break;
                }
            } else {
                const bool moves = row(o).source == Source::operand || row(o).lowering == Lowering::movement;
                never_minus_zero_[id.index] = is_pad(id) || (moves && never(operands[0]));
            }
        }
    }

    NodeId cast(NodeId x, DType dtype) {
        return builder_.emit(op<"cast">(), {x}, context_.attr({{context_.name("dtype"), AttrValue(dtype)}}));
    }
    AttrId attr(std::span<const int64_t> axes, bool keep) {
        return context_.attr({{context_.name("axes"), AttrValue(AttrList(axes.begin(), axes.end()))},
                              {context_.name("keepdim"), AttrValue(keep)}});
    }

    // Operands are read where they lie: the swap of their last dimensions is a flag. A result that is only wanted with its
    // own last two swapped is written so: (a b)ᵀ is bᵀ aᵀ, each element the same chain of products. To one that is only
    // wanted in a sum the other term is added as soon as an element's chain is done.
    void product(NodeId id, NodeId wanted) {
        bool transposed[2] = {graph_.attributes(id).flag("transpose_a"), graph_.attributes(id).flag("transpose_b")};
        std::vector<NodeId> operands;
        for (size_t k = 0; k < 2; ++k) {
            NodeId x = graph_.operand(id, k);
            for (; swaps_last_two(graph_, x) && !swapped_[graph_.operand(x, 0).index]; x = graph_.operand(x, 0))
                transposed[k] = !transposed[k];
            operands.push_back(copy_(x));
        }
        if (graph_[id].operands.count > 2) operands.push_back(copy_(graph_.operand(id, 2)));  // then nothing else is added
        const NodeId term = wanted == id ? NodeId() : product_term(wanted);
        if (wanted != id && term != id) {
            std::swap(operands[0], operands[1]);
            transposed[0] = !std::exchange(transposed[1], !transposed[0]);
        }
        if (term) {
            const auto terms = graph_.operands_of(wanted);
            operands.push_back(copy_(terms[terms[0] == term]));
        }
        Record record;
        if (transposed[0]) record.push_back({context_.name("transpose_a"), AttrValue(true)});
        if (transposed[1]) record.push_back({context_.name("transpose_b"), AttrValue(true)});
        Builder::StampScope scope(builder_, copy_.stamp_of(id));
        const NodeId made =
            builder_.emit_typed(graph_[id].op, graph_[wanted].type, operands, context_.attr(std::move(record)));
        builder_.set_name(made, graph_.names[id.index]);
        copy_.map(wanted, made);
    }
    // The product that this is with the last two dimensions swapped, where nothing else reads it.
    NodeId swapped_product(NodeId id) const {
        const Row& r = row(graph_[id].op);
        if (r.lowering != Lowering::movement) return {};
        const NodeId whole = graph_.operand(id, 0);
        const bool is_product = row(graph_[whole].op).takes_transposed && graph_[whole].operands.count == 2;
        return is_product && uses_[whole.index] == 1 && swaps_last_two(graph_, id) ? whole : NodeId();
    }
    void find_swapped() {
        swapped_.resize(graph_.nodes.size());
        for (NodeId id : graph_.body())
            if (const NodeId whole = swapped_product(id)) swapped_[whole.index] = true;
    }
    // The term of this sum that it is added to as a product, if there is one.
    NodeId product_term(NodeId sum) const {
        for (NodeId term : graph_.operands_of(sum))
            if (summed_in_[term.index] == sum) return term;
        return {};
    }
    // The product that this value is, perhaps with the last two dimensions swapped.
    NodeId product_of(NodeId id) const {
        const NodeId whole = swapped_product(id);
        return whole ? whole : row(graph_[id].op).takes_transposed && !swapped_[id.index] ? id : NodeId();
    }
    // What is added lies in memory anyway: what a kernel would compute and not store is better added by that kernel. The
    // later term is looked at first, since it waits for the other in any case.
    void find_sums_of_products() {
        summed_in_.resize(graph_.nodes.size());
        for (NodeId id : graph_.body()) {
            if (!is_sum(id) || added_term(id)) continue;
            const auto terms = graph_.operands_of(id);
            const size_t later = terms[1].index > terms[0].index;
            for (const size_t k : {later, 1 - later}) {
                if (terms[0] == terms[1] || product_term(id)) break;
                const NodeId term = terms[k], product = product_of(term), other = through_names(graph_, terms[1 - k]);
                if (!product || graph_[product].operands.count > 2 || uses_[term.index] > 1) continue;
                if (graph_[term].type != graph_[id].type || size_of(graph_.type(id).dtype) < 4) continue;
                if (graph_[other].op == op<"constant">() || graph_.type(other).rank() == 0) continue;
                if (is_fusable(graph_, other) && !product_term(other)) continue;
                if (stays_interpreted(graph_, product) || stays_interpreted(graph_, id)) continue;
                summed_in_[term.index] = id;
            }
        }
    }
    const Graph& graph_;
    Context& context_;
    Builder builder_;
    Copier copy_;
    std::vector<uint32_t> uses_;
    std::optional<TiledSums> tiled_;      // where there are pads
    std::vector<bool> swapped_;           // products that a movement after them swaps
    std::vector<NodeId> summed_in_;       // of a product: the sum that it adds the other term of
    std::vector<bool> added_;             // pads that a sum adds inside their place
    std::vector<bool> never_minus_zero_;  // no element is
};

}  // namespace

GraphRef prepare_fusion(const Graph& graph) { return verified(PassId::prepare_fusion, Preparation(graph).run()); }

}  // namespace tenon
