// What the gradient of a scan emits: single turns, the scan of the others, and the cotangents that these give.
#include <algorithm>

#include "ir/build/copier.h"
#include "ir/build/regions.h"
#include "ir/build/stacks.h"
#include "ir/control/scan_gradient.h"
#include "ir/differentiate/regions.h"
#include "ir/row.h"

namespace tenon {

NodeId ScanGradient::emit(Op o, std::initializer_list<NodeId> operands, AttrId attr) {
    return builder_.emit(o, std::span(operands.begin(), operands.size()), attr);
}

NodeId ScanGradient::shifted(NodeId stack, NodeId first) {
    const SizeId rest = context_.sub(form_.turns, SizeId(1));
    const NodeId others = emit_part(builder_, stack, form_.reverse ? SizeId(1) : SizeId(0), rest);
    const NodeId one = emit_as_stack(builder_, first);
    if (rest == SizeId(0)) return one;
    return form_.reverse ? emit_cat(builder_, {others, one}) : emit_cat(builder_, {one, others});
}

NodeId ScanGradient::starts_of(size_t k) {
    NodeId first = d_.needs(k) ? sum_so_far(k) : NodeId::none();
    if (!first) first = nothing_like(operands_[k]);
    NodeId sum = got_[k];
    for (NodeId term : start_terms_[k]) {
        const NodeId starts = shifted(term, first);
        sum = sum ? emit(op<"add">(), {sum, starts}) : starts;
        first = nothing_like(operands_[k]);
    }
    if (starts_[k]) return sum;
    const NodeId begin = emit_slice_of(builder_, got_[k], place(SizeId(0)));
    return with_slice(got_[k], place(SizeId(0)), emit(op<"add">(), {first, begin}));
}

NodeId ScanGradient::with_slice(NodeId stack, SizeId at, NodeId value) {
    const SizeId rest = context_.sub(builder_.type(stack).sizes[0], SizeId(1));
    const NodeId one = emit_as_stack(builder_, value);
    if (rest == SizeId(0)) return one;
    const bool is_first = at == SizeId(0);
    const NodeId others = emit_part(builder_, stack, SizeId(is_first ? 1 : 0), rest);
    return is_first ? emit_cat(builder_, {one, others}) : emit_cat(builder_, {others, one});
}

void ScanGradient::go() {
    // What the last turn's carries have: the later uses of what it left, and then its stack's.
    carried_.resize(form_.carried);
    sums_.resize(operands_.size());
    reached_.resize(operands_.size());
    starts_of_turns_.resize(form_.carried);
    for (size_t k = 0; k < form_.carried; ++k) {
        if (!needs_[k]) continue;
        carried_[k] = d_.cotangent_node(k);
        for (NodeId term : start_terms_[k]) {
            const NodeId last = emit_slice_of(builder_, term, place(context_.sub(form_.turns, SizeId(1))));
            carried_[k] = carried_[k] ? emit(op<"add">(), {carried_[k], last}) : last;
        }
        if (starts_at(k)) starts_of_turns_[k] = starts_of(k);
    }
    for (size_t k = first_captured(); k < operands_.size(); ++k)
        if (needs_[k]) sums_[k] = sum_so_far(k);
    slices_.assign(form_.sliced, {});

    SizeId left = form_.turns;
    for (const TurnGradient& turn : peeled_) {
        left = context_.sub(left, SizeId(1));
        one(turn, left);
    }
    const SizeId last = peels_first_ ? context_.sub(left, SizeId(1)) : left;
    if (loop_.graph && last != SizeId(0)) many(loop_, peels_first_ ? SizeId(1) : SizeId(0), last);
    if (peels_first_) one(first_, SizeId(0));
    give();
}

ScanGradient::Edge& ScanGradient::edge_of(size_t operand, SizeId turn) {
    const SizeId at = context_.add(form_.first_of(operand), place(turn));
    std::vector<Edge>& edges = edges_[operand - form_.carried];
    return *std::find_if(edges.begin(), edges.end(), [&](const Edge& edge) { return edge.at == at; });
}

SizeId ScanGradient::place_of(const TurnParameter& p, SizeId turn) {
    return p.role == TurnRole::slice ? context_.add(form_.first_of(p.index), turn) : turn;
}

NodeId ScanGradient::argument(const TurnParameter& p, SizeId turn) {
    switch (p.role) {
        case TurnRole::slice_start: return d_.sum_of(edge_of(p.index, turn).value);
        case TurnRole::carry_cotangent: return carried_[p.index] ? carried_[p.index] : nothing_like(operands_[p.index]);
        case TurnRole::left_value: return left_[p.index] ? left_[p.index] : d_.result_node(p.index);
        case TurnRole::captured_sum: return sums_[p.index] ? sums_[p.index] : nothing_like(operands_[p.index]);
        case TurnRole::stack_cotangent: return stack_cotangents_[p.index];
        case TurnRole::carry_start: return starts_of_turns_[p.index];
        case TurnRole::slice:
        case TurnRole::captured: d_.name(operands_[p.index]); return operands_[p.index];
        case TurnRole::saved:
            name_what_makes(NodeId(uint32_t(p.index)));
            return forward_ == d_.node() ? d_.result_node(stack_of_[p.index])
                                         : emit_element(builder_, forward_, stack_of_[p.index]);
    }
    return {};
}

void ScanGradient::name_what_makes(NodeId value) {
    if (request_->reads == TurnReads::views_again) return;
    if (again_.empty()) {
        again_ = made_again(*body_, first_captured());
        is_named_.resize(body_->nodes.size());
    }
    std::vector<NodeId> stack{value};
    while (!stack.empty()) {
        const NodeId id = stack.back();
        stack.pop_back();
        if (is_named_[id.index]) continue;
        is_named_[id.index] = true;
        const auto params = body_->params();
        const size_t k = size_t(std::find(params.begin(), params.end(), id) - params.begin());
        if (k < params.size() && k >= form_.carried) d_.name(operands_[k]);
        if (!again_[id.index]) continue;
        for (NodeId operand : body_->operands_of(id)) stack.push_back(operand);
    }
}

void ScanGradient::one(const TurnGradient& turn, SizeId i) {
    if (request_->reads == TurnReads::values) return one_of_values(turn, i);
    Copier copy(*turn.graph, builder_);
    for (size_t k = 0; k < turn.parameters.size(); ++k) {
        const TurnParameter& p = turn.parameters[k];
        const bool goes_on = p.role == TurnRole::carry_start && !starts_at(p.index);
        NodeId value = goes_on ? sum_so_far(p.index) : argument(p);
        if (is_sliced(p.role) && !goes_on) value = emit_slice_of(builder_, value, place_of(p, place(i)));
        copy.map(turn.graph->params()[k], value);
    }
    copy.copy_body();
    std::vector<NodeId> results;
    for (NodeId r : turn.graph->results()) results.push_back(copy(r));
    std::vector<NodeId> slices = take(turn, results);
    for (size_t k = 0; k < form_.sliced; ++k)
        if (turn.slices[k]) note_slice(k, i, SizeId(1), emit_as_stack(builder_, slices[k]));
}

void ScanGradient::one_of_values(const TurnGradient& turn, SizeId i) {
    ScanForm form(SizeId(1), 0, 0, !form_.reverse);
    std::vector<NodeId> operands, parameters;
    std::vector<size_t> cotangents;
    Builder region(context_);
    Copier copy(*turn.graph, region);
    const auto is_sliced_here = [&](const TurnParameter& p) {
        return is_sliced(p.role) && (p.role != TurnRole::carry_start || starts_at(p.index));
    };
    for (bool slices : {true, false})
        for (size_t k = 0; k < turn.parameters.size(); ++k) {
            const TurnParameter& p = turn.parameters[k];
            if (is_sliced_here(p) != slices) continue;
            NodeId value = p.role == TurnRole::carry_start && !slices ? sum_so_far(p.index) : argument(p, i);
            if (slices && p.role != TurnRole::saved) value = emit_part(builder_, value, place(i), SizeId(1));
            const auto first = operands.begin() + ptrdiff_t(form.sliced);
            const size_t at =
                slices ? operands.size() : size_t(std::find(first, operands.end(), value) - operands.begin());
            if (at == operands.size()) {
                operands.push_back(value);
                const NodeId like = turn.graph->params()[k];
                parameters.push_back(region.parameter((*turn.graph)[like].type, turn.graph->names[like.index]));
                const bool is_cotangent = p.role == TurnRole::carry_cotangent || p.role == TurnRole::stack_cotangent;
                if (is_cotangent) cotangents.push_back(at);
                if (p.role == TurnRole::saved) form.saved.push_back({at, place(i)});
                form.sliced += slices;
            }
            copy.map(turn.graph->params()[k], parameters[at]);
        }
    for (const SizeSymbol& s : turn.graph->symbols) region.symbol(NodeId::none(), defined_around, s.hint, s.name);
    region.known_sizes().add(turn.graph->equalities);
    copy.copy_body();
    const NodeId node =
        emit_with_regions(builder_, op<"scan">(), operands, {{copy.finish()}}, form.attr(context_, cotangents));
    std::vector<NodeId> results, stacks;
    for (size_t k = 0; k < turn.graph->results().size(); ++k) {
        stacks.push_back(emit_element(builder_, node, k));
        const Type& type = turn.graph->type(turn.graph->results()[k]);
        results.push_back(emit_reshape(builder_, stacks.back(), std::vector(type.sizes)));
    }
    const size_t first_slice = results.size() - size_t(std::count(turn.slices.begin(), turn.slices.end(), true));
    std::copy(stacks.begin() + ptrdiff_t(first_slice), stacks.end(), results.begin() + ptrdiff_t(first_slice));
    const std::vector<NodeId> slices = take(turn, results);
    for (size_t k = 0; k < form_.sliced; ++k) {
        if (!turn.slices[k]) continue;
        if (!turn.begin.slice_starts.empty() && turn.begin.slice_starts[k]) {
            Edge& edge = edge_of(form_.carried + k, i);
            const Type& type = builder_.type(edge.value);
            d_.set_sum_of(edge.value, emit_reshape(builder_, slices[k], std::vector(type.sizes)));
            edge.is_done = true;
        } else note_slice(k, i, SizeId(1), slices[k]);
    }
}

void ScanGradient::many(const TurnGradient& turn, SizeId first, SizeId count) {
    const SizeId begin = form_.reverse ? place(context_.add(first, context_.sub(count, SizeId(1)))) : first;
    std::vector<NodeId> operands;
    std::vector<size_t> cotangents;
    ScanForm form(count, 0, 0, !form_.reverse);
    for (const TurnParameter& p : turn.parameters) {
        const NodeId value = argument(p);
        if (p.role == TurnRole::carry_cotangent || p.role == TurnRole::stack_cotangent)
            cotangents.push_back(operands.size());
        form.carried += is_carried(p.role);
        form.sliced += is_sliced(p.role);
        if (p.role == TurnRole::saved && request_->reads == TurnReads::values) {
            form.saved.push_back({operands.size(), begin});
            operands.push_back(value);
            continue;
        }
        operands.push_back(is_sliced(p.role) ? emit_part(builder_, value, place_of(p, begin), count) : value);
        if (is_sliced(p.role)) form.turns = builder_.type(operands.back()).sizes[0];  // 1 may have been decided
    }
    const NodeId node =
        emit_with_regions(builder_, op<"scan">(), operands, {{turn.graph}}, form.attr(context_, cotangents));
    std::vector<NodeId> results;
    for (size_t k = 0; k < turn.graph->results().size(); ++k) results.push_back(emit_element(builder_, node, k));
    const std::vector<NodeId> slices = take(turn, results);
    for (size_t k = 0; k < form_.sliced; ++k)
        if (turn.slices[k]) note_slice(k, first, count, slices[k]);
}

std::vector<NodeId> ScanGradient::take(const TurnGradient& turn, std::span<const NodeId> results) {
    size_t at = 0;
    std::vector<NodeId> slices(form_.sliced);
    for (size_t k = 0; k < form_.carried; ++k) carried_[k] = turn.carries[k] ? results[at++] : NodeId::none();
    for (size_t k = 0; k < form_.carried; ++k)
        if (turn.left[k]) left_[k] = results[at++];
    for (size_t k = first_captured(); k < operands_.size(); ++k)
        if (turn.sums[k]) sums_[k] = results[at++], reached_[k] = true;
    for (size_t k = 0; k < form_.sliced; ++k)
        if (turn.slices[k]) slices[k] = results[at++];
    return slices;
}

void ScanGradient::give() {
    for (size_t k = 0; k < form_.carried; ++k) {
        if (!d_.needs(k) || !carried_[k] || is_only_begun(k)) continue;
        const bool goes_on = starts_at(k) || (first_.graph && starts_at_first_[k]);
        if (goes_on && !is_shared(k)) d_.set_sum(k, carried_[k]);
        else d_.add(k, carried_[k]);
    }
    for (size_t k = first_captured(); k < operands_.size(); ++k) {
        if (!reached_[k] || !d_.needs(k)) continue;
        if (is_shared(k)) d_.add(k, sums_[k]);
        else d_.set_sum(k, sums_[k]);
    }
    for (size_t k = 0; k < form_.sliced; ++k) {
        if (!d_.needs(form_.carried + k)) continue;
        if (slices_[k].empty()) continue;
        const size_t operand = form_.carried + k;
        const ScanForm::Saved* const saved = form_.saved_at(operand);
        if (saved) give_saved(*saved, slices_[k]);
        else d_.add(operand, joined(slices_[k], operands_[operand], 0.0));
    }
}

void ScanGradient::give_saved(const ScanForm::Saved& saved, const std::vector<Part>& parts) {
    const NodeId stack = operands_[saved.operand];
    NodeId cotangent = joined(parts, stack, -0.0, saved.first);
    for (const Edge& edge : edges_[saved.operand - form_.carried]) {
        if (edge.is_done) continue;
        d_.add_to(edge.value, emit_slice_of(builder_, cotangent, edge.at));
        cotangent = with_slice(cotangent, edge.at, nothing_like(edge.value));
    }
    d_.add(saved.operand, cotangent);
}

std::vector<ScanGradient::Edge> ScanGradient::edges_of(const ScanForm::Saved& saved) const {
    std::vector<Edge> edges;
    const NodeId stack = operands_[saved.operand];
    const std::optional<Stacked> from = stacked_by(stack);
    if (!from) return edges;
    const SizeId end = context_.sub(builder_.type(stack).sizes[0], SizeId(1));
    const SizeId first = from->form.reverse ? end : SizeId(0), last = from->form.reverse ? SizeId(0) : end;
    const auto tell_apart = [&](SizeId at, NodeId value) {
        if (value && d_.needs_value(value) && has_turn(saved, at)) edges.push_back({value, at});
    };
    for (size_t k = 0; k < from->form.carried; ++k) {
        const NodeId value = from->body->results()[from->form.carried + from->stack];
        if (is_got(*from->body, from->form, from->stack, k)) tell_apart(first, builder_.operands_of(from->scan)[k]);
        if (from->body->results()[k] == value) tell_apart(last, d_.value_of(from->scan, k));
    }
    return edges;
}

bool ScanGradient::has_turn(const ScanForm::Saved& saved, SizeId at) const {
    if (at == SizeId(0)) return saved.first == SizeId(0);
    return context_.add(saved.first, form_.turns) == context_.add(at, SizeId(1));
}

std::optional<ScanGradient::Stacked> ScanGradient::stacked_by(NodeId stack) const {
    if (builder_.node(stack).op != op<"get">()) return {};
    const NodeId scan = builder_.operands_of(stack)[0];
    if (row(builder_.node(scan).op).control != ControlFlow::turns) return {};
    const ScanForm form(builder_.attributes(scan));
    const size_t element = size_t(builder_.attributes(stack).integer("index"));
    if (element < form.carried) return {};
    return Stacked{scan, form, extract_region(builder_, scan, 0), element - form.carried};
}

NodeId ScanGradient::joined(const std::vector<Part>& parts, NodeId like, double absent, SizeId first) {
    std::vector<NodeId> stacks;  // from the first turn on
    SizeId next(0);
    Type type = builder_.type(like);
    const SizeId whole = type.sizes[0];
    const auto filled = [&](SizeId count) {
        if (count == SizeId(0)) return;
        type.sizes[0] = count;
        stacks.push_back(emit_filled(builder_, absent, type));
    };
    const auto zeros = [&](SizeId end) { filled(context_.sub(end, next)); };
    for (size_t k = parts.size(); k-- > 0;) {
        zeros(parts[k].first);
        stacks.push_back(parts[k].stack);
        next = context_.add(parts[k].first, parts[k].count);
    }
    zeros(form_.turns);
    if (form_.reverse) std::reverse(stacks.begin(), stacks.end());
    std::vector<NodeId> turns;
    std::swap(turns, stacks);
    filled(first);
    stacks.insert(stacks.end(), turns.begin(), turns.end());
    filled(context_.sub(whole, context_.add(first, form_.turns)));
    return emit_cat(builder_, stacks);
}

}  // namespace tenon
