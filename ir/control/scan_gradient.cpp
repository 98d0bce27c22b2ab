// The gradient of scan: a scan over the turns the other way round, of the gradient of one turn.
//
// It carries the cotangents of what was carried and the running sums of what was captured. What it reads of the forward
// turns is stacked by them: the scan is emitted once more with these results, and merge_regions makes the two one. Turns
// differ in which cotangents are there at all, until they do not: those are inlined, the others are the scan.
#include "ir/control/scan_gradient.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "ir/build/copier.h"
#include "ir/build/regions.h"
#include "ir/build/stacks.h"
#include "ir/differentiate/regions.h"
#include "ir/row.h"

namespace tenon {

void ScanGradient::run() {
    if (form_.turns == SizeId(0)) return pass_on();
    find_needs();
    find_stack_cotangents();
    extend_body();
    request_.emplace(
        TurnRequest{*body_, form_, needs_, {}, d_.is_inside_region() ? TurnReads::views_again : TurnReads::values, {}});
    for (NodeId cotangent : stack_cotangents_) request_->stacks.push_back(bool(cotangent));
    plan_turns();
    hand_on_left();
    save();
    go();
}

void ScanGradient::pass_on() {
    for (size_t k = 0; k < form_.carried; ++k)
        if (d_.needs(k) && d_.cotangent_node(k)) d_.add(k, d_.cotangent_node(k));
}

bool ScanGradient::is_shared(size_t k) const {
    const NodeId owner = history_owner(builder_, operands_[k]);
    return std::count_if(operands_.begin(), operands_.end(),
                         [&](NodeId o) { return history_owner(builder_, o) == owner; }) > 1;
}

bool ScanGradient::is_literal(const Graph& g, NodeId id) const {
    return g[id].op == op<"constant">() || g[id].op == op<"tensor">();
}

void ScanGradient::find_needs() {
    for (size_t k = 0; k < operands_.size(); ++k) needs_.push_back(d_.needs(k));
    // What a turn leaves the next one gets.
    carries_that_reach(*body_, form_.carried, needs_);
}

bool ScanGradient::is_got(const Graph& body, const ScanForm& form, size_t j, size_t k) {
    const NodeId value = body.params()[k];
    const auto carries = body.results().first(form.carried);
    return body.results()[form.carried + j] == value &&
           std::find(carries.begin(), carries.end(), value) == carries.end();
}

std::vector<size_t> ScanGradient::stacks_of(size_t carry) const {
    std::vector<size_t> stacks;
    const NodeId value = body_->results()[carry];
    for (size_t j = 0; j < stacks_; ++j)
        if (!is_literal(*body_, value) && body_->results()[form_.carried + j] == value) stacks.push_back(j);
    return stacks;
}

void ScanGradient::find_stack_cotangents() {
    for (size_t j = 0; j < stacks_; ++j) stack_cotangents_.push_back(d_.cotangent_node(form_.carried + j));
    starts_.resize(form_.carried);
    start_terms_.resize(form_.carried);
    got_.resize(form_.carried);
    for (size_t k = 0; k < form_.carried; ++k) {
        if (!needs_[k]) continue;
        for (size_t j = stacks_; j-- > 0;) {
            if (!stack_cotangents_[j] || !is_got(*body_, form_, j, k)) continue;
            got_[k] = got_[k] ? emit(op<"add">(), {got_[k], stack_cotangents_[j]}) : stack_cotangents_[j];
            stack_cotangents_[j] = {};
        }
    }
    for (size_t k = 0; k < form_.carried; ++k) {
        if (!needs_[k]) continue;
        const std::vector<size_t> stacks = stacks_of(k);
        for (size_t j = stacks.size(); j-- > 0;) {  // the last stack is made last
            NodeId& cotangent = stack_cotangents_[stacks[j]];
            if (!cotangent) continue;
            starts_[k] = true;
            start_terms_[k].push_back(cotangent);
            cotangent = {};
        }
    }
}

void ScanGradient::extend_body() {
    std::vector<size_t> results, parameters;
    for (size_t k = 0; k < own_; ++k)
        if (k < form_.carried ? needs_[k] : bool(stack_cotangents_[k - form_.carried])) results.push_back(k);
    for (size_t k = 0; k < needs_.size(); ++k)
        if (needs_[k]) parameters.push_back(k);
    body_ = with_inner_results(body_, results, parameters);
}

void ScanGradient::plan_turns() {
    std::vector<bool> given(form_.carried);
    for (size_t k = 0; k < form_.carried; ++k) given[k] = needs_[k] && (d_.cotangent_node(k) || starts_[k]);
    find_edges();
    std::vector<bool> starts(form_.carried);
    for (size_t k = 0; k < form_.carried; ++k) starts[k] = starts_[k] || got_[k];
    const auto turns = context_.as_constant(form_.turns);
    // A symbol is 2 or more, what a size of 0 or 1 makes of a graph is another one: no more stand by themselves.
    const size_t most = turns ? size_t(*turns) : 2;
    for (;;) {
        TurnBegin begin{given, starts};
        if (peeled_.empty() && goes_on_last_) begin.slice_starts = last_edges_;
        std::optional<TurnGradient> whole;
        if (begin.slice_starts.empty()) whole = turn_with_all(given, starts);
        if (whole) {
            loop_ = std::move(*whole);
            break;
        }
        TurnGradient turn = turn_gradient(*request_, begin);
        if (turn.carries == given && begin.slice_starts.empty()) {
            loop_ = std::move(turn);
            break;
        }
        if (peeled_.size() == most) {
            if (turns) break;
            // Which are there would go on to change: a cotangent of −0.0 stands for one that is not.
            for (size_t k = 0; k < form_.carried; ++k) given[k] = needs_[k];
            loop_ = turn_gradient(*request_, {given, starts, true});
            break;
        }
        given = turn.carries;
        peeled_.push_back(std::move(turn));
    }
    if (turns && peeled_.size() >= size_t(*turns)) loop_ = {};
    // The first turn goes on with the sums that what it got has already. It stands by itself where that adds more
    // than one term to them: later turns begin anew.
    TurnBegin begin = loop_.graph ? TurnBegin{loop_.begin.given, starts, loop_.begin.fills} : peeled_.back().begin;
    for (size_t k = 0; k < form_.carried && (turns || peeled_.size() < most); ++k) {
        if (starts[k] || !d_.needs(k) || !sum_so_far(k) || uses(k) <= 1) continue;
        begin.starts[k] = peels_first_ = true;
    }
    for (size_t k = 0; k < first_edges_.size(); ++k)
        if (begin.slice_starts.empty()) begin.slice_starts = first_edges_;
        else if (first_edges_[k]) begin.slice_starts[k] = true;
    begin.absent = absent_;
    peels_first_ = peels_first_ || goes_on_first_ || std::find(absent_.begin(), absent_.end(), true) != absent_.end();
    starts_at_first_ = begin.starts;
    if (!peels_first_) return;
    if (!loop_.graph) peeled_.pop_back();
    first_ = turn_gradient(*request_, begin);
}

void ScanGradient::find_edges() {
    const std::vector<bool> none(form_.sliced);
    edges_.resize(form_.sliced);
    for (const ScanForm::Saved& saved : form_.saved) {
        if (!d_.needs(saved.operand) || !needs_[saved.operand]) continue;
        const size_t slice = saved.operand - form_.carried;
        edges_[slice] = edges_of(saved);
        for (const Edge& edge : edges_[slice]) {
            if (uses(saved.operand) <= 1 || !d_.sum_of(edge.value)) continue;
            const SizeId end = context_.add(saved.first, context_.sub(form_.turns, SizeId(1)));
            // Turn number turns − 1 of this one is differentiated first.
            const bool is_last = edge.at == (form_.reverse ? saved.first : end);
            std::vector<bool>& edges = is_last ? last_edges_ : first_edges_;
            if (edges.empty()) edges = none;
            edges[slice] = true;
            (is_last ? goes_on_last_ : goes_on_first_) = true;
        }
    }
    if (builder_.attributes(d_.node()).has("cotangents"))
        for (size_t k = 0; k < form_.carried; ++k)
            absent_.push_back(is_nothing(operands_[k]) && is_only_a_term(*body_, body_->params()[k]));
}

bool ScanGradient::is_nothing(NodeId id) const {
    if (row(builder_.node(id).op).source == Source::operand) id = builder_.operands_of(id)[0];
    if (!builder_.is_literal(id) || !is_float(builder_.type(id).dtype)) return false;
    const double value = builder_.attributes(id).real("value");
    return value == 0 && std::signbit(value);
}

void ScanGradient::hand_on_left() {
    std::vector<TurnGradient*> turns;
    for (TurnGradient& turn : peeled_) turns.push_back(&turn);
    if (loop_.graph) turns.push_back(&loop_);
    if (first_.graph) turns.push_back(&first_);
    left_.resize(form_.carried);
    request_->left.assign(form_.carried, false);
    for (size_t k = 0; k < form_.carried; ++k) {  // one turn may read what another one has left
        bool is_left_read = false, is_got_read = false;
        for (const TurnGradient* turn : turns) {
            is_left_read = is_left_read || turn->reads_left[k];
            is_got_read = is_got_read || turn->reads_got[k];
        }
        request_->left[k] = is_left_read && is_got_read;
    }
    for (TurnGradient* turn : turns)
        if (turn->left != request_->left) *turn = turn_gradient(*request_, turn->begin);
}

std::optional<TurnGradient> ScanGradient::turn_with_all(const std::vector<bool>& given,
                                                        const std::vector<bool>& starts) {
    std::vector<bool> all(form_.carried);
    for (size_t k = 0; k < form_.carried; ++k) all[k] = needs_[k];
    if (given == all) return {};
    TurnGradient turn = turn_gradient(*request_, {all, starts});
    if (turn.carries != all) return {};
    for (size_t k = 0; k < turn.parameters.size(); ++k) {
        const TurnParameter& p = turn.parameters[k];
        const bool stands_in = p.role == TurnRole::carry_cotangent && !given[p.index];
        if (stands_in && !is_only_a_term(*turn.graph, turn.graph->params()[k])) return {};
    }
    return turn;
}

bool ScanGradient::is_only_a_term(const Graph& g, NodeId value) {
    if (std::find(g.results().begin(), g.results().end(), value) != g.results().end()) return false;
    for (NodeId id : g.body()) {
        const auto operands = g.operands_of(id);
        const auto times = std::count(operands.begin(), operands.end(), value);
        if (times == 0) continue;
        if (times > 1 || !row(g[id].op).absent_is_nothing) return false;
        for (NodeId o : operands)
            if (g[o].type != g[id].type) return false;
    }
    return true;
}

bool ScanGradient::is_only_begun(size_t carry) const {
    const TurnGradient& first = first_.graph ? first_ : loop_.graph ? loop_ : peeled_.back();
    return first.only_begun[carry];
}

size_t ScanGradient::uses(size_t parameter) const {
    size_t count = 0;
    const NodeId p = body_->params()[parameter];
    for (NodeId id : body_->body())
        for (NodeId o : body_->operands_of(id))
            if (o == p) count += (*body_)[id].regions > 0 ? 2 : 1;  // a region may use it several times
    for (NodeId r : body_->results()) count += r == p;
    return count;
}

void ScanGradient::save() {
    std::vector<NodeId> results(body_->results().begin(), body_->results().begin() + ptrdiff_t(own_));
    stack_of_.assign(body_->nodes.size(), 0);
    const auto note = [&](const TurnGradient& turn) {
        for (const TurnParameter& place : turn.parameters) {
            if (place.role != TurnRole::saved || stack_of_[place.index]) continue;
            const NodeId value(uint32_t(place.index));
            // What is saved has a stack of its own, and a cotangent of its own: that of what a script stacks begins
            // where that is stacked.
            const size_t first = request_->reads == TurnReads::values ? own_ : form_.carried;
            const auto known = std::find(results.begin() + ptrdiff_t(first), results.end(), value);
            stack_of_[place.index] = size_t(known - results.begin());
            if (known == results.end()) results.push_back(value);
        }
    };
    for (const TurnGradient& turn : peeled_) note(turn);
    if (loop_.graph) note(loop_);
    if (first_.graph) note(first_);
    forward_ = d_.node();
    if (results.size() == own_) return;
    Builder region(context_);
    Copier copy(*body_, region);
    copy.copy_params();
    copy.copy_body();
    std::vector<NodeId> all;
    for (NodeId r : results) all.push_back(copy(r));
    Builder::StampScope scope(builder_, forward_stamp_);
    forward_ =
        emit_with_regions(builder_, op<"scan">(), operands_, {{region.finish(all)}}, builder_.node(d_.node()).attr);
}

void scan_gradient(Gradient& d) { ScanGradient(d).run(); }

std::string why_not_as_unrolled(const Graph& region, const ScanForm& form) {
    std::vector<uint32_t> carries(region.nodes.size()), stacks(region.nodes.size());
    for (size_t k = 0; k < region.results().size(); ++k)
        ++(k < form.carried ? carries : stacks)[region.results()[k].index];
    for (size_t k = 0; k < region.params().size(); ++k) {
        const uint32_t p = region.params()[k].index;
        if (k < form.carried ? stacks[p] > 0 || carries[p] > 1 : stacks[p] + carries[p] > 0)
            return "a turn gives what it got as it is";
    }
    for (NodeId id : region.body())
        if (carries[id.index] > 1) return "a turn leaves one value in two places";
    return {};
}

}  // namespace tenon
