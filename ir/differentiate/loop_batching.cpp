// vmap of while_loop: turns go on until every example is done, and what is done keeps its values.
#include <algorithm>
#include <array>

#include "ir/build/copier.h"
#include "ir/differentiate/batching.h"
#include "ir/differentiate/regions.h"
#include "ir/row.h"

namespace tenon {

namespace {

class LoopBatching {
public:
    explicit LoopBatching(Batching& b) : b_(b), form_(b.attributes()), condition_(b.region(0)), body_(b.region(1)) {}

    NodeId run() {
        find_batched();
        std::vector<NodeId> operands, results;
        for (size_t k = 0; k < batched_.size(); ++k) operands.push_back(batched_[k] ? b_.whole(k) : b_.operand(k));
        if (!each_decides_) return together(operands);
        // Each example counts its own turns.
        const NodeId none = b_.builder().literal(int64_t{0}, DType::i64);
        if (form_.is_bounded())
            operands.insert(operands.begin() + ptrdiff_t(form_.carried), b_.expand(none, b_.batch_of({})));
        const size_t carried = form_.carried + form_.is_bounded();
        const std::array<GraphRef, 2> regions{any_goes_on(operands), turn(operands)};
        std::vector<NodeId> values = b_.results_of(
            b_.again(operands, LoopForm(carried, form_.max_turns).attr(b_.context(), cotangents()), regions));
        for (size_t k = 0; k < values.size(); ++k) {
            if (form_.is_bounded() && k == carried) continue;  // the turns of the slowest
            results.push_back(k < carried ? values[k] : turned(values[k]));
        }
        return b_.emit(op<"tuple">(), results);
    }

private:
    void find_batched() {
        for (size_t k = 0; k < b_.operand_count(); ++k) batched_.push_back(b_.batched(k));
        for (bool again = true; again;) {  // what a turn leaves the next one gets
            again = false;
            const std::vector<bool> decides = differs_per_example(*condition_, batched_);
            each_decides_ = decides[condition_->results()[0].index];
            differs_ = differs_per_example(*body_, batched_);
            for (size_t k = 0; k < form_.carried; ++k) {
                if (batched_[k] || !(each_decides_ || differs_[body_->results()[k].index])) continue;
                batched_[k] = again = true;
            }
        }
    }
    std::vector<int> axes() const {
        std::vector<int> list;
        for (bool is_batched : batched_) list.push_back(is_batched ? 0 : -1);
        return list;
    }
    std::vector<size_t> cotangents() const {
        std::vector<size_t> list;
        if (b_.attributes().has("cotangents"))
            for (int64_t k : b_.attributes().integers("cotangents"))
                list.push_back(size_t(k) + (each_decides_ && form_.is_bounded() && size_t(k) >= form_.carried));
        return list;
    }
    // A stack has the turn before the batch.
    NodeId turned(NodeId stack) {
        AttrList axes{AttrValue(int64_t{1}), AttrValue(int64_t{0})};
        for (size_t d = 2; d < b_.type_of(stack).rank(); ++d) axes.push_back(AttrValue(int64_t(d)));
        return b_.permute(stack, std::move(axes));
    }

    // ---- one condition for all
    NodeId together(std::span<const NodeId> operands) {
        std::vector<int> out;
        for (size_t k = 0; k < body_->results().size(); ++k)
            out.push_back((k < form_.carried ? batched_[k] : differs_[body_->results()[k].index]) ? 0 : -1);
        const std::array<int, 1> one{-1};
        const std::array<GraphRef, 2> regions{batch_flat(*condition_, {b_.size(), axes(), one}),
                                              batch_flat(*body_, {b_.size(), axes(), out})};
        std::vector<NodeId> results = b_.results_of(b_.again(operands, b_.attr(), regions));
        if (form_.is_bounded()) out.insert(out.begin() + ptrdiff_t(form_.carried), -1);
        for (size_t k = 0; k < results.size(); ++k) {
            if (out[k] < 0) results[k] = b_.expand(results[k], b_.batch_of(b_.type_of(results[k]).sizes));
            else if (k >= form_.carried) results[k] = turned(results[k]);
        }
        return b_.emit(op<"tuple">(), results);
    }

    // ---- a condition each
    GraphRef conditions() const {
        const std::array<int, 1> each{0};
        return batch_flat(*condition_, {b_.size(), axes(), each});
    }
    // The region that gets these operands, as `write` writes it: parameters without the count.
    GraphRef region(std::span<const NodeId> operands, auto write) const {
        Builder builder(b_.context());
        std::vector<NodeId> parameters;
        for (NodeId operand : operands) parameters.push_back(builder.parameter(b_.builder().node(operand).type));
        for (const SizeSymbol& s : body_->symbols) builder.symbol(NodeId::none(), defined_around, s.hint, s.name);
        builder.known_sizes().add(body_->equalities);
        NodeId count;
        if (form_.is_bounded()) {
            count = parameters[form_.carried];
            parameters.erase(parameters.begin() + ptrdiff_t(form_.carried));
        }
        return builder.finish(write(builder, parameters, count));
    }
    GraphRef any_goes_on(std::span<const NodeId> operands) const {
        return region(operands, [&](Builder& builder, std::span<const NodeId> parameters, NodeId) {
            Context& context = builder.context();
            const NodeId each = inline_graph(builder, *conditions(), parameters)[0];
            return std::vector<NodeId>{
                builder.emit(op<"any">(), {each},
                             context.attr({{context.name("axes"), AttrValue(AttrList{AttrValue(int64_t{0})})},
                                           {context.name("keepdim"), AttrValue(false)}}))};
        });
    }
    GraphRef turn(std::span<const NodeId> operands) const {
        return region(operands, [&](Builder& builder, std::span<const NodeId> parameters, NodeId count) {
            const NodeId each = inline_graph(builder, *conditions(), parameters)[0];
            std::vector<NodeId> given;
            for (size_t k = 0; k < parameters.size(); ++k)
                given.push_back(batched_[k] ? guard(builder, each, true, parameters[k]) : parameters[k]);
            const std::vector<int> out(body_->results().size(), 0);
            std::vector<NodeId> left = inline_graph(builder, *batch_flat(*body_, {b_.size(), axes(), out}), given);
            for (size_t k = 0; k < form_.carried; ++k) left[k] = choose(builder, each, left[k], parameters[k]);
            if (form_.is_bounded()) {
                Context& context = builder.context();
                const NodeId one =
                    builder.emit(op<"cast">(), {each}, context.attr({{context.name("dtype"), AttrValue(DType::i64)}}));
                left.insert(left.begin() + ptrdiff_t(form_.carried), builder.emit(op<"add">(), {count, one}));
            }
            return left;
        });
    }

    Batching& b_;
    const LoopForm form_;
    const GraphRef condition_, body_;
    std::vector<bool> batched_, differs_;  // by operand; by node of the body
    bool each_decides_ = false;
};

}  // namespace

NodeId loop_batching(Batching& b) { return LoopBatching(b).run(); }

}  // namespace tenon
