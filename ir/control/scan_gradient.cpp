// The gradient of scan: a scan over the turns the other way round, of the gradient of one turn.
//
// It carries the cotangents of what was carried and the running sums of what was captured. What it reads of the forward
// turns is stacked by them: the scan is emitted once more with these results, and merge_regions makes the two one. Turns
// differ in which cotangents are there at all, until they do not: those are inlined, the others are the scan.
#include <algorithm>
#include <cassert>
#include <optional>

#include "ir/build/copier.h"
#include "ir/build/regions.h"
#include "ir/build/stacks.h"
#include "ir/control/scan_turn.h"
#include "ir/differentiate/gradient.h"
#include "ir/differentiate/regions.h"
#include "ir/row.h"

namespace tenon {

namespace {

class ScanGradient {
public:
    explicit ScanGradient(Gradient& d)
        : d_(d), builder_(d.builder()), context_(builder_.context()), form_(builder_.attributes(d.node())),
          body_(extract_region(builder_, d.node(), 0)),
          operands_(builder_.operands_of(d.node()).begin(), builder_.operands_of(d.node()).end()),
          own_(body_->results().size()), stacks_(own_ - form_.carried), forward_stamp_(builder_.stamp_of(d.node())) {}

    void run() {
        if (form_.turns == SizeId(0)) return pass_on();
        find_needs();
        find_stack_cotangents();
        extend_body();
        request_.emplace(TurnRequest{*body_, form_, needs_, {}});
        for (NodeId cotangent : stack_cotangents_) request_->stacks.push_back(bool(cotangent));
        plan_turns();
        save();
        go();
    }

private:
    // Without turns what is carried is what it was.
    void pass_on() {
        for (size_t k = 0; k < form_.carried; ++k)
            if (d_.needs(k) && d_.cotangent_node(k)) d_.add(k, d_.cotangent_node(k));
    }
    // ---- operands and results
    // One value in several places has one cotangent: none of them goes on with it.
    bool is_shared(size_t k) const {
        const NodeId owner = history_owner(builder_, operands_[k]);
        return std::count_if(operands_.begin(), operands_.end(),
                             [&](NodeId o) { return history_owner(builder_, o) == owner; }) > 1;
    }
    NodeId sum_so_far(size_t k) const { return is_shared(k) ? NodeId::none() : d_.sum(k); }
    size_t first_captured() const { return form_.carried + form_.sliced; }
    bool is_literal(const Graph& g, NodeId id) const {
        return g[id].op == op<"constant">() || g[id].op == op<"tensor">();
    }
    void find_needs() {
        for (size_t k = 0; k < operands_.size(); ++k) needs_.push_back(d_.needs(k));
        // What a turn leaves the next one gets.
        carries_that_reach(*body_, form_.carried, needs_);
    }
    // The stack that gets what carry k becomes, if one does.
    std::vector<size_t> stacks_of(size_t carry) const {
        std::vector<size_t> stacks;
        const NodeId value = body_->results()[carry];
        for (size_t j = 0; j < stacks_; ++j)
            if (!is_literal(*body_, value) && body_->results()[form_.carried + j] == value) stacks.push_back(j);
        return stacks;
    }
    void find_stack_cotangents() {
        for (size_t j = 0; j < stacks_; ++j) stack_cotangents_.push_back(d_.cotangent_node(form_.carried + j));
        starts_.resize(form_.carried);
        for (size_t k = 0; k < form_.carried; ++k) {
            if (!needs_[k]) continue;
            const std::vector<size_t> stacks = stacks_of(k);
            for (size_t j = stacks.size(); j-- > 0;) {  // the last stack is made last
                NodeId& cotangent = stack_cotangents_[stacks[j]];
                if (!cotangent) continue;
                starts_[k] = starts_[k] ? emit(op<"add">(), {starts_[k], cotangent}) : cotangent;
                cotangent = {};
            }
        }
    }

    void extend_body() {
        std::vector<size_t> results, parameters;
        for (size_t k = 0; k < own_; ++k)
            if (k < form_.carried ? needs_[k] : bool(stack_cotangents_[k - form_.carried])) results.push_back(k);
        for (size_t k = 0; k < needs_.size(); ++k)
            if (needs_[k]) parameters.push_back(k);
        body_ = with_inner_results(body_, results, parameters);
    }

    // ---- which turns there are, the last first
    void plan_turns() {
        std::vector<bool> given(form_.carried);
        for (size_t k = 0; k < form_.carried; ++k) given[k] = needs_[k] && (d_.cotangent_node(k) || starts_[k]);
        std::vector<bool> starts(form_.carried);
        for (size_t k = 0; k < form_.carried; ++k) starts[k] = bool(starts_[k]);
        const auto turns = context_.as_constant(form_.turns);
        // A symbol is 2 or more, what a size of 0 or 1 makes of a graph is another one: no more stand by themselves.
        const size_t most = turns ? size_t(*turns) : 2;
        for (;;) {
            if (std::optional<TurnGradient> turn = turn_with_all(given, starts)) {
                loop_ = std::move(*turn);
                break;
            }
            TurnGradient turn = turn_gradient(*request_, given, starts);
            if (turn.carries == given) {
                loop_ = std::move(turn);
                break;
            }
            if (peeled_.size() == most) {
                if (turns) break;
                // Which are there would go on to change: a cotangent of −0.0 stands for one that is not.
                for (size_t k = 0; k < form_.carried; ++k) given[k] = needs_[k];
                loop_ = turn_gradient(*request_, given, starts, true);
                break;
            }
            given = turn.carries;
            peeled_.push_back(std::move(turn));
        }
        if (turns && peeled_.size() >= size_t(*turns)) loop_ = {};
        if (!loop_.graph) return;
        // The first turn goes on with the sums that what it got has already. It stands by itself where that adds more
        // than one term to them: later turns begin anew.
        for (size_t k = 0; k < form_.carried && peeled_.size() < most; ++k) {
            if (starts[k] || !d_.needs(k) || !sum_so_far(k) || uses(k) <= 1) continue;
            starts[k] = peels_first_ = true;
        }
        if (peels_first_) first_ = turn_gradient(*request_, loop_.given, starts);
        starts_at_first_ = std::move(starts);
    }
    // What a turn does where the cotangents that are not there yet are −0.0, if that is what it does without them: each is but a
    // term of a sum, and x + −0.0 is x. Then no turn need stand by itself.
    std::optional<TurnGradient> turn_with_all(const std::vector<bool>& given, const std::vector<bool>& starts) {
        std::vector<bool> all(form_.carried);
        for (size_t k = 0; k < form_.carried; ++k) all[k] = needs_[k];
        if (given == all) return {};
        TurnGradient turn = turn_gradient(*request_, all, starts);
        if (turn.carries != all) return {};
        for (size_t k = 0; k < turn.parameters.size(); ++k) {
            const TurnParameter& p = turn.parameters[k];
            const bool stands_in = p.role == TurnRole::carry_cotangent && !given[p.index];
            if (stands_in && !is_only_a_term(*turn.graph, turn.graph->params()[k])) return {};
        }
        return turn;
    }
    static bool is_only_a_term(const Graph& g, NodeId value) {
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
    size_t uses(size_t parameter) const {
        size_t count = 0;
        const NodeId p = body_->params()[parameter];
        for (NodeId id : body_->body())
            for (NodeId o : body_->operands_of(id))
                if (o == p) count += (*body_)[id].regions > 0 ? 2 : 1;  // a region may use it several times
        return count;
    }

    // ---- the scan with what derivatives read of it
    void save() {
        std::vector<NodeId> results(body_->results().begin(), body_->results().begin() + ptrdiff_t(own_));
        stack_of_.assign(body_->nodes.size(), 0);
        const auto note = [&](const TurnGradient& turn) {
            for (const TurnParameter& place : turn.parameters) {
                if (place.role != TurnRole::saved || stack_of_[place.index]) continue;
                const NodeId value(uint32_t(place.index));
                const auto known = std::find(results.begin() + ptrdiff_t(form_.carried), results.end(), value);
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
        forward_ = emit_with_regions(builder_, op<"scan">(), operands_, {{region.finish(all)}}, form_.attr(context_));
    }

    // ---- emitting
    NodeId emit(Op o, std::initializer_list<NodeId> operands, AttrId attr = {}) {
        return builder_.emit(o, std::span(operands.begin(), operands.size()), attr);
    }
    NodeId nothing_like(NodeId value) { return emit_filled(builder_, -0.0, builder_.type(value)); }

    // Turn number `i` of those that are made, from the first: its place in stacks.
    SizeId place(SizeId i) { return form_.reverse ? context_.sub(context_.sub(form_.turns, SizeId(1)), i) : i; }
    // A stack whose slice for a turn is what the turn before gave to another stack, and `first` for the first turn.
    NodeId shifted(NodeId stack, NodeId first) {
        const SizeId rest = context_.sub(form_.turns, SizeId(1));
        const NodeId others = emit_part(builder_, stack, form_.reverse ? SizeId(1) : SizeId(0), rest);
        const NodeId one = emit_as_stack(builder_, first);
        if (rest == SizeId(0)) return one;
        return form_.reverse ? emit_cat(builder_, {others, one}) : emit_cat(builder_, {one, others});
    }

    void go() {
        // What the last turn's carries have: the later uses of what it left, and then its stack's.
        carried_.resize(form_.carried);
        sums_.resize(operands_.size());
        reached_.resize(operands_.size());
        starts_of_turns_.resize(form_.carried);
        for (size_t k = 0; k < form_.carried; ++k) {
            if (!needs_[k]) continue;
            carried_[k] = d_.cotangent_node(k);
            if (!starts_[k]) continue;
            const NodeId last = emit_slice_of(builder_, starts_[k], place(context_.sub(form_.turns, SizeId(1))));
            carried_[k] = carried_[k] ? emit(op<"add">(), {carried_[k], last}) : last;
            NodeId first = d_.needs(k) ? sum_so_far(k) : NodeId::none();
            if (!first) first = nothing_like(operands_[k]);
            starts_of_turns_[k] = shifted(starts_[k], first);
        }
        for (size_t k = first_captured(); k < operands_.size(); ++k)
            if (needs_[k]) sums_[k] = sum_so_far(k);
        slices_.assign(form_.sliced, {});

        SizeId left = form_.turns;
        for (const TurnGradient& turn : peeled_) {
            left = context_.sub(left, SizeId(1));
            one(turn, left);
        }
        if (loop_.graph) {
            const SizeId last = peels_first_ ? context_.sub(left, SizeId(1)) : left;
            if (last != SizeId(0)) many(loop_, peels_first_ ? SizeId(1) : SizeId(0), last);
            if (peels_first_) one(first_, SizeId(0));
        }
        give();
    }
    // What a turn's parameter is, for the turn whose place is given.
    NodeId argument(const TurnParameter& p) {
        switch (p.role) {
            case TurnRole::carry_cotangent:
                return carried_[p.index] ? carried_[p.index] : nothing_like(operands_[p.index]);
            case TurnRole::captured_sum: return sums_[p.index] ? sums_[p.index] : nothing_like(operands_[p.index]);
            case TurnRole::stack_cotangent: return stack_cotangents_[p.index];
            case TurnRole::carry_start: return starts_of_turns_[p.index];
            case TurnRole::slice:
            case TurnRole::captured: d_.name(operands_[p.index]); return operands_[p.index];
            case TurnRole::saved:
                return forward_ == d_.node() ? d_.result_node(stack_of_[p.index])
                                             : emit_element(builder_, forward_, stack_of_[p.index]);
        }
        return {};
    }
    void one(const TurnGradient& turn, SizeId i) {
        Copier copy(*turn.graph, builder_);
        for (size_t k = 0; k < turn.parameters.size(); ++k) {
            const TurnParameter& p = turn.parameters[k];
            const bool goes_on = p.role == TurnRole::carry_start && !starts_[p.index];
            NodeId value = goes_on ? sum_so_far(p.index) : argument(p);
            if (is_sliced(p.role) && !goes_on) value = emit_slice_of(builder_, value, place(i));
            copy.map(turn.graph->params()[k], value);
        }
        copy.copy_body();
        std::vector<NodeId> results;
        for (NodeId r : turn.graph->results()) results.push_back(copy(r));
        std::vector<NodeId> slices = take(turn, results);
        for (size_t k = 0; k < form_.sliced; ++k)
            if (turn.slices[k]) note_slice(k, i, SizeId(1), emit_as_stack(builder_, slices[k]));
    }
    void many(const TurnGradient& turn, SizeId first, SizeId count) {
        const SizeId begin = form_.reverse ? place(context_.add(first, context_.sub(count, SizeId(1)))) : first;
        std::vector<NodeId> operands;
        std::vector<size_t> cotangents;
        SizeId turns = count;
        size_t carried = 0, sliced = 0;
        for (const TurnParameter& p : turn.parameters) {
            const NodeId value = argument(p);
            if (p.role == TurnRole::carry_cotangent || p.role == TurnRole::stack_cotangent)
                cotangents.push_back(operands.size());
            operands.push_back(is_sliced(p.role) ? emit_part(builder_, value, begin, count) : value);
            carried += is_carried(p.role);
            sliced += is_sliced(p.role);
            if (is_sliced(p.role)) turns = builder_.type(operands.back()).sizes[0];  // 1 may have been decided
        }
        const NodeId node =
            emit_with_regions(builder_, op<"scan">(), operands, {{turn.graph}},
                              ScanForm(turns, carried, sliced, !form_.reverse).attr(context_, cotangents));
        std::vector<NodeId> results;
        for (size_t k = 0; k < turn.graph->results().size(); ++k) results.push_back(emit_element(builder_, node, k));
        const std::vector<NodeId> slices = take(turn, results);
        for (size_t k = 0; k < form_.sliced; ++k)
            if (turn.slices[k]) note_slice(k, first, count, slices[k]);
    }
    // A turn's results: cotangents for the turn before, sums, and what is returned: those of its slices, +0.0 added.
    std::vector<NodeId> take(const TurnGradient& turn, std::span<const NodeId> results) {
        size_t at = 0;
        std::vector<NodeId> slices(form_.sliced);
        for (size_t k = 0; k < form_.carried; ++k) carried_[k] = turn.carries[k] ? results[at++] : NodeId::none();
        for (size_t k = first_captured(); k < operands_.size(); ++k)
            if (turn.sums[k]) sums_[k] = results[at++], reached_[k] = true;
        for (size_t k = 0; k < form_.sliced; ++k)
            if (turn.slices[k]) slices[k] = results[at++];
        return slices;
    }
    struct Part {
        SizeId first, count;  // turns
        NodeId stack;
    };
    void note_slice(size_t k, SizeId first, SizeId count, NodeId stack) { slices_[k].push_back({first, count, stack}); }

    void give() {
        for (size_t k = 0; k < form_.carried; ++k) {
            if (!d_.needs(k) || !carried_[k]) continue;
            const bool goes_on = starts_[k] || (first_.graph && starts_at_first_[k]);
            if (goes_on && !is_shared(k)) d_.set_sum(k, carried_[k]);
            else d_.add(k, carried_[k]);
        }
        for (size_t k = first_captured(); k < operands_.size(); ++k) {
            if (!reached_[k] || !d_.needs(k)) continue;
            if (is_shared(k)) d_.add(k, sums_[k]);
            else d_.set_sum(k, sums_[k]);
        }
        for (size_t k = 0; k < form_.sliced; ++k) {
            if (!d_.needs(form_.carried + k) || slices_[k].empty()) continue;
            d_.add(form_.carried + k, joined(slices_[k], operands_[form_.carried + k]));
        }
    }
    // One stack of the parts, whose turns were noted from the last to the first; zeros where there is none.
    NodeId joined(const std::vector<Part>& parts, NodeId like) {
        std::vector<NodeId> stacks;  // from the first turn on
        SizeId next(0);
        Type type = builder_.type(like);
        const auto zeros = [&](SizeId end) {
            if (next == end) return;
            type.sizes[0] = context_.sub(end, next);
            stacks.push_back(emit_filled(builder_, 0.0, type));
        };
        for (size_t k = parts.size(); k-- > 0;) {
            zeros(parts[k].first);
            stacks.push_back(parts[k].stack);
            next = context_.add(parts[k].first, parts[k].count);
        }
        zeros(form_.turns);
        if (form_.reverse) std::reverse(stacks.begin(), stacks.end());
        return emit_cat(builder_, stacks);
    }

    Gradient& d_;
    Builder& builder_;
    Context& context_;
    const ScanForm form_;
    GraphRef body_;
    const std::vector<NodeId> operands_;
    const size_t own_, stacks_;  // results of the body that are not there for derivatives; of these, stacks
    const Stamp forward_stamp_;
    std::optional<TurnRequest> request_;
    std::vector<bool> needs_;               // by operand, in any turn
    std::vector<NodeId> stack_cotangents_;  // by stack; none where it is part of a start
    std::vector<NodeId> starts_;            // by carry: a stack of what each turn's value begins its sum with
    std::vector<TurnGradient> peeled_;      // the last turns, last first
    TurnGradient loop_, first_;
    bool peels_first_ = false;
    std::vector<bool> starts_at_first_;  // by carry: of its first turn
    NodeId forward_;                     // the scan whose results are what was saved
    std::vector<size_t> stack_of_;       // by node of the region: the result that has it
    // as the turns go
    std::vector<NodeId> carried_, sums_, starts_of_turns_;
    std::vector<bool> reached_;  // by operand: of those captured, did a turn add to the sum?
    std::vector<std::vector<Part>> slices_;
};

}  // namespace

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
