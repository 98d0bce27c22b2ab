// The gradient of scan: a scan over the turns the other way round, of the gradient of one turn.
//
// It carries the cotangents of what was carried and the running sums of what was captured. What it reads of the forward
// turns is stacked by them: the scan is emitted once more with these results, and merge_regions makes the two one. Turns
// differ in which cotangents are there at all, until they do not: those are inlined, the others are the scan.
#include <algorithm>
#include <cassert>
#include <cmath>
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
        request_.emplace(TurnRequest{
            *body_, form_, needs_, {}, d_.is_inside_region() ? TurnReads::views_again : TurnReads::values, {}});
        for (NodeId cotangent : stack_cotangents_) request_->stacks.push_back(bool(cotangent));
        plan_turns();
        hand_on_left();
        save();
        go();
    }

private:
    struct Edge {  // of a saved stack: a place whose value is one by itself around the scan that saved it
        NodeId value;
        SizeId at;             // its place in the stack
        bool is_done = false;  // its sum was gone on with
    };
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
    bool starts_at(size_t k) const { return starts_[k] || got_[k]; }
    size_t first_captured() const { return form_.carried + form_.sliced; }
    bool is_literal(const Graph& g, NodeId id) const {
        return g[id].op == op<"constant">() || g[id].op == op<"tensor">();
    }
    void find_needs() {
        for (size_t k = 0; k < operands_.size(); ++k) needs_.push_back(d_.needs(k));
        // What a turn leaves the next one gets.
        carries_that_reach(*body_, form_.carried, needs_);
    }
    // Does stack j get what turns got as carry k? What is handed on to another carry counts as what that has left.
    static bool is_got(const Graph& body, const ScanForm& form, size_t j, size_t k) {
        const NodeId value = body.params()[k];
        const auto carries = body.results().first(form.carried);
        return body.results()[form.carried + j] == value &&
               std::find(carries.begin(), carries.end(), value) == carries.end();
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
        peels_first_ =
            peels_first_ || goes_on_first_ || std::find(absent_.begin(), absent_.end(), true) != absent_.end();
        starts_at_first_ = begin.starts;
        if (!peels_first_) return;
        if (!loop_.graph) peeled_.pop_back();
        first_ = turn_gradient(*request_, begin);
    }
    // Where this is a derivative itself: values that are read by its last or its first turn, and by others that come later, go
    // on with the sums that these have begun. And what its first turn got as nothing is nothing there.
    void find_edges() {
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
    bool is_nothing(NodeId id) const {
        if (row(builder_.node(id).op).source == Source::operand) id = builder_.operands_of(id)[0];
        if (!builder_.is_literal(id) || !is_float(builder_.type(id).dtype)) return false;
        const double value = builder_.attributes(id).real("value");
        return value == 0 && std::signbit(value);
    }
    // What one turn of a derivative gives to the next, all do.
    void hand_on_left() {
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
    // What a turn does where the cotangents that are not there yet are −0.0, if that is what it does without them: each is but a
    // term of a sum, and x + −0.0 is x. Then no turn need stand by itself.
    std::optional<TurnGradient> turn_with_all(const std::vector<bool>& given, const std::vector<bool>& starts) {
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
    // Has the sum of what the first turn got no term but what it began with?
    bool is_only_begun(size_t carry) const {
        const TurnGradient& first = first_.graph ? first_ : loop_.graph ? loop_ : peeled_.back();
        return first.only_begun[carry];
    }
    size_t uses(size_t parameter) const {
        size_t count = 0;
        const NodeId p = body_->params()[parameter];
        for (NodeId id : body_->body())
            for (NodeId o : body_->operands_of(id))
                if (o == p) count += (*body_)[id].regions > 0 ? 2 : 1;  // a region may use it several times
        for (NodeId r : body_->results()) count += r == p;
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

    // By turn, what the sum of carry k's cotangent begins with: what reads it of all turns, then what it was stacked for.
    NodeId starts_of(size_t k) {
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
    // The stack with another value in this place, which is its first or its last one.
    NodeId with_slice(NodeId stack, SizeId at, NodeId value) {
        const SizeId rest = context_.sub(builder_.type(stack).sizes[0], SizeId(1));
        const NodeId one = emit_as_stack(builder_, value);
        if (rest == SizeId(0)) return one;
        const bool is_first = at == SizeId(0);
        const NodeId others = emit_part(builder_, stack, SizeId(is_first ? 1 : 0), rest);
        return is_first ? emit_cat(builder_, {one, others}) : emit_cat(builder_, {others, one});
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
    Edge& edge_of(size_t operand, SizeId turn) {  // of a slice whose sum begins in this turn
        const SizeId at = context_.add(form_.first_of(operand), place(turn));
        std::vector<Edge>& edges = edges_[operand - form_.carried];
        return *std::find_if(edges.begin(), edges.end(), [&](const Edge& edge) { return edge.at == at; });
    }
    SizeId place_of(const TurnParameter& p, SizeId turn) {
        return p.role == TurnRole::slice ? context_.add(form_.first_of(p.index), turn) : turn;
    }
    // What a turn's parameter is, for the turn whose place is given.
    NodeId argument(const TurnParameter& p, SizeId turn = SizeId(0)) {
        switch (p.role) {
            case TurnRole::slice_start: return d_.sum_of(edge_of(p.index, turn).value);
            case TurnRole::carry_cotangent:
                return carried_[p.index] ? carried_[p.index] : nothing_like(operands_[p.index]);
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
    // What is read of the forward graph, where such a value is made again.
    void name_what_makes(NodeId value) {
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
    // One turn by itself.
    void one(const TurnGradient& turn, SizeId i) {
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
    // As a scan of one turn, of which the saved values are told as of many: what other turns give it is captured, in one
    // place each, and what it gives is stacked.
    void one_of_values(const TurnGradient& turn, SizeId i) {
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
                    const bool is_cotangent =
                        p.role == TurnRole::carry_cotangent || p.role == TurnRole::stack_cotangent;
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
    void many(const TurnGradient& turn, SizeId first, SizeId count) {
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
    // A turn's results: cotangents for the turn before, sums, and what is returned: those of its slices, +0.0 added.
    std::vector<NodeId> take(const TurnGradient& turn, std::span<const NodeId> results) {
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
    struct Part {
        SizeId first, count;  // turns
        NodeId stack;
    };
    void note_slice(size_t k, SizeId first, SizeId count, NodeId stack) { slices_[k].push_back({first, count, stack}); }

    void give() {
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
    // Of what was saved of another scan's turns. What its first turn got is that scan's operand, what its last turn left is
    // its value: their cotangents have terms of others, among which these stand here.
    void give_saved(const ScanForm::Saved& saved, const std::vector<Part>& parts) {
        const NodeId stack = operands_[saved.operand];
        NodeId cotangent = joined(parts, stack, -0.0, saved.first);
        for (const Edge& edge : edges_[saved.operand - form_.carried]) {
            if (edge.is_done) continue;
            d_.add_to(edge.value, emit_slice_of(builder_, cotangent, edge.at));
            cotangent = with_slice(cotangent, edge.at, nothing_like(edge.value));
        }
        d_.add(saved.operand, cotangent);
    }
    std::vector<Edge> edges_of(const ScanForm::Saved& saved) const {
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
    bool has_turn(const ScanForm::Saved& saved, SizeId at) const {
        if (at == SizeId(0)) return saved.first == SizeId(0);
        return context_.add(saved.first, form_.turns) == context_.add(at, SizeId(1));
    }
    struct Stacked {
        NodeId scan;
        ScanForm form;
        GraphRef body;
        size_t stack;
    };
    std::optional<Stacked> stacked_by(NodeId stack) const {
        if (builder_.node(stack).op != op<"get">()) return {};
        const NodeId scan = builder_.operands_of(stack)[0];
        if (row(builder_.node(scan).op).control != ControlFlow::turns) return {};
        const ScanForm form(builder_.attributes(scan));
        const size_t element = size_t(builder_.attributes(stack).integer("index"));
        if (element < form.carried) return {};
        return Stacked{scan, form, extract_region(builder_, scan, 0), element - form.carried};
    }
    // One stack of the parts, whose turns were noted from the last to the first; `absent` where there is none. The place of
    // this scan's slices in it begins at `first`.
    NodeId joined(const std::vector<Part>& parts, NodeId like, double absent, SizeId first = SizeId(0)) {
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
    std::vector<bool> starts_;              // by carry: is there what each turn's value begins its sum with?
    std::vector<std::vector<NodeId>> start_terms_;  // by carry: stacks of that, in order
    std::vector<NodeId> got_;  // by carry: a stack of the cotangents of what each turn got, as it was saved
    std::vector<TurnGradient> peeled_;      // the last turns, last first
    TurnGradient loop_, first_;
    bool peels_first_ = false;
    std::vector<std::vector<Edge>> edges_;  // by slice
    std::vector<bool> last_edges_, first_edges_, absent_;
    bool goes_on_last_ = false, goes_on_first_ = false;
    std::vector<bool> starts_at_first_;  // by carry: of its first turn
    NodeId forward_;                     // the scan whose results are what was saved
    std::vector<size_t> stack_of_;       // by node of the region: the result that has it
    // as the turns go
    std::vector<NodeId> carried_, sums_, starts_of_turns_, left_;
    std::vector<bool> again_, is_named_;  // by node of the region, once they are asked for
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
