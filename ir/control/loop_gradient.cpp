// The gradient of a bounded while_loop: a while_loop that counts down from the number of turns there were.
//
// It carries the turn's number, the cotangents of what was carried and the running sums of what was captured. What it
// reads of the forward turns is stacked by them: the loop is emitted once more with these stacks, and merge_regions makes
// the two one. A cotangent that is not there is −0.0, which adds nothing.
#include <algorithm>
#include <array>

#include "ir/build/copier.h"
#include "ir/build/regions.h"
#include "ir/build/stacks.h"
#include "ir/differentiate/gradient.h"
#include "ir/differentiate/regions.h"
#include "ir/passes/passes.h"
#include "ir/row.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

class LoopGradient {
public:
    explicit LoopGradient(Gradient& d)
        : d_(d), builder_(d.builder()), context_(builder_.context()), form_(builder_.attributes(d.node())),
          condition_(extract_region(builder_, d.node(), 0)),
          body_(with_symbols_around(*extract_region(builder_, d.node(), 1))),
          operands_(builder_.operands_of(d.node()).begin(), builder_.operands_of(d.node()).end()),
          forward_stamp_(builder_.stamp_of(d.node())) {}

    void run() {
        if (!form_.is_bounded()) fail();
        for (size_t k = 0; k < operands_.size(); ++k) needs_.push_back(d_.needs(k));
        carries_that_reach(*body_, form_.carried, needs_);
        differentiate();
        save();
        go();
    }

private:
    [[noreturn]] void fail() const {
        Diagnostic diagnostic;
        diagnostic.kind = "gradient";
        diagnostic.message =
            "while_loop has no gradient without `max_turns:`: what backward reads is kept for each turn";
        diagnostic.span = context_[forward_stamp_.origin].span;
        diagnostic.help = "give `max_turns: n`; where the number of turns is known before, use scan";
        throw Error(std::move(diagnostic));
    }
    NodeId emit(Op o, std::initializer_list<NodeId> operands, AttrId attr = {}) {
        return builder_.emit(o, std::span(operands.begin(), operands.size()), attr);
    }
    bool is_shared(size_t k) const {
        const NodeId owner = history_owner(builder_, operands_[k]);
        return std::count_if(operands_.begin(), operands_.end(),
                             [&](NodeId o) { return history_owner(builder_, o) == owner; }) > 1;
    }

    // ---- one turn
    void differentiate() {
        std::vector<size_t> results;
        for (size_t k = 0; k < form_.carried; ++k)
            if (needs_[k]) carries_.push_back(k);
        results = carries_;
        for (size_t k = form_.carried; k < body_->results().size(); ++k) {
            if (!d_.cotangent_node(k + 1)) continue;  // the number of turns stands before the stacks
            stacks_.push_back(k);
            results.push_back(k);
        }
        std::vector<bool> running;
        for (size_t k = 0; k < operands_.size(); ++k) {
            if (!needs_[k]) continue;
            wrt_.push_back(k);
            running.push_back(k >= form_.carried);
        }
        const Joint joint = make_joint(*body_, results, wrt_, running, true);
        turn_ = split_joint(joint);
        for (size_t w = 0, next = 0; w < wrt_.size(); ++w) result_.push_back(joint.reached[w] ? next++ : SIZE_MAX);
    }

    // ---- the loop with what backward reads of its turns
    void save() {
        const Graph& forward = *turn_.forward;
        Builder region(context_);
        Copier copy(forward, region);
        copy.copy_params();
        copy.copy_body();
        std::vector<NodeId> results;
        for (NodeId r : forward.results().first(body_->results().size())) results.push_back(copy(r));
        for (const Split::Saved& saved : turn_.saved) {
            stack_of_.push_back(SIZE_MAX);
            if (saved.is_input && saved.index >= form_.carried) continue;
            const NodeId value = saved.is_input ? forward.params()[saved.index] : forward.results()[saved.index];
            const auto stacks = forward.results().first(body_->results().size()).subspan(form_.carried);
            const auto known = std::find(stacks.begin(), stacks.end(), value);
            const bool is_stack = known != stacks.end();
            stack_of_.back() = is_stack ? form_.first_stack() + size_t(known - stacks.begin()) : results.size() + 1;
            if (is_stack) continue;
            results.push_back(copy(value));
        }
        forward_ = d_.node();
        if (results.size() == body_->results().size()) return;
        Builder::StampScope scope(builder_, forward_stamp_);
        const std::array<GraphRef, 2> regions{condition_, region.finish(results, body_->name)};
        forward_ =
            emit_with_regions(builder_, builder_.node(d_.node()).op, operands_, regions, builder_.node(d_.node()).attr);
    }
    NodeId value_of(size_t result) {
        return forward_ == d_.node() ? d_.result_node(result) : emit_element(builder_, forward_, result);
    }

    // ---- backward
    NodeId nothing_like(NodeId value) { return emit_filled(builder_, -0.0, builder_.type(value)); }
    void go() {
        const Graph& half = *turn_.backward;
        std::vector<NodeId> operands{value_of(form_.carried)};  // the turns that are left
        std::vector<size_t> cotangents;
        for (size_t k : carries_) {
            cotangents.push_back(operands.size());
            operands.push_back(d_.cotangent_node(k) ? d_.cotangent_node(k) : nothing_like(operands_[k]));
        }
        for (size_t k : wrt_) {
            if (k < form_.carried) continue;
            const NodeId sum = is_shared(k) ? NodeId::none() : d_.sum(k);
            operands.push_back(sum ? sum : nothing_like(operands_[k]));
        }
        const size_t carried = operands.size();
        std::vector<size_t> saved(turn_.saved.size()), stacks;
        for (size_t k = 0; k < turn_.saved.size(); ++k) {
            saved[k] = operands.size();
            if (stack_of_[k] == SIZE_MAX) d_.name(operands_[turn_.saved[k].index]);
            operands.push_back(stack_of_[k] == SIZE_MAX ? operands_[turn_.saved[k].index] : value_of(stack_of_[k]));
        }
        for (size_t k : stacks_) {
            stacks.push_back(operands.size());
            cotangents.push_back(operands.size());
            operands.push_back(d_.cotangent_node(k + 1));
        }

        Builder condition(context_), turn(context_);
        std::vector<NodeId> parameters;
        for (NodeId operand : operands) {
            condition.parameter(builder_.node(operand).type);
            parameters.push_back(turn.parameter(builder_.node(operand).type));
        }
        for (Builder* region : {&condition, &turn}) {
            for (const SizeSymbol& s : half.symbols) region->symbol(NodeId::none(), defined_around, s.hint, s.name);
            region->known_sizes().add(half.equalities);
        }
        const NodeId goes_on =
            condition.emit(op<"greater">(), {condition.params()[0], condition.literal(int64_t{0}, DType::i64)});

        const NodeId left = turn.emit(op<"sub">(), {parameters[0], turn.literal(int64_t{1}, DType::i64)});
        // Of an example that is done under vmap no turn is left, but a slice is read.
        const NodeId place = turn.emit(op<"maximum">(), {left, turn.literal(int64_t{0}, DType::i64)});
        const auto slice_of = [&](size_t operand) {
            return turn.emit(op<"take">(), {parameters[operand], place},
                             context_.attr({{context_.name("axis"), AttrValue(int64_t{0})}}));
        };
        Copier copy(half, turn);
        size_t p = 0;
        for (size_t k = 0; k < saved.size(); ++k)
            copy.map(half.params()[p++], stack_of_[k] == SIZE_MAX ? parameters[saved[k]] : slice_of(saved[k]));
        for (size_t k = 0; k < carries_.size(); ++k) copy.map(half.params()[p++], parameters[1 + k]);
        for (size_t stack : stacks) copy.map(half.params()[p++], slice_of(stack));
        for (size_t k = 1 + carries_.size(); k < carried; ++k) copy.map(half.params()[p++], parameters[k]);
        copy.copy_body();
        std::vector<NodeId> results{left};
        for (size_t w = 0; w < wrt_.size(); ++w) {
            if (result_[w] != SIZE_MAX) results.push_back(copy(half.results()[result_[w]]));
            else if (wrt_[w] >= form_.carried) results.push_back(parameters[results.size()]);  // the sum as it was
            else results.push_back(emit_filled(turn, -0.0, builder_.type(operands_[wrt_[w]])));
        }
        const std::array<GraphRef, 2> regions{condition.finish({goes_on}), turn.finish(results, half.name)};
        const NodeId made = emit_with_regions(builder_, builder_.node(d_.node()).op, operands, regions,
                                              LoopForm(carried, form_.max_turns).attr(context_, cotangents));
        for (size_t w = 0; w < wrt_.size(); ++w) {
            const size_t k = wrt_[w];
            if (!d_.needs(k) || (k >= form_.carried && result_[w] == SIZE_MAX)) continue;
            const NodeId sum = emit_element(builder_, made, 1 + w);
            if (k >= form_.carried && !is_shared(k)) d_.set_sum(k, sum);
            else d_.add(k, sum);
        }
    }

    Gradient& d_;
    Builder& builder_;
    Context& context_;
    const LoopForm form_;
    const GraphRef condition_, body_;
    const std::vector<NodeId> operands_;
    const Stamp forward_stamp_;
    std::vector<bool> needs_;  // by operand, in any turn
    std::vector<size_t> carries_, wrt_,
        stacks_;  // those carried among wrt; results of a turn whose stack has a cotangent
    Split turn_;
    std::vector<size_t> result_;    // by wrt: of backward; SIZE_MAX where no path leads there
    std::vector<size_t> stack_of_;  // by saved value of a turn: the value of the loop; SIZE_MAX of what is captured
    NodeId forward_;
};

}  // namespace

void loop_gradient(Gradient& d) { LoopGradient(d).run(); }

}  // namespace tenon
