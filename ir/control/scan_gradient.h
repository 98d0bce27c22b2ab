// How the gradient of one scan is made: which turns there are (scan_gradient.cpp), and what is emitted of them
// (scan_emission.cpp).
#pragma once
#include <algorithm>
#include <optional>
#include <span>
#include <vector>

#include "ir/build/builder.h"
#include "ir/build/regions.h"
#include "ir/build/stacks.h"
#include "ir/control/scan_turn.h"
#include "ir/differentiate/gradient.h"
#include "ir/regions.h"

namespace tenon {

class ScanGradient {
public:
    explicit ScanGradient(Gradient& d)
        : d_(d), builder_(d.builder()), context_(builder_.context()), form_(builder_.attributes(d.node())),
          body_(extract_region(builder_, d.node(), 0)),
          operands_(builder_.operands_of(d.node()).begin(), builder_.operands_of(d.node()).end()),
          own_(body_->results().size()), stacks_(own_ - form_.carried), forward_stamp_(builder_.stamp_of(d.node())) {}

    void run();

private:
    struct Edge {  // of a saved stack: a place whose value is one by itself around the scan that saved it
        NodeId value;
        SizeId at;             // its place in the stack
        bool is_done = false;  // its sum was gone on with
    };
    // Without turns what is carried is what it was.
    void pass_on();
    // ---- operands and results
    // One value in several places has one cotangent: none of them goes on with it.
    bool is_shared(size_t k) const;
    NodeId sum_so_far(size_t k) const { return is_shared(k) ? NodeId::none() : d_.sum(k); }
    bool starts_at(size_t k) const { return starts_[k] || got_[k]; }
    size_t first_captured() const { return form_.carried + form_.sliced; }
    bool is_literal(const Graph& g, NodeId id) const;
    void find_needs();
    // Does stack j get what turns got as carry k? What is handed on to another carry counts as what that has left.
    static bool is_got(const Graph& body, const ScanForm& form, size_t j, size_t k);
    // The stack that gets what carry k becomes, if one does.
    std::vector<size_t> stacks_of(size_t carry) const;
    void find_stack_cotangents();

    void extend_body();

    // ---- which turns there are, the last first
    void plan_turns();
    // Where this is a derivative itself: values that are read by its last or its first turn, and by others that come later, go
    // on with the sums that these have begun. And what its first turn got as nothing is nothing there.
    void find_edges();
    bool is_nothing(NodeId id) const;
    // What one turn of a derivative gives to the next, all do.
    void hand_on_left();
    // What a turn does where the cotangents that are not there yet are −0.0, if that is what it does without them: each is but a
    // term of a sum, and x + −0.0 is x. Then no turn need stand by itself.
    std::optional<TurnGradient> turn_with_all(const std::vector<bool>& given, const std::vector<bool>& starts);
    static bool is_only_a_term(const Graph& g, NodeId value);
    // Has the sum of what the first turn got no term but what it began with?
    bool is_only_begun(size_t carry) const;
    size_t uses(size_t parameter) const;

    // ---- the scan with what derivatives read of it
    void save();

    // ---- emitting
    NodeId emit(Op o, std::initializer_list<NodeId> operands, AttrId attr = {});
    NodeId nothing_like(NodeId value) { return emit_filled(builder_, -0.0, builder_.type(value)); }

    // Turn number `i` of those that are made, from the first: its place in stacks.
    SizeId place(SizeId i) { return form_.reverse ? context_.sub(context_.sub(form_.turns, SizeId(1)), i) : i; }
    // A stack whose slice for a turn is what the turn before gave to another stack, and `first` for the first turn.
    NodeId shifted(NodeId stack, NodeId first);

    // By turn, what the sum of carry k's cotangent begins with: what reads it of all turns, then what it was stacked for.
    NodeId starts_of(size_t k);
    // The stack with another value in this place, which is its first or its last one.
    NodeId with_slice(NodeId stack, SizeId at, NodeId value);

    void go();
    Edge& edge_of(size_t operand, SizeId turn);  // of a slice whose sum begins in this turn
    SizeId place_of(const TurnParameter& p, SizeId turn);
    // What a turn's parameter is, for the turn whose place is given.
    NodeId argument(const TurnParameter& p, SizeId turn = SizeId(0));
    // What is read of the forward graph, where such a value is made again.
    void name_what_makes(NodeId value);
    // One turn by itself.
    void one(const TurnGradient& turn, SizeId i);
    // As a scan of one turn, of which the saved values are told as of many: what other turns give it is captured, in one
    // place each, and what it gives is stacked.
    void one_of_values(const TurnGradient& turn, SizeId i);
    void many(const TurnGradient& turn, SizeId first, SizeId count);
    // A turn's results: cotangents for the turn before, sums, and what is returned: those of its slices, +0.0 added.
    std::vector<NodeId> take(const TurnGradient& turn, std::span<const NodeId> results);
    struct Part {
        SizeId first, count;  // turns
        NodeId stack;
    };
    void note_slice(size_t k, SizeId first, SizeId count, NodeId stack) { slices_[k].push_back({first, count, stack}); }

    void give();
    // Of what was saved of another scan's turns. What its first turn got is that scan's operand, what its last turn left is
    // its value: their cotangents have terms of others, among which these stand here.
    void give_saved(const ScanForm::Saved& saved, const std::vector<Part>& parts);
    std::vector<Edge> edges_of(const ScanForm::Saved& saved) const;
    bool has_turn(const ScanForm::Saved& saved, SizeId at) const;
    struct Stacked {
        NodeId scan;
        ScanForm form;
        GraphRef body;
        size_t stack;
    };
    std::optional<Stacked> stacked_by(NodeId stack) const;
    // One stack of the parts, whose turns were noted from the last to the first; `absent` where there is none. The place of
    // this scan's slices in it begins at `first`.
    NodeId joined(const std::vector<Part>& parts, NodeId like, double absent, SizeId first = SizeId(0));

    Gradient& d_;
    Builder& builder_;
    Context& context_;
    const ScanForm form_;
    GraphRef body_;
    const std::vector<NodeId> operands_;
    const size_t own_, stacks_;  // results of the body that are not there for derivatives; of these, stacks
    const Stamp forward_stamp_;
    std::optional<TurnRequest> request_;
    std::vector<bool> needs_;                       // by operand, in any turn
    std::vector<NodeId> stack_cotangents_;          // by stack; none where it is part of a start
    std::vector<bool> starts_;                      // by carry: is there what each turn's value begins its sum with?
    std::vector<std::vector<NodeId>> start_terms_;  // by carry: stacks of that, in order
    std::vector<NodeId> got_;           // by carry: a stack of the cotangents of what each turn got, as it was saved
    std::vector<TurnGradient> peeled_;  // the last turns, last first
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
    std::vector<bool> reached_;           // by operand: of those captured, did a turn add to the sum?
    std::vector<std::vector<Part>> slices_;
};

}  // namespace tenon
